//! What the page says about the table.

use clip_core::{Error, ErrorKind, Result};
use postgres::Client;
use serde::Serialize;

use crate::database::failed;
use crate::search::explained;

/// Asked once, before the page is served.
#[derive(Serialize)]
pub struct About {
    table: String,
    database: String,
    model: String,
    /// Rows of both kinds may be in it.
    modalities: bool,
    metadata: bool,
    /// Pictures are files that content_ref names.
    files: bool,
    /// Pictures are kept in the table.
    kept: bool,
}

const STATEMENT: &str = "
    SELECT t.relation::text, current_database()::text, k.model, k.text_column IS NOT NULL AND k.image_column IS NOT NULL,
        EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = t.relation AND a.attname = 'metadata' AND a.atttypid = 'jsonb'::regtype AND NOT a.attisdropped),
        k.image_column IS NOT NULL AND k.keep_images
    FROM (SELECT $1::text::regclass AS relation) t LEFT JOIN LATERAL (SELECT * FROM clip.tables c
        WHERE NOT c.pending AND c.embedding_column = coalesce($2::text, c.embedding_column) AND (c.relation = t.relation OR c.relation IN (SELECT a.relid FROM pg_partition_ancestors(t.relation) a))
        ORDER BY c.relation = t.relation DESC, c.embedding_column LIMIT 1) k ON true";

/// Fails where the table is none that can be searched.
pub fn look(client: &mut Client, table: &str, column: Option<&str>, files: bool) -> Result<About> {
    let row = client.query_one(STATEMENT, &[&table, &column]).map_err(|e| explained(&e))?;
    let model: Option<String> = row.try_get(2).map_err(|e| failed(&e))?;
    let Some(model) = model else {
        let column = column.map_or_else(String::new, |column| format!(" in column \"{column}\""));
        let message = format!("table \"{table}\" is not embedded{column}");
        return Err(
            Error::new(ErrorKind::InvalidArgument, message).with_hint("\"pgclip status\" lists the tables that are.")
        );
    };
    Ok(About {
        table: row.get(0),
        database: row.get(1),
        model,
        modalities: row.get(3),
        metadata: row.get(4),
        files,
        kept: row.get(5),
    })
}
