//! Locks of the extension's own. Advisory locks are anybody's: whoever may call a function could keep a table's owner from
//! working on it. These have a tag that no SQL statement takes, and are taken here alone, for who owns the table.
//!
//! `pg_locks` shows them as locks of an object of `clip.backfills` or `clip.model_changes` (see `clip.is_locked`).
#![allow(unsafe_code)]

use std::ffi::CStr;

use pgrx::{pg_extern, pg_sys};

use crate::registry;

/// What a lock keeps others from. Named after the table whose oid is its class.
#[derive(Clone, Copy)]
pub enum Work {
    /// A step of a backfill or a change of model.
    Step,
    /// Building an index for a change of model.
    IndexBuild,
}

impl Work {
    fn table(self) -> &'static CStr {
        match self {
            Self::Step => c"backfills",
            Self::IndexBuild => c"model_changes",
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

fn acquire(work: Work, relation: pg_sys::Oid, of_session: bool, wait: bool) -> bool {
    // SAFETY: look-ups in PostgreSQL's caches, and a lock whose tag is complete.
    unsafe {
        pg_sys::PreventCommandIfReadOnly(c"a backfill or a change of model".as_ptr());
        let schema = pg_sys::get_namespace_oid(c"clip".as_ptr(), false);
        let class = pg_sys::get_relname_relid(work.table().as_ptr(), schema);
        let tag = pg_sys::LOCKTAG {
            locktag_field1: pg_sys::MyDatabaseId.to_u32(),
            locktag_field2: class.to_u32(),
            locktag_field3: relation.to_u32(),
            locktag_field4: 0,
            locktag_type: pg_sys::LockTagType::LOCKTAG_OBJECT as u8,
            // The method whose locks of a session end with its process.
            locktag_lockmethodid: pg_sys::USER_LOCKMETHOD as u8,
        };
        pg_sys::LockAcquire(&tag, pg_sys::ExclusiveLock as i32, of_session, !wait)
            != pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL
    }
}
