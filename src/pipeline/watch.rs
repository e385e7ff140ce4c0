//! A limit for the time of code that is not ours: triggers, policies, types and functions of a table, and its locks.
//!
//! While it runs a worker can do nothing else. After [`HELD_UP`] others are told, so that another worker takes up what waits;
//! after `clip.worker_timeout` it is cancelled, as `statement_timeout` would, again and again until it gives in; a worker
//! whose cancels are all caught ends.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::time::{Duration, Instant};

use pgrx::pg_sys;
use pgrx::pg_sys::errcodes::PgSqlErrorCode;
use pgrx::pg_sys::panic::CaughtError;

use super::attachment::Attachment;
use super::attempt::{attempt_or, failure_of, is_cancel};
use super::failure::Failure;
use super::retry_policy::{Cause, after_strikes};
use crate::guc;
use crate::pg::users::as_owner;
use crate::wake;

/// From then on a worker counts as held up by what it runs.
const HELD_UP: Duration = Duration::from_millis(500);
/// How often what did not give in is cancelled again.
const AGAIN: Duration = Duration::from_millis(100);
/// What has caught so many cancels is ended with its worker.
const LAST: u32 = 50;
/// As above, where others have no worker.
const LAST_CUT_SHORT: u32 = 3;

/// How often the running code was cancelled.
static STRIKES: AtomicU32 = AtomicU32::new(0);
/// It had time left, but others could not wait.
static CUT_SHORT: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// PostgreSQL's numbers of the two timeouts.
    static TIMEOUTS: Cell<Option<[i32; 2]>> = const { Cell::new(None) };
}

// `utils/timeout.h`. The handlers run in a signal handler.
unsafe extern "C-unwind" {
    fn RegisterTimeout(id: i32, handler: unsafe extern "C-unwind" fn()) -> i32;
    fn enable_timeout_every(id: i32, first: pg_sys::TimestampTz, milliseconds: i32);
    fn disable_timeout(id: i32, keep_indicator: bool);
}

/// For any id that is none of PostgreSQL's own it gives the next one that is free.
const ANY_TIMEOUT: i32 = 1000;

/// The time that one table's code has for one batch.
pub struct Watch {
    owner: pg_sys::Oid,
    root: pg_sys::Oid,
    limit: Option<Duration>,
    spent: Cell<Duration>,
    over: Cell<Option<Cause>>,
}

impl Watch {
    pub fn new(table: &Attachment) -> Self {
        let (owner, root) = (table.owner, table.root);
        Self { owner, root, limit: guc::worker_timeout(), spent: Cell::default(), over: Cell::new(None) }
    }

    /// For work that somebody waits for, and may cancel.
    pub fn without_limit(table: &Attachment) -> Self {
        Self { limit: None, ..Self::new(table) }
    }

    /// Is its time up? What was not tried by then has to wait.
    pub fn is_over(&self) -> bool {
        self.over.get().is_some()
    }

    /// Runs `f` as the table's owner in a subtransaction, as [`super::attempt::attempt`] does.
    pub fn attempt<T, E: Into<Failure>>(&self, f: impl FnOnce() -> Result<T, E>) -> Result<T, Failure> {
        if self.is_over() {
            return Err(not_tried());
        }
        let begun = Instant::now();
        self.arm();
        let result = attempt_or(
            || {
                let result = as_owner(self.owner, f);
                self.disarm();
                result
            },
            |caught| {
                self.disarm();
                self.failure(caught)
            },
        );
        self.spent.set(self.spent.get() + begun.elapsed());
        if STRIKES.load(SeqCst) > 0 && !self.is_over() {
            self.over.set(Some(Cause::TimedOut));
        }
        if self.over.get() == Some(Cause::TimedOut) || CUT_SHORT.load(SeqCst) {
            pause(self.root.to_u32());
        }
        result
    }

    fn failure(&self, caught: Box<CaughtError>) -> Failure {
        if CUT_SHORT.load(SeqCst) {
            self.over.set(Some(Cause::NotTried));
            return not_tried();
        }
        if STRIKES.load(SeqCst) > 0 {
            self.over.set(Some(Cause::TimedOut));
            return timed_out();
        }
        if is_cancel(&caught) {
            caught.rethrow();
        }
        failure_of(&caught)
    }

    /// Runs `f` with all items at once, and where that fails with each half of them: in the end a bad one fails alone.
    pub fn attempt_each<T, R>(
        &self,
        items: &[T],
        f: &mut impl FnMut(&[T]) -> Result<Vec<R>, Failure>,
    ) -> Vec<Result<R, Failure>> {
        if items.is_empty() {
            return Vec::new();
        }
        match self.attempt(|| f(items)) {
            Ok(values) => values.into_iter().map(Ok).collect(),
            Err(failure) if items.len() == 1 || self.is_over() => items.iter().map(|_| Err(failure.clone())).collect(),
            Err(_) => {
                let (left, right) = items.split_at(items.len() / 2);
                let mut results = self.attempt_each(left, f);
                results.extend(self.attempt_each(right, f));
                results
            }
        }
    }

    fn arm(&self) {
        STRIKES.store(0, SeqCst);
        CUT_SHORT.store(false, SeqCst);
        wake::enter_foreign_code(self.owner.to_u32(), self.root.to_u32());
        // SAFETY: PostgreSQL's timeouts, whose handlers touch atomics and flags that are made for signal handlers.
        unsafe {
            let [limit, held_up] = TIMEOUTS.get().unwrap_or_else(|| {
                let ids = [RegisterTimeout(ANY_TIMEOUT, on_limit), RegisterTimeout(ANY_TIMEOUT, on_held_up)];
                TIMEOUTS.set(Some(ids));
                ids
            });
            if let Some(time) = self.limit {
                every(limit, time.saturating_sub(self.spent.get()), AGAIN);
            }
            if wake::is_worker() {
                every(held_up, HELD_UP, HELD_UP);
            }
        }
    }

    fn disarm(&self) {
        // SAFETY: as above. A cancel that came too late for what it was meant for must not meet anything else.
        unsafe {
            if let Some(ids) = TIMEOUTS.get() {
                ids.into_iter().for_each(|id| disable_timeout(id, false));
            }
            if STRIKES.load(SeqCst) > 0 || CUT_SHORT.load(SeqCst) {
                (&raw mut pg_sys::QueryCancelPending).write_volatile(0);
            }
        }
        wake::leave_foreign_code();
    }
}

/// # Safety
///
/// A timeout that was registered.
unsafe fn every(id: i32, first: Duration, then: Duration) {
    let milliseconds = |time: Duration| i32::try_from(time.as_millis()).unwrap_or(i32::MAX).max(1);
    // SAFETY: the caller's promise.
    unsafe {
        let due = pg_sys::GetCurrentTimestamp().saturating_add(i64::from(milliseconds(first)) * 1000);
        enable_timeout_every(id, due, milliseconds(then));
    }
}

/// Workers take none of a table's rows for a while, which is longer with each time.
pub fn pause(root: u32) {
    wake::pause(root, after_strikes);
}

fn not_tried() -> Failure {
    let message = "code of the table kept the worker from the others, so that it was stopped before it came to the row";
    Failure { cause: Cause::NotTried, ..Failure::new(PgSqlErrorCode::ERRCODE_QUERY_CANCELED, message) }
}

fn timed_out() -> Failure {
    let limit = guc::worker_timeout().unwrap_or_default().as_millis();
    let message = format!("code of the table took longer than clip.worker_timeout ({limit} ms)");
    Failure { cause: Cause::TimedOut, ..Failure::new(PgSqlErrorCode::ERRCODE_QUERY_CANCELED, message) }
}

/// Where [`gave_up`] is true.
pub fn not_cancelled() -> Failure {
    let message = "code of the table did not let itself be cancelled, so that its worker was ended";
    Failure { cause: Cause::TimedOut, ..Failure::new(PgSqlErrorCode::ERRCODE_QUERY_CANCELED, message) }
}

/// Did this process end because what it ran did not let itself be cancelled?
pub fn gave_up() -> bool {
    STRIKES.load(SeqCst) > if CUT_SHORT.load(SeqCst) { LAST_CUT_SHORT } else { LAST }
}

unsafe extern "C-unwind" fn on_limit() {
    let strikes = STRIKES.fetch_add(1, SeqCst) + 1;
    cancel();
    if strikes > LAST && wake::is_worker() {
        // SAFETY: a flag that is written in signal handlers.
        unsafe { (&raw mut pg_sys::ProcDiePending).write_volatile(1) };
    }
}

unsafe extern "C-unwind" fn on_held_up() {
    if wake::report_held_up() {
        CUT_SHORT.store(true, SeqCst);
    }
    if CUT_SHORT.load(SeqCst) {
        // From now on as after the limit.
        if STRIKES.fetch_add(1, SeqCst) + 1 > LAST_CUT_SHORT {
            // SAFETY: a flag that is written in signal handlers.
            unsafe { (&raw mut pg_sys::ProcDiePending).write_volatile(1) };
        }
        cancel();
    }
}

fn cancel() {
    // SAFETY: flags that are written in signal handlers. PostgreSQL sets the process's latch after the handler.
    unsafe {
        (&raw mut pg_sys::QueryCancelPending).write_volatile(1);
        (&raw mut pg_sys::InterruptPending).write_volatile(1);
    }
}
