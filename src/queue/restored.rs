//! Rows that a dump of 0.1.0 brings into `clip.queue`: it had failures there.
#![allow(unsafe_code)]

use pgrx::spi::{self, Spi};
use pgrx::{pg_guard, pg_sys};

use crate::error::{SqlState, raise};
use crate::pg::users::as_superuser;

#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_clip_move_failures() -> *const pg_sys::Pg_finfo_record {
    const VERSION_1: pg_sys::Pg_finfo_record = pg_sys::Pg_finfo_record { api_version: 1 };
    &VERSION_1
}

/// On `clip.queue`, after statements, which the extension's own jobs do not come by.
#[unsafe(no_mangle)]
#[pg_guard]
pub unsafe extern "C-unwind" fn clip_move_failures(_fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    move_failures().unwrap_or_else(|e| raise(SqlState::UndefinedObject, e.to_string(), None));
    pg_sys::Datum::from(0)
}

/// The failures are written in the name of who restores them, so that they are about his tables alone.
fn move_failures() -> spi::Result<()> {
    let run = |sql: &str| Spi::connect_mut(|client| client.update(sql, None, &[]).map(|rows| rows.len()));
    let found = as_superuser(|| run("SELECT FROM clip.queue WHERE sqlstate IS NOT NULL LIMIT 1"))?;
    if found == 0 {
        return Ok(());
    }
    run(
        "INSERT INTO clip.failures (relation, embedding_column, key, sqlstate, message, attempts, state, enqueued_at, failed_at) \
         SELECT q.relation, q.embedding_column, q.key, q.sqlstate, coalesce(q.error, ''), q.attempts, \
         CASE WHEN q.failed_at IS NULL THEN 'waiting' ELSE 'dead' END, q.enqueued_at, coalesce(q.failed_at, pg_catalog.now()) \
         FROM clip.queue q WHERE q.sqlstate IS NOT NULL ON CONFLICT DO NOTHING",
    )?;
    as_superuser(|| {
        run("DELETE FROM clip.queue WHERE failed_at IS NOT NULL")?;
        run("UPDATE clip.queue SET sqlstate = NULL, error = NULL WHERE sqlstate IS NOT NULL")
    })?;
    Ok(())
}
