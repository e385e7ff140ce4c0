//! What lies between those who enqueue and the workers: commits that enqueue set latches ([`mod@shared`], [`wake_at_commit`]), and
//! a worker tells what it is at, so that others step over it.
//!
//! It knows nothing of what the work is. Where the library is not preloaded there are no workers and nobody is woken; which queues
//! are used is noted all the same ([`hints`]).

mod at_commit;
mod heap_look;
pub mod hints;
mod pauses;
pub mod shared;
pub mod taken_along;

use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering::SeqCst};
use std::time::Duration;

use pgrx::pg_sys;

pub use at_commit::{wake_at_commit, wake_database_at_commit};
pub use shared::Barred;
use shared::{Seat, Slot, shared};

/// What a worker has in shared memory; in other processes NULL.
static SLOT: AtomicPtr<Slot> = AtomicPtr::new(ptr::null_mut());
static SEAT: AtomicPtr<Seat> = AtomicPtr::new(ptr::null_mut());

/// From now on this process is a worker.
pub fn become_worker(slot: &'static Slot, seat: &'static Seat) {
    SLOT.store(ptr::from_ref(slot).cast_mut(), SeqCst);
    SEAT.store(ptr::from_ref(seat).cast_mut(), SeqCst);
}

#[allow(unsafe_code)]
pub fn seat() -> Option<(&'static Slot, &'static Seat)> {
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

/// Workers take none of a table's rows for a while; `length` gives how long, of the number of pauses in a row.
#[allow(unsafe_code)]
pub fn pause(root: u32, length: impl Fn(u32) -> Duration) {
    if let (Some(shared), true) = (shared(), is_worker()) {
        // SAFETY: reads a variable of this process.
        shared.pauses.begin(unsafe { pg_sys::MyDatabaseId }.to_u32(), root, length);
    }
}
