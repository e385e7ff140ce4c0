//! Work that may fail without taking the transaction along, and work in another role's name.
#![allow(unsafe_code)]

use std::panic::AssertUnwindSafe;

use clip_core::Error;
use pgrx::pg_sys;
use pgrx::pg_sys::PgTryBuilder;
use pgrx::pg_sys::errcodes::PgSqlErrorCode;
use pgrx::pg_sys::panic::CaughtError;
use pgrx::spi;

use crate::settings::{SettingsLevel, set};

/// Why a job failed.
#[derive(Clone, Debug)]
pub struct Failure {
    pub sqlstate: String,
    pub message: String,
}

impl Failure {
    pub fn new(code: PgSqlErrorCode, message: impl Into<String>) -> Self {
        Self { sqlstate: sqlstate(code), message: message.into() }
    }

    /// Would the same input fail in the same way again? Classes: data exception, integrity constraint, feature not
    /// supported, program limit exceeded.
    pub fn is_permanent(&self) -> bool {
        ["22", "23", "0A", "54"].iter().any(|class| self.sqlstate.starts_with(class))
    }

    /// `lock_not_available`: nothing is wrong with the row.
    pub fn is_lock_timeout(&self) -> bool {
        self.sqlstate == "55P03"
    }
}

impl From<Error> for Failure {
    fn from(e: Error) -> Self {
        Self::new(crate::error::code(e.kind), e.message)
    }
}

impl From<spi::Error> for Failure {
    fn from(e: spi::Error) -> Self {
        Self::new(PgSqlErrorCode::ERRCODE_INTERNAL_ERROR, e.to_string())
    }
}

/// The five characters of a code, six bits each (PostgreSQL's `unpack_sql_state`).
fn sqlstate(code: PgSqlErrorCode) -> String {
    (0..5).map(|i| char::from((((code as i32) >> (6 * i)) & 0x3f) as u8 + b'0')).collect()
}

/// Runs `f` in a subtransaction. An error, raised or given as a value, undoes what `f` did in the database and comes back
/// as a value; a cancelled statement stays cancelled.
pub fn attempt<T, E: Into<Failure>>(f: impl FnOnce() -> Result<T, E>) -> Result<T, Failure> {
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
        result.map_or_else(|caught| Err(failure_of(caught)), |value| value.map_err(Into::into))
    }
}

fn failure_of(caught: Box<CaughtError>) -> Failure {
    let (CaughtError::PostgresError(e) | CaughtError::ErrorReport(e) | CaughtError::RustPanic { ereport: e, .. }) =
        &*caught;
    if e.sql_error_code() == PgSqlErrorCode::ERRCODE_QUERY_CANCELED {
        caught.rethrow();
    }
    Failure::new(e.sql_error_code(), e.message())
}

/// Runs `f`, which gives a value for each item, with all of them at once, and where that fails with each half of them: in
/// the end a bad one fails alone.
pub fn attempt_each<T, R>(items: &[T], f: &mut impl FnMut(&[T]) -> Result<Vec<R>, Failure>) -> Vec<Result<R, Failure>> {
    if items.is_empty() {
        return Vec::new();
    }
    match attempt(|| f(items)) {
        Ok(values) => values.into_iter().map(Ok).collect(),
        Err(failure) if items.len() == 1 => vec![Err(failure)],
        Err(_) => {
            let (left, right) = items.split_at(items.len() / 2);
            let mut results = attempt_each(left, f);
            results.extend(attempt_each(right, f));
            results
        }
    }
}

/// Runs `f` as the superuser, whom alone the tables of schema `clip` obey. Only for statements that are fixed and name
/// everything with its schema.
pub fn as_superuser<T>(f: impl FnOnce() -> T) -> T {
    as_user(pg_sys::Oid::from(pg_sys::BOOTSTRAP_SUPERUSERID), pg_sys::SECURITY_LOCAL_USERID_CHANGE, f)
}

/// Runs `f` as the owner of a table, in a security-restricted operation, as REINDEX and autovacuum do: whatever the
/// table's triggers, policies and types call, it has the owner's rights and cannot get at the caller's. What it does to
/// settings ends with `f`.
///
/// A row that a policy hides would look like one that is gone: the policies of the owner's own tables do not apply, as they
/// do not to the checks of foreign keys (`SECURITY_NOFORCE_RLS`).
pub fn as_owner<T>(owner: pg_sys::Oid, f: impl FnOnce() -> T) -> T {
    let level = SettingsLevel::enter();
    set(c"row_security", c"on");
    let context =
        pg_sys::SECURITY_LOCAL_USERID_CHANGE | pg_sys::SECURITY_RESTRICTED_OPERATION | pg_sys::SECURITY_NOFORCE_RLS;
    let result = as_user(owner, context, f);
    level.leave();
    result
}

fn as_user<T>(user: pg_sys::Oid, context: u32, f: impl FnOnce() -> T) -> T {
    let (mut before, mut flags) = (pg_sys::InvalidOid, 0);
    // SAFETY: the user is put back where `f` returns; where it fails, the abort of the (sub)transaction does it.
    unsafe {
        pg_sys::GetUserIdAndSecContext(&mut before, &mut flags);
        pg_sys::SetUserIdAndSecContext(user, flags | context as i32);
        let result = f();
        pg_sys::SetUserIdAndSecContext(before, flags);
        result
    }
}

/// Is the extension there? Holds it until the end of the transaction, so that DROP EXTENSION waits for the transaction, and
/// no statement in it can find half of the schema gone.
pub fn hold_extension() -> bool {
    // SAFETY: plain catalog look-ups and a lock, which is the transaction's.
    unsafe {
        let extension = pg_sys::get_extension_oid(c"pg_clip".as_ptr(), true);
        if extension == pg_sys::InvalidOid {
            return false;
        }
        pg_sys::LockDatabaseObject(pg_sys::ExtensionRelationId, extension, 0, pg_sys::AccessShareLock as i32);
        pg_sys::get_extension_oid(c"pg_clip".as_ptr(), true) == extension
    }
}
