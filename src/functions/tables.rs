//! Functions that write `clip.tables` for the owner of a relation, which they check.

use pgrx::{Spi, pg_extern, pg_sys};

use crate::attachment::registry;
use crate::error::{SqlState, raise};
use crate::pg::datum::from_server;
use crate::pipeline::Attachment;
use crate::queue;

/// `(relation regclass, embedding_column name, text_column name, image_column name, modality_column name,
/// keep_images boolean, model text, fingerprint text, dimensions integer)`: the columns of `clip.tables` in order.
#[pg_extern(sql = false)]
fn clip_register(relation: pg_sys::Oid, fcinfo: pg_sys::FunctionCallInfo) {
    registry::check_owner(relation);
    // A temporary table goes without being dropped.
    registry::write(
        c"DELETE FROM clip.tables t WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_class c \
          WHERE c.oid OPERATOR(pg_catalog.=) t.relation)",
        &[],
        fcinfo,
    );
    registry::write(
        c"INSERT INTO clip.tables (relation, embedding_column, text_column, image_column, modality_column, \
          keep_images, model, fingerprint, dimensions) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        &[
            pg_sys::REGCLASSOID,
            pg_sys::NAMEOID,
            pg_sys::NAMEOID,
            pg_sys::NAMEOID,
            pg_sys::NAMEOID,
            pg_sys::BOOLOID,
            pg_sys::TEXTOID,
            pg_sys::TEXTOID,
            pg_sys::INT4OID,
        ],
        fcinfo,
    );
}

/// `(relation regclass, embedding_column name)`
#[pg_extern(sql = false)]
fn clip_unregister(relation: pg_sys::Oid, fcinfo: pg_sys::FunctionCallInfo) {
    registry::check_owner(relation);
    registry::write(
        c"DELETE FROM clip.queue WHERE embedding_column OPERATOR(pg_catalog.=) $2 AND (relation OPERATOR(pg_catalog.=) $1 \
          OR relation OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT p.relid FROM pg_catalog.pg_partition_tree($1) p)))",
        &[pg_sys::REGCLASSOID, pg_sys::NAMEOID],
        fcinfo,
    );
    registry::write(
        c"DELETE FROM clip.failures WHERE embedding_column OPERATOR(pg_catalog.=) $2 AND (relation OPERATOR(pg_catalog.=) $1 \
          OR relation OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT p.relid FROM pg_catalog.pg_partition_tree($1) p)))",
        &[pg_sys::REGCLASSOID, pg_sys::NAMEOID],
        fcinfo,
    );
    registry::write(
        c"DELETE FROM clip.model_changes WHERE relation OPERATOR(pg_catalog.=) $1 \
          AND embedding_column OPERATOR(pg_catalog.=) $2",
        &[pg_sys::REGCLASSOID, pg_sys::NAMEOID],
        fcinfo,
    );
    registry::write(
        c"DELETE FROM clip.tables WHERE relation OPERATOR(pg_catalog.=) $1 \
          AND embedding_column OPERATOR(pg_catalog.=) $2",
        &[pg_sys::REGCLASSOID, pg_sys::NAMEOID],
        fcinfo,
    );
}

/// Has a row `r` a source, as SQL? For statements that functions in SQL make. `(relation regclass, embedding_column name)`
#[pg_extern(sql = false)]
#[allow(unsafe_code)]
fn clip_source_condition(relation: pg_sys::Oid, embedding_column: &std::ffi::CStr) -> String {
    // SAFETY: a plain call; the lock is the transaction's.
    unsafe { pg_sys::LockRelationOid(relation, pg_sys::AccessShareLock as i32) };
    let table = Spi::connect_mut(|client| Attachment::find(client, relation, &from_server(embedding_column)));
    match table {
        Ok(Some(table)) => table.columns.present("r"),
        Ok(None) => raise(SqlState::UndefinedObject, "the column is not embedded by pg_clip", None),
        Err(e) => raise(SqlState::UndefinedObject, e.to_string(), None),
    }
}

/// Enqueues rows that waited under a primary key that was dropped. `(relation regclass, embedding_column name)`
#[pg_extern(sql = false)]
fn clip_enqueue_again(relation: pg_sys::Oid, embedding_column: &std::ffi::CStr) {
    queue::enqueue_again(relation, &from_server(embedding_column))
        .unwrap_or_else(|e| raise(SqlState::UndefinedObject, e.to_string(), None));
}
