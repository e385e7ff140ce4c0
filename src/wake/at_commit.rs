//! A transaction that has enqueued wakes the database's workers when it commits.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ptr;

use pgrx::pg_sys;

use super::hints;
use super::shared::shared;
use crate::upgrade;

thread_local! {
    /// The database whose workers are to be woken when the running transaction commits; 0 for none.
    static CALL: Cell<u32> = const { Cell::new(0) };
    static REGISTERED: Cell<bool> = const { Cell::new(false) };
}

/// Wakes the database's workers when the running transaction commits.
pub fn wake_at_commit() {
    hints::ensure();
    // Workers leave rows alone until ALTER EXTENSION, which wakes them.
    if shared().is_none() || !upgrade::schema_was_ours() {
        return;
    }
    // SAFETY: reads a variable of this process.
    wake_database_at_commit(unsafe { pg_sys::MyDatabaseId }.to_u32());
}

pub fn wake_database_at_commit(database: u32) {
    if shared().is_none() {
        return;
    }
    CALL.set(database);
    if !REGISTERED.replace(true) {
        // SAFETY: the callback stays registered as long as the process, and the library is never unloaded.
        unsafe { pg_sys::RegisterXactCallback(Some(at_end), ptr::null_mut()) };
    }
}

/// Runs when a transaction has ended; it must not fail, and calls nothing that could.
unsafe extern "C-unwind" fn at_end(event: pg_sys::XactEvent::Type, _: *mut std::ffi::c_void) {
    use pg_sys::XactEvent::*;
    match event {
        XACT_EVENT_COMMIT => {
            let database = CALL.replace(0);
            if database != 0
                && let Some(shared) = shared()
            {
                shared.wake(database);
            }
        }
        // Whoever commits what was prepared tells of it: see `worker/utility.rs`.
        XACT_EVENT_ABORT | XACT_EVENT_PREPARE => {
            CALL.set(0);
            upgrade::look_again();
        }
        _ => {}
    }
}
