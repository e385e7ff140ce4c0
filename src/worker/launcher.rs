//! Starts workers where there is work.
#![allow(unsafe_code)]

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use pgrx::bgworkers::{BackgroundWorkerBuilder, BackgroundWorkerStatus, BgWorkerStartTime, DynamicBackgroundWorker};
use pgrx::{IntoDatum, pg_guard, pg_sys};

use super::shared::{self, WORKERS, shared};
use crate::guc;

/// All databases that ever had work since the server's start are looked at so often even if nobody calls: a prepared
/// transaction's commit, for one, tells nobody.
const LOOK_AGAIN: Duration = Duration::from_secs(300);
/// After a worker that ended with an error, or where the server has no place for one.
const PAUSE: Duration = Duration::from_secs(5);

/// Called by `_PG_init` while the server preloads.
pub fn register() {
    // SAFETY: reads a flag of this process.
    if !guc::preloading() || unsafe { pg_sys::IsBinaryUpgrade } {
        return;
    }
    shared::request();
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
    super::main::install_signal_handlers();
    // SAFETY: no database, as the launchers of autovacuum and of logical replication: shared catalogs can be read.
    unsafe { pg_sys::BackgroundWorkerInitializeConnection(std::ptr::null(), std::ptr::null(), 0) };
    let Some(shared) = shared() else { return };
    shared.launcher_is_here();
    let mut launcher =
        Launcher { running: HashMap::new(), paused: HashMap::new(), looked: Instant::now(), told: false };
    // After a start nobody knows which queues have been left full.
    for database in databases() {
        if let Some(slot) = shared.slot(database) {
            slot.want();
        }
    }
    loop {
        let wait = launcher.round(shared);
        super::main::wait(wait);
    }
}

struct Launcher {
    running: HashMap<u32, Vec<DynamicBackgroundWorker>>,
    /// Databases in which a worker failed, and until when none is started there.
    paused: HashMap<u32, Instant>,
    looked: Instant,
    /// That the server has no place for a worker, once.
    told: bool,
}

impl Launcher {
    /// Starts what is to be started; gives how long to wait for the next round.
    fn round(&mut self, shared: &shared::Shared) -> Duration {
        for workers in self.running.values_mut() {
            workers.retain(|worker| !matches!(worker.pid(), Err(BackgroundWorkerStatus::Stopped)));
        }
        let now = Instant::now();
        let mut wait = LOOK_AGAIN.saturating_sub(now - self.looked);
        if wait.is_zero() {
            (self.looked, wait) = (now, LOOK_AGAIN);
            shared.slots().iter().filter(|slot| slot.database.load(SeqCst) != 0).for_each(|slot| {
                slot.want();
            });
        }
        // SAFETY: a plain call.
        let time = unsafe { pg_sys::GetCurrentTimestamp() };
        let mut existing: Option<HashSet<u32>> = None;
        for slot in shared.slots() {
            let database = slot.database.load(SeqCst);
            if database == 0 {
                continue;
            }
            let none_runs = self.running.get(&database).is_none_or(Vec::is_empty);
            if none_runs && slot.begun.swap(0, SeqCst) > 0 {
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
            if !slot.is_wanted() {
                continue;
            }
            if let Some(until) = self.paused.get(&database).filter(|until| **until > now) {
                wait = wait.min(*until - now);
                continue;
            }
            self.paused.remove(&database);
            let workers = self.running.entry(database).or_default();
            // One at a time: it asks for another one if it finds more than it takes. One that has not begun yet will look.
            let begun = slot.begun.load(SeqCst) as usize;
            if workers.len() >= guc::workers().min(WORKERS) || workers.len() > begun {
                continue;
            }
            if !existing.get_or_insert_with(|| databases().into_iter().collect()).contains(&database) {
                slot.free();
                continue;
            }
            match start(database) {
                Some(worker) => workers.push(worker),
                None => {
                    if !std::mem::replace(&mut self.told, true) {
                        pgrx::log!("pg_clip has no place for a worker: raise max_worker_processes");
                    }
                    wait = wait.min(PAUSE);
                }
            }
        }
        wait
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

/// Databases that can be connected to, templates left out.
fn databases() -> Vec<u32> {
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
            if form.datallowconn && !form.datistemplate && form.datconnlimit != -2 {
                found.push(form.oid.to_u32());
            }
        }
        ((*(*(*scan).rs_rd).rd_tableam).scan_end.expect("every table access method ends scans"))(scan);
        pg_sys::table_close(relation, pg_sys::AccessShareLock as i32);
        pg_sys::CommitTransactionCommand();
    }
    found
}
