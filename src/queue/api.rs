//! The SQL functions of the queue: each checks that its caller owns the table.

use pgrx::datum::DatumWithOid;
use pgrx::{Spi, pg_extern, pg_sys};

use crate::attachment::registry;
use crate::pg::datum::{from_server, text_argument};
use crate::pg::users::as_superuser;
use crate::upgrade;
use crate::wake;

/// `(relation regclass, embedding_column name, mode text)`
#[pg_extern(sql = false)]
fn clip_save_mode(relation: pg_sys::Oid, fcinfo: pg_sys::FunctionCallInfo) {
    save_mode(relation, fcinfo);
}

/// Of 0.1.0: `clip.set_mode(relation regclass, embedding_column name, mode text)`
#[pg_extern(sql = false)]
fn clip_set_mode(relation: pg_sys::Oid, fcinfo: pg_sys::FunctionCallInfo) {
    save_mode(relation, fcinfo);
}

fn save_mode(relation: pg_sys::Oid, fcinfo: pg_sys::FunctionCallInfo) {
    registry::check_owner(relation);
    registry::write(
        c"UPDATE clip.tables SET mode = $3 WHERE relation OPERATOR(pg_catalog.=) $1 \
          AND embedding_column OPERATOR(pg_catalog.=) $2",
        &[pg_sys::REGCLASSOID, pg_sys::NAMEOID, pg_sys::TEXTOID],
        fcinfo,
    );
}

/// Has the queue rows of a table or of its partitions, or did some of them fail? Those that have their vectors are none of them.
#[pg_extern(sql = false)]
fn clip_rows_wait(relation: pg_sys::Oid, embedding_column: &core::ffi::CStr) -> Option<bool> {
    const SQL: &str = "SELECT EXISTS (SELECT FROM (SELECT $1::pg_catalog.regclass AS relid \
         UNION ALL SELECT p.relid FROM pg_catalog.pg_partition_tree($1) p) t \
         WHERE EXISTS (SELECT FROM clip.queue q WHERE q.relation OPERATOR(pg_catalog.=) t.relid \
         AND q.embedding_column OPERATOR(pg_catalog.=) $2::pg_catalog.name) \
         OR EXISTS (SELECT FROM clip.failures f WHERE f.relation OPERATOR(pg_catalog.=) t.relid \
         AND f.embedding_column OPERATOR(pg_catalog.=) $2::pg_catalog.name \
         AND f.state OPERATOR(pg_catalog.<>) 'embedded'))";
    registry::check_owner(relation);
    let arguments = [DatumWithOid::from(relation), text_argument(&from_server(embedding_column))];
    let found =
        as_superuser(|| Spi::connect_mut(|client| client.update(SQL, None, &arguments)?.first().get_one::<bool>()));
    found.unwrap_or_default()
}

/// Enqueues rows anew that were given up, of a table and its partitions; gives their number. A row without a primary key cannot
/// wait: it is for the next backfill.
#[pg_extern(sql = false)]
fn clip_retry(
    relation: Option<pg_sys::Oid>,
    embedding_column: Option<&core::ffi::CStr>,
    sqlstate: Option<&str>,
) -> Option<i64> {
    let relation = relation?;
    registry::check_owner(relation);
    upgrade::check_schema();
    let column = embedding_column.map(|name| text_argument(&from_server(name)));
    let count = as_superuser(|| {
        Spi::connect_mut(|client| {
            client
                .update(
                    // An entry that a writer has in its hands is that of a row which he repairs or deletes.
                    "WITH held AS (SELECT f.ctid AS entry FROM clip.failures f WHERE f.state OPERATOR(pg_catalog.=) 'dead' \
                     AND f.key IS NOT NULL AND (f.relation OPERATOR(pg_catalog.=) $1 \
                     OR f.relation OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT p.relid FROM pg_catalog.pg_partition_tree($1) p))) \
                     AND ($2 IS NULL OR f.embedding_column OPERATOR(pg_catalog.=) $2::pg_catalog.name) \
                     AND ($3 IS NULL OR f.sqlstate OPERATOR(pg_catalog.=) $3) FOR UPDATE OF f SKIP LOCKED), \
                     again AS (DELETE FROM clip.failures f USING held h WHERE f.ctid OPERATOR(pg_catalog.=) h.entry \
                     RETURNING f.relation, f.embedding_column, f.key) \
                     INSERT INTO clip.queue (relation, embedding_column, key) SELECT relation, embedding_column, key FROM again",
                    None,
                    &[DatumWithOid::from(relation), column.unwrap_or_else(DatumWithOid::null::<String>), sqlstate.into()],
                )
                .map(|table| table.len())
        })
    });
    let count =
        count.unwrap_or_else(|e| crate::error::raise(crate::error::SqlState::UndefinedObject, e.to_string(), None));
    if count > 0 {
        wake::wake_at_commit();
    }
    i64::try_from(count).ok()
}
