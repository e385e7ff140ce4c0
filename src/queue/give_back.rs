//! What this process has claimed, so that it can be given back when the process ends in good order.
#![allow(unsafe_code)]

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Once;
use std::time::Duration;

use pgrx::{pg_guard, pg_sys, spi};

use super::ledger;
use crate::pg::users::as_superuser;
use crate::pipeline::{Failure, gave_up, hold_extension, not_cancelled};

thread_local! {
    /// Claims that are committed.
    static HELD: RefCell<BTreeSet<i64>> = const { RefCell::new(BTreeSet::new()) };
}

/// Remembers claims once they are committed.
pub fn hold(ids: impl IntoIterator<Item = i64>) {
    HELD.with(|held| held.borrow_mut().extend(ids));
}

/// They are over, and that is committed.
pub fn let_go(ids: impl IntoIterator<Item = i64>) {
    HELD.with(|held| {
        let mut held = held.borrow_mut();
        ids.into_iter().for_each(|id| {
            held.remove(&id);
        });
    });
}

/// Gives back all that this process has claimed, in a transaction that the caller commits: it ends, or begins anew after an
/// error, in which case the `failure` is theirs. Without one they are ready again `after` a while. False where it had nothing.
pub fn give_back(failure: Option<&Failure>, after: Duration) -> spi::Result<bool> {
    let ids: Vec<i64> = HELD.with(|held| std::mem::take(&mut *held.borrow_mut())).into_iter().collect();
    if ids.is_empty() {
        return Ok(false);
    }
    as_superuser(|| {
        if hold_extension() {
            spi::Spi::connect_mut(|client| ledger::put_back(client, ids, failure, after))?;
        }
        Ok(true)
    })
}

/// A process that ends in good order, because it is told to or its client has left, is no crash. To be called once it is
/// connected.
pub fn register_exit() {
    static REGISTERED: Once = Once::new();
    // SAFETY: what is registered later runs earlier: before the server takes this process's means to run a transaction.
    REGISTERED.call_once(|| unsafe { pg_sys::before_shmem_exit(Some(at_exit), pg_sys::Datum::from(0)) });
}

#[pg_guard]
unsafe extern "C-unwind" fn at_exit(_code: i32, _argument: pg_sys::Datum) {
    if HELD.with(|held| held.borrow().is_empty()) {
        return;
    }
    // SAFETY: as PostgreSQL itself removes temporary tables when a process ends. The table is locked first, if that is
    // possible without waiting: nobody could end this process any more.
    unsafe {
        pg_sys::AbortOutOfAnyTransaction();
        pg_sys::StartTransactionCommand();
        let queue = pg_sys::get_relname_relid(c"queue".as_ptr(), pg_sys::get_namespace_oid(c"clip".as_ptr(), true));
        if queue != pg_sys::InvalidOid && pg_sys::ConditionalLockRelationOid(queue, pg_sys::RowExclusiveLock as i32) {
            pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
            let _ = give_back(gave_up().then(not_cancelled).as_ref(), Duration::ZERO);
            pg_sys::PopActiveSnapshot();
        }
        pg_sys::CommitTransactionCommand();
    }
}
