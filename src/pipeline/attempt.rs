//! Work that may fail without taking the transaction along.
#![allow(unsafe_code)]

use std::panic::AssertUnwindSafe;

use pgrx::pg_sys;
use pgrx::pg_sys::PgTryBuilder;
use pgrx::pg_sys::errcodes::PgSqlErrorCode;
use pgrx::pg_sys::panic::CaughtError;
use pgrx::spi::{self, SpiClient};

use super::failure::Failure;
use crate::upgrade;

/// Runs `f` in a subtransaction. An error, raised or given as a value, undoes what `f` did in the database and comes back
/// as a value; a statement that somebody has cancelled stays cancelled.
pub fn attempt<T, E: Into<Failure>>(f: impl FnOnce() -> Result<T, E>) -> Result<T, Failure> {
    attempt_or(f, |caught| if is_cancel(&caught) { caught.rethrow() } else { failure_of(&caught) })
}

/// As [`attempt`]; `failed` is asked, after the subtransaction, what an error means, and may raise it again.
pub fn attempt_or<T, E: Into<Failure>>(
    f: impl FnOnce() -> Result<T, E>,
    failed: impl FnOnce(Box<CaughtError>) -> Failure,
) -> Result<T, Failure> {
    // SAFETY: as PL/pgSQL's blocks with EXCEPTION do it: memory context and resource owner are put back after either end,
    // and an abort also restores the user and the settings.
    unsafe {
        let (context, owner) = (pg_sys::CurrentMemoryContext, pg_sys::CurrentResourceOwner);
        pg_sys::BeginInternalSubTransaction(std::ptr::null());
        pg_sys::CurrentMemoryContext = context;
        let f = AssertUnwindSafe(f);
        let result = PgTryBuilder::new(AssertUnwindSafe(|| Ok({ f }.0()))).catch_others(|e| Err(Box::new(e))).execute();
        pg_sys::CurrentMemoryContext = context;
        match result {
            Ok(Ok(_)) => pg_sys::ReleaseCurrentSubTransaction(),
            _ => pg_sys::RollbackAndReleaseCurrentSubTransaction(),
        }
        pg_sys::CurrentMemoryContext = context;
        pg_sys::CurrentResourceOwner = owner;
        match result {
            Ok(result) => result.map_err(Into::into),
            Err(caught) => Err(failed(caught)),
        }
    }
}

fn report_of(caught: &CaughtError) -> &pg_sys::panic::ErrorReportWithLevel {
    let (CaughtError::PostgresError(e) | CaughtError::ErrorReport(e) | CaughtError::RustPanic { ereport: e, .. }) =
        caught;
    e
}

pub fn failure_of(caught: &CaughtError) -> Failure {
    let e = report_of(caught);
    Failure::new(e.sql_error_code(), e.message())
}

/// Did PostgreSQL itself end the statement, for a cancel that was sent to this process? Anybody's code may raise errors with
/// the same SQLSTATE, a remote server's `statement_timeout` for one: those are failures like any other.
pub fn is_cancel(caught: &CaughtError) -> bool {
    let e = report_of(caught);
    e.sql_error_code() == PgSqlErrorCode::ERRCODE_QUERY_CANCELED && e.function_name() == Some("ProcessInterrupts")
}

/// From now on constraint triggers of this transaction run with each statement. One that waited for the commit could not run in
/// the sandbox of [`as_owner`], and must not run with the rights of whoever commits.
pub fn constraints_at_once(client: &mut SpiClient<'_>) -> spi::Result<()> {
    client.update("SET CONSTRAINTS ALL IMMEDIATE", None, &[]).map(drop)
}

/// Is the extension there, in the library's version? Holds it until the end of the transaction, so that DROP EXTENSION waits for the transaction, and
/// no statement in it can find half of the schema gone.
pub fn hold_extension() -> bool {
    // SAFETY: plain catalog look-ups and a lock, which is the transaction's.
    unsafe {
        let extension = pg_sys::get_extension_oid(c"pg_clip".as_ptr(), true);
        if extension == pg_sys::InvalidOid {
            return false;
        }
        pg_sys::LockDatabaseObject(pg_sys::ExtensionRelationId, extension, 0, pg_sys::AccessShareLock as i32);
        pg_sys::get_extension_oid(c"pg_clip".as_ptr(), true) == extension && upgrade::schema_is_ours()
    }
}
