//! A worker: claims, embeds, writes, until its database's queue is empty.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use pgrx::{pg_guard, pg_sys, spi};

use super::shared::{Slot, shared};
use crate::guc;
use crate::queue::{Attachment, BATCH, Batch, Done, Scope, claim, embed, finish, next_attempt};
use crate::session;
use crate::settings::set;

/// How long an idle worker stays, for the next commit. DROP DATABASE waits five seconds for others to leave.
const IDLE: Duration = Duration::from_secs(2);

/// How long a worker that is woken waits before it looks for work.
const GATHER: Duration = Duration::from_millis(3);

/// How long a worker leaves its processor to others after a commit.
const YIELD: Duration = Duration::from_micros(20);

/// What Linux 6.12 and later give a worker at a time. Whoever asks for less, as everybody does by default, takes the
/// processor away from it when he wakes up, and leaves it the same share.
const SLICE: Duration = Duration::from_millis(20);

/// How long others wait for a worker that computes before it asks for another one.
const LATE: Duration = Duration::from_millis(200);

#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn clip_worker_main(database: pg_sys::Datum) {
    let database = database.value() as u32;
    install_signal_handlers();
    be_patient();
    let Some(slot) = shared().and_then(|shared| shared.slot(database)) else { return };
    // SAFETY: a callback for the end of this process, whatever it comes by; the slot is there as long as the server.
    unsafe { pg_sys::before_shmem_exit(Some(at_exit), pg_sys::Datum::from(slot as *const Slot)) };
    // Whatever ends this process before its time leaves this count too high; the launcher then waits for a while.
    slot.begun.fetch_add(1, SeqCst);
    // SAFETY: the database is one that the launcher saw; as in every background worker of a superuser.
    unsafe { pg_sys::BackgroundWorkerInitializeConnectionByOid(pg_sys::Oid::from(database), pg_sys::InvalidOid, 0) };
    work(slot);
    slot.begun.fetch_sub(1, SeqCst);
    if slot.is_wanted()
        && let Some(shared) = shared()
    {
        shared.wake_launcher();
    }
}

/// Nobody is to be told of work by way of a process that is gone.
unsafe extern "C-unwind" fn at_exit(_code: i32, slot: pg_sys::Datum) {
    // SAFETY: what it was registered with.
    unsafe { &*slot.cast_mut_ptr::<Slot>() }.leave_idle();
}

/// Whoever writes to the table is at work when a worker wakes up, perhaps on the processor that it went to sleep on: Linux
/// would let it take that away for some milliseconds at once. It has its share of the time as before.
fn be_patient() {
    #[cfg(target_os = "linux")]
    // SAFETY: system calls about this thread, and those it will start. Where they are refused, nothing changes.
    unsafe {
        let attributes = libc::sched_attr {
            size: size_of::<libc::sched_attr>() as u32,
            sched_policy: libc::SCHED_BATCH as u32,
            sched_flags: 0,
            sched_nice: libc::getpriority(libc::PRIO_PROCESS, 0),
            sched_priority: 0,
            sched_runtime: SLICE.as_nanos() as u64,
            sched_deadline: 0,
            sched_period: 0,
        };
        libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0);
    }
}

fn work(slot: &Slot) {
    let mut idle = false;
    loop {
        let (jobs, gone) = batches(slot);
        if gone || guc::workers() == 0 || (jobs == 0 && idle) {
            break;
        }
        report(pg_sys::BackendState::STATE_IDLE, "waiting for rows");
        slot.enter_idle();
        let end = Instant::now() + IDLE;
        while !slot.is_wanted() && Instant::now() < end && guc::workers() > 0 {
            wait(end.saturating_duration_since(Instant::now()));
        }
        slot.leave_idle();
        // Whoever committed is about to answer a client, perhaps on this very processor; and more rows may follow.
        std::thread::sleep(GATHER);
        idle = !slot.is_wanted();
    }
    let next = transaction(|| Ok(next_attempt()?.unwrap_or(0)));
    slot.next.store(next, SeqCst);
}

/// Batches until none is ready; the number of jobs that they dealt with, and whether the extension is gone.
///
/// While a batch is computed, the one before it is written and the next one is claimed, if there may be one.
fn batches(slot: &Slot) -> (usize, bool) {
    let (mut jobs, mut written) = (0, None);
    let mut batch = claim_next(slot, false);
    loop {
        jobs += batch.jobs;
        let mut more = batch.more;
        let (mut following, last) = (None, batch.groups.len().saturating_sub(1));
        for (i, group) in batch.groups.into_iter().enumerate() {
            let what = format!("{} rows of {} with {}", group.items.len(), group.table.name, group.table.model);
            let may_claim = i == last && !batch.alone && guc::workers() > 0;
            let mut beside = Some(|| {
                write(written.take());
                if may_claim && (more || slot.is_wanted()) {
                    let next = claim_next(slot, true);
                    more = next.more;
                    following = Some(next);
                }
                report(pg_sys::BackendState::STATE_RUNNING, &format!("embedding {what}"));
            });
            let mut late = Some(Instant::now() + LATE);
            let mut attend = || {
                pgrx::check_for_interrupts!();
                leave_with_the_server();
                if let Some(mut beside) = beside.take() {
                    beside();
                }
                if late.is_some_and(|late| Instant::now() > late) && slot.is_wanted() {
                    late = None;
                    wake_another(slot);
                }
            };
            let (table, done) =
                embed(group, &mut |model, kind, inputs| session::try_embed_beside(model, kind, inputs, &mut attend));
            attend(); // where there was nothing to compute
            written = Some((table, done, what));
        }
        match following {
            Some(following) if following.jobs > 0 => batch = following,
            _ => {
                write(written.take());
                if batch.extension_is_gone || !(more || slot.is_wanted()) || guc::workers() == 0 {
                    return (jobs, batch.extension_is_gone);
                }
                batch = claim_next(slot, false);
            }
        }
    }
}

fn claim_next(slot: &Slot, at_work: bool) -> Batch {
    report(pg_sys::BackendState::STATE_RUNNING, "claiming rows");
    slot.take_call();
    let batch = transaction(|| claim(Scope::All, BATCH, at_work));
    if batch.more && !batch.alone {
        wake_another(slot);
    }
    if batch.jobs > 0 {
        // Somebody's commit may have waited for this one's flush. Linux lets whom it wakes up wait for this very processor,
        // for as long as we go on.
        std::thread::sleep(YIELD);
    }
    batch
}

fn wake_another(slot: &Slot) {
    if guc::workers() > 1
        && let Some(shared) = shared()
    {
        shared.wake_another(slot);
    }
}

fn write(done: Option<(Attachment, Vec<Done>, String)>) {
    if let Some((table, done, what)) = done {
        report(pg_sys::BackendState::STATE_RUNNING, &format!("writing {what}"));
        transaction(|| {
            // What a crash of the server undoes is in the queue again. Without a flush of its own it keeps no writer waiting for
            // the disk; the next claim's flush, which has to be, takes it along.
            set(c"synchronous_commit", c"off");
            finish(&table, done)
        });
    }
}

fn transaction<T>(f: impl FnOnce() -> spi::Result<T>) -> T {
    // SAFETY: a transaction of this process, which is in none, with a snapshot that is popped before it ends.
    unsafe {
        pg_sys::SetCurrentStatementStartTimestamp();
        pg_sys::StartTransactionCommand();
        pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
        let value = f().unwrap_or_else(|e| pgrx::error!("pg_clip worker: {e}"));
        pg_sys::PopActiveSnapshot();
        pg_sys::CommitTransactionCommand();
        pg_sys::pgstat_report_stat(false);
        value
    }
}

/// For `pg_stat_activity`.
fn report(state: pg_sys::BackendState::Type, what: &str) {
    let what = CString::new(what).unwrap_or_default();
    // SAFETY: copies a NUL-terminated string into this process's entry.
    unsafe { pg_sys::pgstat_report_activity(state, what.as_ptr()) };
}

/// A worker whose server is gone must not stand in the next one's way.
fn leave_with_the_server() {
    // SAFETY: the end of this process; the parent of an orphan is another process.
    unsafe {
        if std::os::unix::process::parent_id() as i32 != pg_sys::PostmasterPid {
            pg_sys::proc_exit(1);
        }
    }
}

/// Waits for the latch or a timeout, and does what signals ask for: ends, or reads the configuration again.
pub fn wait(timeout: Duration) {
    // SAFETY: this process's own latch.
    unsafe {
        let events = pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH;
        let milliseconds = i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX).min(3_600_000);
        pg_sys::WaitLatch(pg_sys::MyLatch, events as i32, milliseconds, pg_sys::PG_WAIT_EXTENSION);
        pg_sys::ResetLatch(pg_sys::MyLatch);
        pgrx::check_for_interrupts!();
        if pg_sys::ConfigReloadPending != 0 {
            pg_sys::ConfigReloadPending = 0;
            pg_sys::ProcessConfigFile(pg_sys::GucContext::PGC_SIGHUP);
        }
    }
}

/// As a backend's: terminated and cancelled wherever it asks for interrupts, which the engine does between layers.
pub fn install_signal_handlers() {
    // SAFETY: PostgreSQL's own handlers, before signals are unblocked.
    unsafe {
        #[cfg(not(feature = "pg18"))]
        use pg_sys::pqsignal;
        #[cfg(feature = "pg18")]
        use pg_sys::pqsignal_be as pqsignal;
        pqsignal(pg_sys::SIGHUP as i32, Some(on_reload));
        pqsignal(pg_sys::SIGINT as i32, Some(on_cancel));
        pqsignal(pg_sys::SIGTERM as i32, Some(on_terminate));
        pg_sys::BackgroundWorkerUnblockSignals();
    }
}

// PostgreSQL's functions themselves: pgrx's wrappers expect to be called by the main program, not in a signal.
unsafe extern "C-unwind" {
    #[link_name = "SignalHandlerForConfigReload"]
    fn on_reload(signal: i32);
    #[link_name = "StatementCancelHandler"]
    fn on_cancel(signal: i32);
    #[link_name = "die"]
    fn on_terminate(signal: i32);
}
