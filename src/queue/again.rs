//! Rows that waited under a primary key that is gone. One job with an empty key says that there are such rows; under the next key
//! they are found by what they lack. That key's index took a pass over the table, too.

use pgrx::datum::DatumWithOid;
use pgrx::pg_sys::Oid;
use pgrx::spi::{self, Spi, quote_identifier};

use crate::pg::datum::{in_server, text_argument};
use crate::pg::settings::with_canonical_output;
use crate::pipeline::Attachment;

/// Nothing where the table has no key yet. The transaction holds a lock on it.
pub fn enqueue_again(relation: Oid, embedding: &str) -> spi::Result<()> {
    Spi::connect_mut(|client| {
        let Some(table) = Attachment::find(client, relation, embedding)? else { return Ok(()) };
        let Some(key) = &table.key else { return Ok(()) };
        let arguments = [DatumWithOid::from(relation), text_argument(embedding)];
        for empty in ["clip.queue", "clip.failures"] {
            let sql = format!(
                "DELETE FROM {empty} WHERE relation OPERATOR(pg_catalog.=) $1::pg_catalog.regclass AND \
                 embedding_column OPERATOR(pg_catalog.=) $2::pg_catalog.name AND key OPERATOR(pg_catalog.=) '{{}}'"
            );
            client.update(&sql, None, &arguments)?;
        }
        let sql = format!(
            "INSERT INTO clip.queue (relation, embedding_column, key) SELECT $1::pg_catalog.regclass, $2::pg_catalog.name, {key} \
             FROM {} t WHERE t.{} IS NULL AND {}",
            table.rows(),
            quote_identifier(embedding),
            table.columns.present("t"),
        );
        with_canonical_output(true, || client.update(&in_server(&sql), None, &arguments).map(drop))
    })
}
