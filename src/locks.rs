//! Locks of the extension's own. Advisory locks are anybody's: whoever may call a function could keep a table's owner from
//! working on it. These have a tag that no SQL statement takes, and are taken here alone, for who owns the table.
//!
//! `pg_locks` shows them as locks of an object of `clip.backfills`, `clip.model_changes` or `clip.index_failures` (see
//! `clip.is_locked`).
#![allow(unsafe_code)]

use std::ffi::CStr;

use pgrx::{pg_extern, pg_sys};

use crate::attachment::registry;

/// What a lock keeps others from. Named after the table whose oid is its class.
#[derive(Clone, Copy)]
pub enum Work {
    /// A step of a backfill or a change of model.
    Step,
    /// Building an index.
    IndexBuild,
    /// Having indexes built, one after the other.
    IndexRequest,
}

impl Work {
    fn table(self) -> &'static CStr {
        match self {
            Self::Step => c"backfills",
            Self::IndexBuild => c"model_changes",
            Self::IndexRequest => c"index_failures",
        }
    }

    fn tag(self, relation: pg_sys::Oid) -> pg_sys::LOCKTAG {
        // SAFETY: look-ups in PostgreSQL's caches, and a read of this process's state.
        unsafe {
            let schema = pg_sys::get_namespace_oid(c"clip".as_ptr(), false);
            pg_sys::LOCKTAG {
                locktag_field1: pg_sys::MyDatabaseId.to_u32(),
                locktag_field2: pg_sys::get_relname_relid(self.table().as_ptr(), schema).to_u32(),
                locktag_field3: relation.to_u32(),
                locktag_field4: 0,
                locktag_type: pg_sys::LockTagType::LOCKTAG_OBJECT as u8,
                // The method whose locks of a session end with its process.
                locktag_lockmethodid: pg_sys::USER_LOCKMETHOD as u8,
            }
        }
    }
}

/// `(relation regclass)`: the lock of a step, to the end of the transaction; `false` where another session has it.
#[pg_extern(sql = false)]
fn clip_try_lock(relation: pg_sys::Oid) -> bool {
    registry::check_owner(relation);
    acquire(Work::Step, relation, false, false)
}

/// The lock of a step, to the end of the transaction; `false` where another session has it. The caller has checked who calls.
pub fn try_lock_step(relation: pg_sys::Oid) -> bool {
    acquire(Work::Step, relation, false, false)
}

/// Waits for the lock of a step, and has it to the end of the transaction. The caller has checked who calls.
pub fn lock_step(relation: pg_sys::Oid) {
    acquire(Work::Step, relation, false, true);
}

/// The lock of who builds an index, as long as the session; `false` where another one has it.
pub fn try_lock_index_build(relation: pg_sys::Oid) -> bool {
    acquire(Work::IndexBuild, relation, true, false)
}

/// The lock of who has indexes built, over the transactions of a call; `None` where another session has it. The caller has
/// checked who calls.
pub fn hold_index_request(relation: pg_sys::Oid) -> Option<Held> {
    acquire(Work::IndexRequest, relation, true, false).then(|| Held(Work::IndexRequest.tag(relation)))
}

/// A lock of the session's, which is let go when the call ends, also by an error.
pub struct Held(pg_sys::LOCKTAG);

impl Drop for Held {
    fn drop(&mut self) {
        // SAFETY: a lock that this session has; a look-up in shared memory, whether there is a transaction or not.
        unsafe { pg_sys::LockRelease(&self.0, pg_sys::ExclusiveLock as i32, true) };
    }
}

fn acquire(work: Work, relation: pg_sys::Oid, of_session: bool, wait: bool) -> bool {
    // SAFETY: a lock whose tag is complete.
    unsafe {
        pg_sys::PreventCommandIfReadOnly(c"a backfill, a change of model or a build of indexes".as_ptr());
        pg_sys::LockAcquire(&work.tag(relation), pg_sys::ExclusiveLock as i32, of_session, !wait)
            != pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL
    }
}
