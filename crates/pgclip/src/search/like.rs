//! The vector of a row, found by its primary key.

use clip_core::{Error, ErrorKind, Result};
use postgres::Client;

use super::query::explained;
use crate::extension::Extension;

/// Where the rows are, in a FROM clause; their vector; and a condition on the key, `$1`. By catalogues alone, so that names are quoted
/// by the server.
const STATEMENT: &str = "
    SELECT CASE c.relkind WHEN 'p' THEN '' ELSE 'ONLY ' END || format('%I.%I', n.nspname, c.relname),
        (SELECT quote_ident(t.embedding_column::text) FROM clip.tables t
            WHERE NOT t.pending AND t.embedding_column = coalesce($2::text, t.embedding_column) AND (t.relation = c.oid OR t.relation IN (SELECT a.relid FROM pg_partition_ancestors(c.oid) a))
            ORDER BY t.relation = c.oid DESC, t.embedding_column LIMIT 1),
        (SELECT string_agg(format('r.%I = ($1::text::jsonb ->> %L)::%s', a.attname, a.attname, format_type(a.atttypid, a.atttypmod)), ' AND ')
            FROM pg_index i, unnest(i.indkey) WITH ORDINALITY k (number, n), pg_attribute a
            WHERE i.indrelid = c.oid AND i.indisprimary AND k.n <= i.indnkeyatts AND a.attrelid = c.oid AND a.attnum = k.number)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1::text::regclass";

/// As the server writes a `vector`.
pub fn vector(
    client: &mut Client,
    extension: &Extension,
    table: &str,
    column: Option<&str>,
    key: &str,
) -> Result<String> {
    let row = client.query_one(STATEMENT, &[&table, &column]).map_err(|e| explained(&e))?;
    let (rows, embedding, condition): (String, Option<String>, Option<String>) = (row.get(0), row.get(1), row.get(2));
    let Some(embedding) = embedding else {
        let message = format!("table \"{table}\" is not embedded");
        return Err(
            Error::new(ErrorKind::InvalidArgument, message).with_hint("\"pgclip status\" lists the tables that are.")
        );
    };
    let Some(condition) = condition else {
        let message = format!("table \"{table}\" has no primary key, by which a row could be found");
        return Err(Error::new(ErrorKind::Unsupported, message));
    };
    let sql = format!("SELECT r.{embedding}::{}.vector::text FROM {rows} r WHERE {condition}", extension.vectors);
    let found = client.query_opt(&sql, &[&key]).map_err(|e| explained(&e))?;
    found.and_then(|row| row.get(0)).ok_or_else(|| {
        Error::new(ErrorKind::InvalidArgument, "the row is gone, or has no vector").with_hint("Search anew.")
    })
}
