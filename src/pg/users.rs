//! Work in another role's name.
#![allow(unsafe_code)]

use pgrx::pg_sys;

use crate::pg::settings::{SettingsLevel, set};

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
