//! Starts workers where there is work.
#![allow(unsafe_code)]

use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use pgrx::bgworkers::{BackgroundWorkerBuilder, BackgroundWorkerStatus, BgWorkerStartTime, DynamicBackgroundWorker};
use pgrx::{IntoDatum, PgTryBuilder, pg_guard, pg_sys};

use super::{process, utility};
use crate::guc;
use crate::wake::hints::{self, Look};
use crate::wake::shared::{self, NOT_COUNTED, Slot, WORKERS, shared};
use crate::wake::taken_along;

/// Between two visits of databases of which nothing is known.
const VISIT: Duration = Duration::from_millis(100);
/// The longest time between two rounds.
const ROUND: Duration = Duration::from_secs(300);
/// After a worker that ended with an error.
const PAUSE: Duration = Duration::from_secs(5);
/// How soon one more than usual is started again, where the last one has found nothing to do.
const IN_VAIN: Duration = Duration::from_secs(1);
/// How soon a worker is tried to be started again that has no place.
const PRESS: Duration = Duration::from_secs(1);

/// Called by `_PG_init` while the server preloads.
pub fn register() {
    // SAFETY: reads a flag of this process.
    if !guc::preloading() || unsafe { pg_sys::IsBinaryUpgrade } {
        return;
    }
    shared::request();
    taken_along::prepare();
    utility::register();
    builder("pg_clip launcher", "clip_launcher_main")
        .set_start_time(BgWorkerStartTime::RecoveryFinished)
        .set_restart_time(Some(PAUSE))
        .load();
}

fn builder(kind: &str, function: &str) -> BackgroundWorkerBuilder {
    BackgroundWorkerBuilder::new(kind).set_type(kind).set_library("pg_clip").set_function(function).enable_spi_access()
}

#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn clip_launcher_main(_argument: pg_sys::Datum) {
    process::install_signal_handlers();
    // SAFETY: no database, as the launchers of autovacuum and of logical replication: shared catalogs can be read.
    unsafe { pg_sys::BackgroundWorkerInitializeConnection(std::ptr::null(), std::ptr::null(), 0) };
    let Some(shared) = shared() else { return };
    shared.launcher_is_here();
    let mut launcher = Launcher::new(shared);
    launcher.look_around();
    loop {
        let wait = launcher.round();
        process::wait(wait);
    }
}

struct Launcher {
    shared: &'static shared::Shared,
    running: HashMap<u32, Vec<DynamicBackgroundWorker>>,
    /// Databases in which a worker failed, and until when none is started there.
    paused: HashMap<u32, Instant>,
    /// Databases of which nothing is known: they are visited one after the other.
    to_visit: Vec<u32>,
    visiting: Option<u32>,
    /// Whether the end of the visits is to be noted.
    note_end: bool,
    /// That the server has no place for a worker, once.
    told: bool,
    told_full: bool,
}

impl Launcher {
    fn new(shared: &'static shared::Shared) -> Self {
        Self {
            shared,
            running: HashMap::new(),
            paused: HashMap::new(),
            to_visit: Vec::new(),
            visiting: None,
            note_end: true,
            told: false,
            told_full: false,
        }
    }

    /// After a start nobody knows which queues have been left full, but what lies on the disk tells of most.
    fn look_around(&mut self) {
        let all = databases(true);
        let some = databases(false);
        let looked = PgTryBuilder::new(AssertUnwindSafe(|| in_transaction(|| hints::look(&some, &all))))
            .catch_others(|_| {
                // SAFETY: after an error the transaction is to be aborted, whatever state it is in.
                unsafe { pg_sys::AbortOutOfAnyTransaction() };
                some.iter().map(|database| (*database, Look::NotKnown)).collect()
            })
            .execute();
        for (database, look) in looked {
            match look {
                Look::Work => self.want(database),
                Look::NotKnown => self.to_visit.push(database),
                Look::Nothing => {}
            }
        }
        self.to_visit.reverse();
    }

    fn want(&mut self, database: u32) {
        match self.shared.slot(database) {
            Some(slot) => slot.want(),
            None => self.to_visit.insert(0, database),
        }
    }

    fn is_running(&self, database: u32) -> bool {
        self.running.get(&database).is_some_and(|workers| !workers.is_empty())
    }

    /// One database after the other; gives how long to wait for the next.
    fn visit(&mut self) -> Duration {
        if self.shared.take_full() {
            if !std::mem::replace(&mut self.told_full, true) {
                pgrx::log!("pg_clip has no place for another database with rows that wait: it looks into all of them");
            }
            let known: HashSet<u32> = self.shared.slots().iter().map(|slot| slot.database.load(SeqCst)).collect();
            self.to_visit = databases(false).into_iter().filter(|database| !known.contains(database)).collect();
        }
        if guc::workers() == 0 {
            return ROUND;
        }
        if let Some(database) = self.visiting {
            let slot = self.shared.slots().iter().find(|slot| slot.database.load(SeqCst) == database);
            let is_over = slot.is_none_or(|slot| !slot.is_wanted() && !self.is_running(database));
            if !is_over && !self.paused.contains_key(&database) {
                return VISIT;
            }
            self.visiting = None;
        }
        match self.to_visit.pop() {
            Some(database) => {
                self.visiting = self.shared.slot(database).map(|slot| {
                    slot.want();
                    database
                });
                if self.visiting.is_none() {
                    self.to_visit.insert(0, database);
                }
                VISIT
            }
            None => {
                if std::mem::take(&mut self.note_end) {
                    hints::complete();
                }
                ROUND
            }
        }
    }

    /// Starts what is to be started; gives how long to wait for the next round.
    fn round(&mut self) -> Duration {
        for workers in self.running.values_mut() {
            workers.retain(|worker| !matches!(worker.pid(), Err(BackgroundWorkerStatus::Stopped)));
        }
        self.running.retain(|_, workers| !workers.is_empty());
        let now = Instant::now();
        self.paused.retain(|_, until| *until > now);
        let mut wait = self.visit();
        // SAFETY: a plain call.
        let time = unsafe { pg_sys::GetCurrentTimestamp() };
        let (mut existing, mut seen): (Option<HashSet<u32>>, HashSet<u32>) = (None, HashSet::new());
        for slot in self.shared.slots() {
            let database = slot.database.load(SeqCst);
            if database == 0 {
                continue;
            }
            if !seen.insert(database) {
                // Two writers have taken one each at the same moment: workers know of the first.
                slot.next.store(0, SeqCst);
                slot.begun.store(0, SeqCst);
                self.shared.free(slot, database);
                self.want(database);
                wait = Duration::ZERO;
                continue;
            }
            if !self.is_running(database) && slot.begun.swap(0, SeqCst) > 0 {
                self.paused.insert(database, now + PAUSE);
                slot.want();
            }
            let next = slot.next.load(SeqCst);
            if next != 0 && next <= time {
                slot.next.store(0, SeqCst);
                slot.want();
            } else if next != 0 {
                wait = wait.min(Duration::from_micros((next - time) as u64));
            }
            if slot.is_quiet() && !self.is_running(database) && self.visiting != Some(database) {
                if self.shared.free(slot, database) {
                    self.want(database);
                    wait = Duration::ZERO;
                }
                continue;
            }
            if !slot.is_wanted() {
                continue;
            }
            if let Some(until) = self.paused.get(&database) {
                wait = wait.min(*until - now);
                continue;
            }
            if !existing.get_or_insert_with(|| databases(false).into_iter().collect()).contains(&database) {
                slot.take_call();
                slot.next.store(0, SeqCst);
                slot.begun.store(0, SeqCst);
                self.shared.free(slot, database);
                continue;
            }
            wait = wait.min(self.start(slot, database));
        }
        wait
    }

    /// Starts a worker where there may be one more.
    fn start(&mut self, slot: &Slot, database: u32) -> Duration {
        let held_up = self.shared.held_up(database);
        let workers = self.running.entry(database).or_default();
        // One at a time: it asks for another one if it finds more than it takes. One that has not begun yet will look.
        let begun = slot.begun.load(SeqCst) as usize;
        if workers.len() > begun {
            return ROUND;
        }
        if workers.len() >= guc::workers().min(WORKERS) {
            // One more has looked just now, and all that waits is behind those that are held up.
            // SAFETY: a plain call.
            let since = unsafe { pg_sys::GetCurrentTimestamp() } - slot.in_vain.load(SeqCst);
            let left = IN_VAIN.saturating_sub(Duration::from_micros(u64::try_from(since).unwrap_or(0)));
            if !left.is_zero() {
                return left;
            }
        }
        let is_full = workers.len() >= guc::workers().min(WORKERS) + held_up.min(NOT_COUNTED);
        if guc::workers() == 0 || is_full {
            if is_full && held_up == workers.len() && held_up > 0 {
                self.shared.press(database);
                return PRESS;
            }
            return ROUND;
        }
        match start(database) {
            Some(worker) => {
                workers.push(worker);
                slot.release();
                self.shared.set_crowded(false);
                ROUND
            }
            None => {
                if !std::mem::replace(&mut self.told, true) {
                    pgrx::log!("pg_clip has no place for a worker: raise max_worker_processes");
                }
                self.shared.set_crowded(true);
                self.shared.press(database);
                PRESS
            }
        }
    }
}

fn start(database: u32) -> Option<DynamicBackgroundWorker> {
    // SAFETY: reads a variable of this process.
    let me = unsafe { pg_sys::MyProcPid };
    builder("pg_clip worker", "clip_worker_main")
        .set_argument((database as i32).into_datum())
        .set_notify_pid(me)
        .load_dynamic()
        .ok()
}

fn in_transaction<T>(f: impl FnOnce() -> T) -> T {
    // SAFETY: a transaction of this process, which is in none.
    unsafe {
        pg_sys::StartTransactionCommand();
        let value = f();
        pg_sys::CommitTransactionCommand();
        value
    }
}

/// Databases that can be connected to, templates left out; or really all.
fn databases(all: bool) -> Vec<u32> {
    let mut found = Vec::new();
    // SAFETY: a scan of a shared catalog, as autovacuum's launcher does it; the tuples are of that catalog's form.
    unsafe {
        pg_sys::StartTransactionCommand();
        let _ = pg_sys::GetTransactionSnapshot();
        let relation = pg_sys::table_open(pg_sys::DatabaseRelationId, pg_sys::AccessShareLock as i32);
        let scan = pg_sys::table_beginscan_catalog(relation, 0, std::ptr::null_mut());
        loop {
            let tuple = pg_sys::heap_getnext(scan, pg_sys::ScanDirection::ForwardScanDirection);
            if tuple.is_null() {
                break;
            }
            let data = (*tuple).t_data;
            let form = &*data.cast::<u8>().add(usize::from((*data).t_hoff)).cast::<pg_sys::FormData_pg_database>();
            // A connection limit of -2 marks a database whose DROP was interrupted.
            if all || form.datallowconn && !form.datistemplate && form.datconnlimit != -2 {
                found.push(form.oid.to_u32());
            }
        }
        ((*(*(*scan).rs_rd).rd_tableam).scan_end.expect("every table access method ends scans"))(scan);
        pg_sys::table_close(relation, pg_sys::AccessShareLock as i32);
        pg_sys::CommitTransactionCommand();
    }
    found
}
