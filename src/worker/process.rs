//! A worker: claims, embeds, writes, until its database's queue is empty.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use pgrx::{PgTryBuilder, pg_guard, pg_sys, spi};

use crate::backend::session;
use crate::guc;
use crate::pg::interrupts::pqsignal;
use crate::pg::settings::set;
use crate::pipeline::{Attachment, Failure, failure_of, gave_up, is_cancel, pause};
use crate::queue::{
    BATCH, Batch, Done, Group, Scope, Whose, claim, finish, give_back, hold, let_go, next_attempt, register_exit,
};
use crate::upgrade;
use crate::wake::shared::{Seat, Shared, Slot, shared};
use crate::wake::{self, hints, taken_along};

/// How long an idle worker stays, for the next commit. DROP DATABASE waits five seconds for others to leave.
const IDLE: Duration = Duration::from_secs(2);

/// How long a worker that is woken waits before it looks for work.
const GATHER: Duration = Duration::from_millis(3);

/// How long a worker leaves its processor to others after a commit.
const YIELD: Duration = Duration::from_micros(20);

/// What Linux 6.12 and later give a worker at a time. Whoever asks for less, as everybody does by default, takes the
/// processor away from it when he wakes up, and leaves it the same share.
const SLICE: Duration = Duration::from_millis(20);

/// How long rows wait on which a worker was when somebody cancelled it.
const CANCELLED: Duration = Duration::from_secs(5);

/// When somebody looks again for what others seem to be about to take.
const SOON: Duration = Duration::from_secs(1);

/// How long a table keeps its turn while others wait.
const TURN: Duration = Duration::from_millis(250);

/// How long others wait for a worker that computes before it asks for another one.
const LATE: Duration = Duration::from_millis(200);

#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn clip_worker_main(database: pg_sys::Datum) {
    let database = database.value() as u32;
    install_signal_handlers();
    be_patient();
    let Some(shared) = shared() else { return };
    let Some((slot, seat)) = shared.slot(database).zip(shared.sit(database)) else { return };
    wake::become_worker(slot, seat);
    // SAFETY: a callback for the end of this process, whatever it comes by.
    unsafe { pg_sys::before_shmem_exit(Some(stand_up), pg_sys::Datum::from(0)) };
    // Whatever ends this process before its time leaves this count too high; the launcher then waits for a while.
    slot.begun.fetch_add(1, SeqCst);
    // SAFETY: the database is one that the launcher saw; as in every background worker of a superuser.
    unsafe { pg_sys::BackgroundWorkerInitializeConnectionByOid(pg_sys::Oid::from(database), pg_sys::InvalidOid, 0) };
    register_exit();
    COUNTED.store(true, SeqCst);
    use_own_settings();
    let failed = PgTryBuilder::new(|| {
        work(shared, slot, seat);
        None
    })
    .catch_others(|caught| Some((failure_of(&caught), is_cancel(&caught))))
    .execute();
    match failed {
        // An administrator's cancel is nobody's failure. Of another one nobody knows where it comes from, where it is not that
        // of rows, which now wait: it would come again at once.
        Some((failure, is_cancel)) => {
            if recover(&failure, is_cancel) || is_cancel {
                end_in_order(slot);
                slot.want();
            }
        }
        None => end_in_order(slot),
    }
}

/// Is this process counted among those of its database that began?
static COUNTED: AtomicBool = AtomicBool::new(false);

fn end_in_order(slot: &Slot) {
    if COUNTED.swap(false, SeqCst) {
        slot.begun.fetch_sub(1, SeqCst);
    }
}

/// As autovacuum's workers: whatever the database's defaults are, the work is the same. The search_path stays: triggers find
/// what they name as they do in their writers' sessions, and our own statements name everything with its schema.
fn use_own_settings() {
    for (name, value) in [
        (c"default_transaction_isolation", c"read committed"),
        (c"default_transaction_read_only", c"off"),
        (c"default_transaction_deferrable", c"off"),
        (c"statement_timeout", c"0"),
        (c"lock_timeout", c"0"),
        (c"idle_in_transaction_session_timeout", c"0"),
        #[cfg(any(feature = "pg17", feature = "pg18"))]
        (c"transaction_timeout", c"0"),
    ] {
        // SAFETY: NUL-terminated strings, of settings that exist and values that they take.
        unsafe {
            let (context, source) = (pg_sys::GucContext::PGC_SUSET, pg_sys::GucSource::PGC_S_OVERRIDE);
            pg_sys::SetConfigOption(name.as_ptr(), value.as_ptr(), context, source);
        }
    }
}

/// After an error that nobody's row is known for: what was claimed goes back to the queue, with the error. False where nothing
/// was.
fn recover(failure: &Failure, is_cancel: bool) -> bool {
    pgrx::log!("pg_clip worker: {} ({})", failure.message, failure.sqlstate);
    // SAFETY: after an error the transaction is to be aborted, whatever state it is in.
    unsafe { pg_sys::AbortOutOfAnyTransaction() };
    transaction(|| give_back((!is_cancel).then_some(failure), CANCELLED))
}

/// Nobody is to be told of work by way of a process that is gone.
unsafe extern "C-unwind" fn stand_up(_code: i32, _: pg_sys::Datum) {
    if let Some((slot, seat)) = wake::seat() {
        if gave_up() {
            // Others have to go on, but not with that table. After an administrator's signal nobody does for a while: somebody
            // may want to drop the database.
            pause(seat.root());
            end_in_order(slot);
            slot.want();
        }
        seat.stand_up();
        if let Some(shared) = shared() {
            shared.wake_launcher();
        }
    }
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

fn work(shared: &'static Shared, slot: &'static Slot, seat: &Seat) {
    slot.take_call(); // before the look: ALTER EXTENSION calls again
    let is_other_schema = transaction(|| {
        hints::ensure();
        Ok(upgrade::is_other_schema())
    });
    if is_other_schema {
        return slot.next.store(0, SeqCst);
    }
    let (database, mut idle, mut worked) = (slot.database.load(SeqCst), false, false);
    loop {
        let (jobs, gone) = batches(shared, slot, seat);
        worked |= jobs > 0;
        // One that came to look and has found nothing leaves at once.
        if gone
            || guc::workers() == 0
            || shared.is_crowded()
            || shared.is_surplus(database, seat)
            || (jobs == 0 && (idle || !worked))
        {
            break;
        }
        report(pg_sys::BackendState::STATE_IDLE, "waiting for rows");
        seat.enter_idle();
        let end = Instant::now() + IDLE;
        while !slot.is_wanted() && !shared.is_crowded() && Instant::now() < end && guc::workers() > 0 {
            wait(end.saturating_duration_since(Instant::now()));
        }
        seat.leave_idle();
        // Whoever committed is about to answer a client, perhaps on this very processor; and more rows may follow.
        std::thread::sleep(GATHER);
        idle = !slot.is_wanted();
    }
    // SAFETY: a plain call.
    let now = unsafe { pg_sys::GetCurrentTimestamp() };
    slot.in_vain.store(if worked { 0 } else { now }, SeqCst);
    let barred = shared.barred(database);
    let next = transaction(|| next_attempt(&barred, |root| shared.pauses.until(database, root)));
    // What is due now, and was left, is in the hands of others.
    let soon = now + SOON.as_micros() as i64;
    slot.next.store(next.map_or(0, |next| next.max(soon)), SeqCst);
}

/// Batches until none is ready; the number of jobs that they dealt with, and whether the extension is gone.
///
/// While a batch is computed, the one before it is written and the next one is claimed, if there may be one: of the same
/// table, as nobody else's rows are to wait for what that table's code does. Tables take turns after a while.
fn batches(shared: &Shared, slot: &Slot, seat: &Seat) -> (usize, bool) {
    let (database, mut jobs, mut written, mut owed) = (slot.database.load(SeqCst), 0, None, false);
    let mut batch = claim_next(shared, slot, Whose::Next(slot.turn.load(SeqCst)), &mut owed);
    let mut since = Instant::now();
    loop {
        jobs += batch.jobs;
        let mut more = batch.more;
        let (mut following, last) = (None, batch.groups.len().saturating_sub(1));
        let turn = batch.turn.take();
        for (i, group) in batch.groups.into_iter().enumerate() {
            let what = format!("{} rows of {} with {}", group.items.len(), group.table.name, group.table.model);
            let may_claim = i == last && !batch.alone && guc::workers() > 0;
            let mut beside = Some(|| {
                write(shared, written.take());
                if let Some(turn) = turn.as_ref().filter(|_| may_claim && (more || slot.is_wanted())) {
                    let is_over = since.elapsed() > TURN;
                    let whose = if is_over { Whose::SameUnlessOthersWait(turn) } else { Whose::Same(turn) };
                    let next = claim_next(shared, slot, whose, &mut owed);
                    if is_over && next.jobs > 0 {
                        since = Instant::now();
                    }
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
                group.embed(&mut |model, kind, inputs| session::try_embed_beside(model, kind, inputs, &mut attend));
            attend(); // where there was nothing to compute
            written = Some((table, done, what));
        }
        match following {
            Some(following) if following.jobs > 0 => batch = following,
            _ => {
                write(shared, written.take());
                let is_over = batch.extension_is_gone || guc::workers() == 0 || shared.is_surplus(database, seat);
                if is_over || !(more || owed || slot.is_wanted()) {
                    return (jobs, batch.extension_is_gone);
                }
                batch = claim_next(shared, slot, Whose::Next(slot.turn.load(SeqCst)), &mut owed);
                since = Instant::now();
            }
        }
    }
}

/// `owed`: somebody has called, and no look at all tables has followed yet.
fn claim_next(shared: &Shared, slot: &Slot, whose: Whose<'_>, owed: &mut bool) -> Batch {
    report(pg_sys::BackendState::STATE_RUNNING, "claiming rows");
    let looks_at_all = matches!(whose, Whose::Next(_));
    let called = slot.take_call();
    *owed = !looks_at_all && (*owed || called);
    if *owed {
        wake::note_others(true, None);
    }
    let batch = transaction(|| claim(Scope::All, BATCH, whose, &shared.barred(slot.database.load(SeqCst))));
    hold(batch.groups.iter().flat_map(Group::ids));
    if let Some(turn) = &batch.turn {
        slot.turn.store(turn.owner.to_u32(), SeqCst);
    }
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

fn write(shared: &Shared, done: Option<(Attachment, Done, String)>) {
    if let Some((table, done, what)) = done {
        report(pg_sys::BackendState::STATE_RUNNING, &format!("writing {what}"));
        let ids: Vec<i64> = done.jobs().map(|job| job.id).collect();
        transaction(|| {
            // What a crash of the server undoes is in the queue again. Without a flush of its own it keeps no writer waiting for
            // the disk; the next claim's flush, which has to be, takes it along.
            set(c"synchronous_commit", c"off");
            finish(&table, done)
        });
        let_go(ids);
        // SAFETY: reads a variable of this process.
        shared.pauses.end(unsafe { pg_sys::MyDatabaseId }.to_u32(), table.root.to_u32());
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
        pqsignal(pg_sys::SIGHUP as i32, Some(on_reload));
        pqsignal(pg_sys::SIGINT as i32, Some(on_cancel));
        pqsignal(pg_sys::SIGTERM as i32, Some(on_terminate));
        pqsignal(pg_sys::SIGQUIT as i32, Some(taken_along::on_quit));
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
