//! The table that is loaded into.

use std::collections::HashMap;

use clip_core::{Error, ErrorKind, Result};
use postgres::Client;

use super::options::Options;
use crate::database::failed;

/// A table that clip_create_table made.
#[derive(Clone)]
pub struct Table {
    pub oid: u32,
    /// Quoted as SQL needs it, with its schema.
    pub name: String,
    /// Quoted schema of the extension.
    pub extension: String,
    pub model: String,
    pub fingerprint: String,
    pub is_async: bool,
    pub keeps_images: bool,
    /// Type of its vectors, quoted, with its schema.
    pub vector_type: String,
    /// The type has numbers of 16 bits.
    pub is_half: bool,
    /// Largest image that the server takes, in bytes.
    pub max_image_bytes: usize,
}

/// A row that is there.
#[derive(Clone, Debug, Default)]
pub struct Present {
    pub id: i64,
    pub size: Option<u64>,
    pub modified: Option<String>,
    pub sha256: Option<String>,
}

/// The table, if it is there.
pub fn find(client: &mut Client, name: &str, extension: &str) -> Result<Option<Table>> {
    let relation = client
        .query_one("SELECT pg_catalog.to_regclass($1::text)::oid", &[&name])
        .map_err(|e| failed(&e))?
        .get::<_, Option<u32>>(0);
    let Some(oid) = relation else { return Ok(None) };
    let row = client
        .query_opt(
            "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), t.model, t.fingerprint, t.mode, t.keep_images,
                y.typname = 'halfvec', i.attname IS NOT NULL,
                t.text_column = 'content_ref' AND t.image_column = 'image' AND t.modality_column = 'modality',
                pg_catalog.format('%I.%I', yn.nspname, y.typname)
            FROM clip.tables t JOIN pg_catalog.pg_class c ON c.oid = t.relation JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            JOIN pg_catalog.pg_attribute v ON v.attrelid = c.oid AND v.attname = t.embedding_column
            JOIN pg_catalog.pg_type y ON y.oid = v.atttypid JOIN pg_catalog.pg_namespace yn ON yn.oid = y.typnamespace
            LEFT JOIN pg_catalog.pg_attribute i ON i.attrelid = c.oid AND i.attname = 'id' AND i.atttypid = 'int8'::regtype
            WHERE t.relation = $1 AND t.embedding_column = 'embedding' AND NOT t.pending",
            &[&oid],
        )
        .map_err(|e| failed(&e))?;
    let Some(row) = row.filter(|row| row.get(6) && row.get::<_, Option<bool>>(7) == Some(true)) else {
        return Err(Error::new(
            ErrorKind::InvalidArgument,
            format!("table \"{name}\" was not made by clip_create_table"),
        )
        .with_hint("Name another table: one that is missing is made."));
    };
    // The settings are known once the library is loaded.
    client.batch_execute(&format!("SELECT 1 FROM {extension}.clip_models() LIMIT 1")).map_err(|e| failed(&e))?;
    let most: String = client
        .query_one("SELECT pg_catalog.pg_size_bytes(pg_catalog.current_setting('clip.max_image_bytes'))::text", &[])
        .map_err(|e| failed(&e))?
        .get(0);
    Ok(Some(Table {
        oid,
        name: row.get(0),
        extension: extension.to_owned(),
        model: row.get(1),
        fingerprint: row.get(2),
        is_async: row.get::<_, String>(3) == "async",
        keeps_images: row.get(4),
        vector_type: row.get(8),
        is_half: row.get(5),
        max_image_bytes: most.parse().unwrap_or(usize::MAX),
    }))
}

pub fn create(client: &mut Client, options: &Options, extension: &str) -> Result<()> {
    let sql = format!("SELECT {extension}.clip_create_table($1, model => $2, mode => $3, keep_images => $4)");
    client
        .execute(&sql, &[&options.table, &options.model, &options.mode, &options.keep_images])
        .map_err(|e| failed(&e))?;
    Ok(())
}

impl Table {
    /// Rows of pictures whose names begin with one of these, or are one of those; the first row of each name.
    pub fn pictures(&self, client: &mut Client, prefixes: &[&str], names: &[&str]) -> Result<HashMap<String, Present>> {
        let sql = format!(
            "SELECT DISTINCT ON (content_ref) content_ref, id, (metadata->>'size')::text, metadata->>'mtime', metadata->>'sha256' FROM {}
            WHERE modality = 'image' AND (content_ref = ANY ($2) OR (SELECT bool_or(starts_with(content_ref, p)) FROM unnest($1::text[]) p))
            ORDER BY content_ref, id",
            self.name
        );
        let mut found = HashMap::new();
        for row in client.query(&sql, &[&prefixes, &names]).map_err(|e| failed(&e))? {
            let size = row.get::<_, Option<String>>(2).and_then(|size| size.parse().ok());
            found.insert(row.get(0), Present { id: row.get(1), size, modified: row.get(3), sha256: row.get(4) });
        }
        Ok(found)
    }
}
