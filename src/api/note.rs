//! `clip.note`: the one way in which SQL functions write the bookkeeping of backfills and model changes. It checks that
//! the caller owns the relation and then runs one fixed statement.

use pgrx::{pg_extern, pg_sys};

use crate::error::{SqlState, raise};
use crate::{registry, upgrade};

/// Statements by name. $2 and $3 are the relation and its embedding column, $4 the other values as text.
const STATEMENTS: &[(&str, &std::ffi::CStr)] = &[
    (
        "backfill: begin",
        c"INSERT INTO clip.backfills (relation, embedding_column, rows_total, part, place) \
          VALUES ($2, $3, ($4)[1]::pg_catalog.int8, ($4)[2]::pg_catalog.oid::pg_catalog.regclass, ($4)[3]::pg_catalog.tid) \
          ON CONFLICT (relation, embedding_column) DO UPDATE SET rows_total = excluded.rows_total, part = excluded.part, \
          place = excluded.place, rows_done = 0, rows_resumed = 0, rows_failed = 0, pass_done = 0, idle_passes = 0, \
          started_at = excluded.started_at, resumed_at = excluded.resumed_at, updated_at = excluded.updated_at, \
          finished_at = NULL",
    ),
    (
        "backfill: resume",
        c"UPDATE clip.backfills SET rows_resumed = rows_done, idle_passes = 0, resumed_at = pg_catalog.clock_timestamp(), \
          updated_at = pg_catalog.clock_timestamp() \
          WHERE relation OPERATOR(pg_catalog.=) $2 AND embedding_column OPERATOR(pg_catalog.=) $3",
    ),
    (
        "backfill: batch",
        c"UPDATE clip.backfills SET part = ($4)[1]::pg_catalog.oid::pg_catalog.regclass, place = ($4)[2]::pg_catalog.tid, \
          rows_done = rows_done OPERATOR(pg_catalog.+) ($4)[3]::pg_catalog.int8, \
          rows_failed = rows_failed OPERATOR(pg_catalog.+) ($4)[4]::pg_catalog.int8, \
          pass_done = ($4)[5]::pg_catalog.int8, pass_left = ($4)[6]::pg_catalog.int8, \
          idle_passes = ($4)[7]::pg_catalog.int4, updated_at = pg_catalog.clock_timestamp() \
          WHERE relation OPERATOR(pg_catalog.=) $2 AND embedding_column OPERATOR(pg_catalog.=) $3",
    ),
    (
        "backfill: finish",
        c"UPDATE clip.backfills SET finished_at = pg_catalog.clock_timestamp(), updated_at = pg_catalog.clock_timestamp() \
          WHERE relation OPERATOR(pg_catalog.=) $2 AND embedding_column OPERATOR(pg_catalog.=) $3",
    ),
    (
        "backfill: forget errors",
        c"DELETE FROM clip.backfill_errors \
          WHERE relation OPERATOR(pg_catalog.=) $2 AND embedding_column OPERATOR(pg_catalog.=) $3",
    ),
    (
        "backfill: error",
        c"INSERT INTO clip.backfill_errors (relation, embedding_column, part, place, version, key, sqlstate, message) \
          VALUES ($2, $3, ($4)[1]::pg_catalog.oid::pg_catalog.regclass, ($4)[2]::pg_catalog.tid, ($4)[3]::pg_catalog.xid, \
          ($4)[4]::pg_catalog.jsonb, ($4)[5], ($4)[6]) ON CONFLICT (relation, embedding_column, part, place) DO UPDATE \
          SET version = excluded.version, key = excluded.key, sqlstate = excluded.sqlstate, message = excluded.message, \
          failed_at = excluded.failed_at",
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
