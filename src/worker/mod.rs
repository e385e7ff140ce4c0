//! Background workers that empty the queue, where the library is preloaded.
//!
//! One launcher for the server, which is connected to no database, starts workers for the databases that have work
//! ([`launcher`]). A worker ([`main`]) empties its database's queue, waits a moment for more, and ends: nobody who wants
//! to drop or copy the database finds it connected for long. Commits that enqueue set latches ([`shared`]).

mod heap_look;
mod hints;
mod launcher;
mod main;
mod pauses;
mod shared;
mod taken_along;
mod utility;

use std::cell::Cell;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering::SeqCst};

use pgrx::pg_sys;

use crate::upgrade;
pub use launcher::register;
use shared::{Seat, Slot, shared};
pub use taken_along::was_taken_along;

thread_local! {
    /// The database whose workers are to be woken when the running transaction commits; 0 for none.
    static CALL: Cell<u32> = const { Cell::new(0) };
    static REGISTERED: Cell<bool> = const { Cell::new(false) };
}

/// What a worker has in shared memory; in other processes NULL.
static SLOT: AtomicPtr<Slot> = AtomicPtr::new(ptr::null_mut());
static SEAT: AtomicPtr<Seat> = AtomicPtr::new(ptr::null_mut());

/// Wakes the database's workers when the running transaction commits.
#[allow(unsafe_code)]
pub fn wake_at_commit() {
    hints::ensure();
    // Workers leave rows alone until ALTER EXTENSION, which wakes them.
    if shared().is_none() || !upgrade::schema_was_ours() {
        return;
    }
    // SAFETY: reads a variable of this process.
    wake_database_at_commit(unsafe { pg_sys::MyDatabaseId }.to_u32());
}

#[allow(unsafe_code)]
fn wake_database_at_commit(database: u32) {
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
#[allow(unsafe_code)]
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
        // Whoever commits what was prepared tells of it: see `utility`.
        XACT_EVENT_ABORT | XACT_EVENT_PREPARE => {
            CALL.set(0);
            upgrade::look_again();
        }
        _ => {}
    }
}

#[allow(unsafe_code)]
fn seat() -> Option<(&'static Slot, &'static Seat)> {
    // SAFETY: set once by a worker, to shared memory; all of it is atomics.
    unsafe { SLOT.load(SeqCst).as_ref().zip(SEAT.load(SeqCst).as_ref()) }
}

pub fn is_worker() -> bool {
    !SEAT.load(SeqCst).is_null()
}

/// From now on this process runs what a table's owner lets it.
pub fn enter_foreign_code(owner: u32, root: u32) {
    if let Some((_, seat)) = seat() {
        seat.enter_foreign_code(owner, root);
    }
}

/// Whether others wait while this worker has its rows, and when the next job is due: for the launcher, should this worker be
/// held up by then.
pub fn note_others(others: bool, next_due: Option<i64>) {
    if let Some((slot, seat)) = seat() {
        seat.others.store(others, SeqCst);
        if let Some(due) = next_due {
            slot.next.store(due, SeqCst);
        }
    }
}

pub fn leave_foreign_code() {
    if let Some((slot, seat)) = seat()
        && seat.leave_foreign_code()
    {
        // Others have stepped over what waits with it.
        slot.want();
    }
}

/// For a signal handler: this worker is held up. True where it has to let go.
pub fn report_held_up() -> bool {
    match (shared(), seat()) {
        (Some(shared), Some((slot, seat))) => shared.report_held_up(slot, seat),
        _ => false,
    }
}

/// Workers take none of a table's rows for a while.
#[allow(unsafe_code)]
pub fn pause(root: u32) {
    if let (Some(shared), true) = (shared(), is_worker()) {
        // SAFETY: reads a variable of this process.
        shared.pauses.begin(unsafe { pg_sys::MyDatabaseId }.to_u32(), root);
    }
}
