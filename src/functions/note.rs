//! `clip.note`: the one way in which SQL functions write the bookkeeping of model changes. It checks that the caller owns the
//! relation and then runs one fixed statement.

use pgrx::{pg_extern, pg_sys};

use crate::attachment::registry;
use crate::error::{SqlState, raise};
use crate::upgrade;

/// Statements by name. $2 and $3 are the relation and its embedding column, $4 the other values as text.
const STATEMENTS: &[(&str, &std::ffi::CStr)] = &[
    (
        "backfill: again",
        c"DELETE FROM clip.backfills WHERE relation OPERATOR(pg_catalog.=) $2 \
          AND embedding_column OPERATOR(pg_catalog.=) $3 AND finished_at IS NOT NULL",
    ),
    (
        "change: begin",
        c"INSERT INTO clip.model_changes (relation, embedding_column, new_column, model, fingerprint, dimensions, \
          skip_missing) VALUES ($2, $3, ($4)[1]::pg_catalog.name, ($4)[2], ($4)[3], ($4)[4]::pg_catalog.int4, \
          ($4)[5]::pg_catalog.bool)",
    ),
    (
        "change: stage",
        c"WITH gone AS (DELETE FROM clip.index_failures WHERE relation OPERATOR(pg_catalog.=) $2) \
          UPDATE clip.model_changes SET stage = ($4)[1], skip_missing = ($4)[2]::pg_catalog.bool, \
          waits_for = ($4)[3]::pg_catalog.text[] WHERE relation OPERATOR(pg_catalog.=) $2 AND embedding_column OPERATOR(pg_catalog.=) $3",
    ),
    (
        "change: index failure",
        c"INSERT INTO clip.index_failures (relation, old_index, message) VALUES ($2, ($4)[1]::pg_catalog.oid, ($4)[2]) \
          ON CONFLICT (relation, old_index) DO UPDATE SET message = excluded.message",
    ),
    // What is no index's number is a part of clip_create_index's.
    (
        "index: begin",
        c"DELETE FROM clip.index_failures WHERE relation OPERATOR(pg_catalog.=) $2 \
          AND old_index OPERATOR(pg_catalog.<) '16384'::pg_catalog.oid",
    ),
    (
        "change: attach",
        c"INSERT INTO clip.tables (relation, embedding_column, text_column, image_column, modality_column, keep_images, \
          model, fingerprint, dimensions, pending) \
          SELECT t.relation, c.new_column, t.text_column, t.image_column, t.modality_column, t.keep_images, c.model, \
          c.fingerprint, c.dimensions, true FROM clip.model_changes c JOIN clip.tables t \
          ON t.relation OPERATOR(pg_catalog.=) c.relation \
          AND t.embedding_column OPERATOR(pg_catalog.=) c.embedding_column WHERE c.relation OPERATOR(pg_catalog.=) $2 AND c.embedding_column OPERATOR(pg_catalog.=) $3",
    ),
    (
        "change: switch",
        c"WITH c AS (SELECT * FROM clip.model_changes \
          WHERE relation OPERATOR(pg_catalog.=) $2 AND embedding_column OPERATOR(pg_catalog.=) $3), \
          gone AS (DELETE FROM clip.tables t USING c WHERE t.relation OPERATOR(pg_catalog.=) c.relation \
          AND t.embedding_column OPERATOR(pg_catalog.=) c.new_column) \
          UPDATE clip.tables t SET model = c.model, fingerprint = c.fingerprint, dimensions = c.dimensions FROM c \
          WHERE t.relation OPERATOR(pg_catalog.=) c.relation AND t.embedding_column OPERATOR(pg_catalog.=) c.embedding_column",
    ),
    // What is known of the old vectors is past. A row that waits has its entry, unless there is one of its new vector.
    (
        "change: forget failures",
        c"DELETE FROM clip.failures f WHERE f.relation OPERATOR(pg_catalog.=) $2 \
          AND f.embedding_column OPERATOR(pg_catalog.=) $3 AND (f.state OPERATOR(pg_catalog.<>) 'waiting' \
          OR EXISTS (SELECT FROM clip.failures n WHERE n.relation OPERATOR(pg_catalog.=) f.relation \
          AND n.embedding_column OPERATOR(pg_catalog.=) ($4)[1]::pg_catalog.name \
          AND n.key_hash OPERATOR(pg_catalog.=) f.key_hash))",
    ),
    (
        "change: keep failures",
        c"UPDATE clip.failures f SET embedding_column = $3 WHERE f.relation OPERATOR(pg_catalog.=) $2 \
          AND f.embedding_column OPERATOR(pg_catalog.=) ($4)[1]::pg_catalog.name AND NOT EXISTS (SELECT FROM clip.failures o \
          WHERE o.relation OPERATOR(pg_catalog.=) f.relation AND o.embedding_column OPERATOR(pg_catalog.=) $3 \
          AND o.key_hash OPERATOR(pg_catalog.=) f.key_hash)",
    ),
    // Rows whose keys changed meanwhile wait for the new vector under the new column's name.
    (
        "change: keep jobs",
        c"UPDATE clip.queue SET embedding_column = $3 WHERE relation OPERATOR(pg_catalog.=) $2 \
          AND embedding_column OPERATOR(pg_catalog.=) ($4)[1]::pg_catalog.name",
    ),
    (
        "change: end",
        c"DELETE FROM clip.model_changes \
          WHERE relation OPERATOR(pg_catalog.=) $2 AND embedding_column OPERATOR(pg_catalog.=) $3",
    ),
];

/// `(entry text, relation regclass, embedding_column name, VARIADIC details text[])`
#[pg_extern(sql = false)]
fn clip_note(entry: &str, relation: pg_sys::Oid, fcinfo: pg_sys::FunctionCallInfo) {
    registry::check_owner(relation);
    upgrade::check_schema();
    let Some((_, statement)) = STATEMENTS.iter().find(|(name, _)| *name == entry) else {
        raise(SqlState::UndefinedObject, format!("no entry \"{entry}\" in the books of pg_clip"), None)
    };
    registry::write(statement, &[pg_sys::TEXTOID, pg_sys::REGCLASSOID, pg_sys::NAMEOID, pg_sys::TEXTARRAYOID], fcinfo);
}
