//! One row, found by its primary key.

use clip_core::{Error, ErrorKind, Result};
use postgres::Client;
use postgres::types::FromSql;

use super::query::explained;
use crate::extension::Extension;

/// Where the rows are, in a FROM clause; their vector; their image, where it is kept; and a condition on the key, `$1`. By catalogues alone, so
/// that names are quoted by the server.
const STATEMENT: &str = "
    SELECT CASE c.relkind WHEN 'p' THEN '' ELSE 'ONLY ' END || format('%I.%I', n.nspname, c.relname), k.embedding, k.image,
        (SELECT string_agg(format('r.%I = ($1::text::jsonb ->> %L)::%s', a.attname, a.attname, format_type(a.atttypid, a.atttypmod)), ' AND ')
            FROM pg_index i, unnest(i.indkey) WITH ORDINALITY k (number, n), pg_attribute a
            WHERE i.indrelid = c.oid AND i.indisprimary AND k.n <= i.indnkeyatts AND a.attrelid = c.oid AND a.attnum = k.number)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN LATERAL (SELECT quote_ident(t.embedding_column::text) AS embedding, CASE WHEN t.keep_images THEN quote_ident(t.image_column::text) END AS image
        FROM clip.tables t
        WHERE NOT t.pending AND t.embedding_column = coalesce($2::text, t.embedding_column)
            AND (t.relation = c.oid OR t.relation IN (SELECT a.relid FROM pg_partition_ancestors(c.oid) a))
        ORDER BY t.relation = c.oid DESC, t.embedding_column LIMIT 1) k ON true
    WHERE c.oid = $1::text::regclass";

/// A row of a table: `key` is its primary key as JSON. `column` is that of its vector, where there are several.
pub struct Row<'a> {
    pub table: &'a str,
    pub column: Option<&'a str>,
    pub key: &'a str,
}

struct Names {
    rows: String,
    embedding: String,
    image: Option<String>,
    condition: String,
}

impl Row<'_> {
    /// As the server writes a `vector`.
    pub fn vector(&self, client: &mut Client, extension: &Extension) -> Result<String> {
        let names = self.names(client)?;
        let vector = format!("r.{}::{}.vector::text", names.embedding, extension.vectors);
        self.value(client, &names, &vector)?.ok_or_else(|| {
            Error::new(ErrorKind::InvalidArgument, "the row is gone, or has no vector").with_hint("Search anew.")
        })
    }

    /// Its image, as it is encoded, of so many bytes at most; `None` where there is none.
    pub fn image(&self, client: &mut Client, max_bytes: usize) -> Result<Option<Vec<u8>>> {
        let names = self.names(client)?;
        let Some(image) = &names.image else { return Ok(None) };
        let image = format!("CASE WHEN octet_length(r.{image}) <= {max_bytes} THEN r.{image} END");
        self.value(client, &names, &image)
    }

    fn names(&self, client: &mut Client) -> Result<Names> {
        let row = client.query_one(STATEMENT, &[&self.table, &self.column]).map_err(|e| explained(&e))?;
        let missing = |kind: ErrorKind, what: &str| Error::new(kind, format!("table \"{}\" {what}", self.table));
        let embedding: Option<String> = row.get(1);
        let embedding = embedding.ok_or_else(|| {
            missing(ErrorKind::InvalidArgument, "is not embedded")
                .with_hint("\"pgclip status\" lists the tables that are.")
        })?;
        let condition: Option<String> = row.get(3);
        let condition = condition
            .ok_or_else(|| missing(ErrorKind::Unsupported, "has no primary key, by which a row could be found"))?;
        Ok(Names { rows: row.get(0), embedding, image: row.get(2), condition })
    }

    fn value<T: for<'b> FromSql<'b>>(&self, client: &mut Client, names: &Names, value: &str) -> Result<Option<T>> {
        let sql = format!("SELECT {value} FROM {} r WHERE {}", names.rows, names.condition);
        let found = client.query_opt(&sql, &[&self.key]).map_err(|e| explained(&e))?;
        Ok(found.and_then(|row| row.get(0)))
    }
}
