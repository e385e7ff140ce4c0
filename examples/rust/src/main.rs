//! A table in mode async with sqlx: rows are written at once, and background workers embed them.
use sqlx::{PgPool, postgres::PgConnectOptions};
use std::{error::Error, fs, time::Duration};

/// `modality = $1` refuses the text of a `&str`; `$1::clip_modality` would take it.
#[derive(sqlx::Type)]
#[sqlx(type_name = "clip_modality", rename_all = "lowercase")]
enum Modality {
    Text,
    Image,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let pool = PgPool::connect_with(PgConnectOptions::new()).await?;
    let picture = |name: &str| fs::read(format!("models/demo/pictures/{name}"));
    let names = ["cat-face.png", "dog-face.png", "red-apple.png", "pear.png"];

    sqlx::query("SELECT clip_create_table('items', mode => 'async')").execute(&pool).await?;
    let insert = "INSERT INTO items (modality, content_ref, image) VALUES ($1, $2, $3)";
    for text in ["a cat asleep on a sofa", "a bowl of fruit", "the road to the sea"] {
        sqlx::query(insert).bind(Modality::Text).bind(text).bind(None::<Vec<u8>>).execute(&pool).await?;
    }
    for name in names {
        sqlx::query(insert).bind(Modality::Image).bind(name).bind(picture(name)?).execute(&pool).await?;
    }
    sqlx::query(insert).bind(Modality::Image).bind("broken.png").bind(b"no picture").execute(&pool).await?;

    // clip_queue has no row for a table where nothing waits.
    let busy = "SELECT EXISTS (SELECT FROM clip_queue
        WHERE relation = 'items'::regclass AND waiting + claimed + retrying > 0)";
    while sqlx::query_scalar(busy).fetch_one(&pool).await? {
        tokio::time::sleep(Duration::from_millis(100)).await; // where no workers run: CALL clip_drain('items')
    }
    let failures = "SELECT content_ref, sqlstate FROM clip_failures JOIN items ON id = (key->>'id')::bigint
        WHERE relation = 'items'::regclass AND state = 'dead'";
    for (name, sqlstate) in sqlx::query_as::<_, (String, String)>(failures).fetch_all(&pool).await? {
        println!("failed:\n  {name}\n  {sqlstate}");
    }

    // &str is a text and &[u8] a bytea: clip_query needs no casts.
    let words = "SELECT content_ref FROM items WHERE modality = $1
        ORDER BY embedding <=> clip_query('items', $2) LIMIT 2";
    let found: Vec<String> = sqlx::query_scalar(words).bind(Modality::Image).bind("a kitten").fetch_all(&pool).await?;
    println!("words:\n  {}", found.join("\n  "));
    let like = "SELECT content_ref FROM items ORDER BY embedding <=> clip_query('items', $1) LIMIT 3";
    let found: Vec<String> = sqlx::query_scalar(like).bind(picture("tangerine.png")?).fetch_all(&pool).await?;
    println!("picture:\n  {}", found.join("\n  "));
    let search = "SELECT content_ref FROM clip_search('items', query => $1, k => $2)";
    let found: Vec<String> = sqlx::query_scalar(search).bind("a pet").bind(3).fetch_all(&pool).await?;
    println!("search:\n  {}", found.join("\n  "));
    Ok(())
}
