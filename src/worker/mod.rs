//! Background workers that empty the queue, where the library is preloaded.
//!
//! One launcher for the server, which is connected to no database, starts workers for the databases that have work
//! ([`launcher`]). A worker ([`main`]) empties its database's queue, waits a moment for more, and ends: nobody who wants
//! to drop or copy the database finds it connected for long. Commits that enqueue set latches ([`shared`]).

mod launcher;
mod main;
mod shared;

use std::cell::Cell;

use pgrx::pg_sys;

pub use launcher::register;
use shared::shared;

thread_local! {
    /// Has the running transaction enqueued something?
    static CALL: Cell<bool> = const { Cell::new(false) };
    static REGISTERED: Cell<bool> = const { Cell::new(false) };
}

/// Wakes the database's workers when the running transaction commits.
#[allow(unsafe_code)]
pub fn wake_at_commit() {
    if shared().is_none() {
        return;
    }
    CALL.set(true);
    if !REGISTERED.replace(true) {
        // SAFETY: the callback stays registered as long as the process, and the library is never unloaded.
        unsafe { pg_sys::RegisterXactCallback(Some(at_end), std::ptr::null_mut()) };
    }
}

/// Runs when a transaction has ended; it must not fail, and calls nothing that could.
#[allow(unsafe_code)]
unsafe extern "C-unwind" fn at_end(event: pg_sys::XactEvent::Type, _: *mut std::ffi::c_void) {
    use pg_sys::XactEvent::*;
    match event {
        XACT_EVENT_COMMIT => {
            if CALL.replace(false)
                && let Some(shared) = shared()
            {
                // SAFETY: reads a variable of this process.
                shared.wake(unsafe { pg_sys::MyDatabaseId }.to_u32());
            }
        }
        XACT_EVENT_ABORT | XACT_EVENT_PREPARE => CALL.set(false),
        _ => {}
    }
}
