//! Tables whose rows are not taken for a while, because their code took too long or they lack what they need: in shared memory,
//! so that all workers of a database know, and forgotten when the server restarts.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use pgrx::pg_sys;

/// Tables that pause at a time. One more takes the place of that which has least time left.
const PAUSES: usize = 128;

struct Pause {
    /// Database and table; 0 where the place is free.
    table: AtomicU64,
    /// In PostgreSQL's time.
    until: AtomicI64,
    strikes: AtomicU32,
}

pub struct Pauses([Pause; PAUSES]);

fn key(database: u32, root: u32) -> u64 {
    u64::from(database) << 32 | u64::from(root)
}

#[allow(unsafe_code)]
fn now() -> i64 {
    // SAFETY: a plain call.
    unsafe { pg_sys::GetCurrentTimestamp() }
}

impl Pauses {
    /// A pause; `length` gives how long, of how many there were since a batch went as it should, this one included.
    pub fn begin(&self, database: u32, root: u32, length: impl Fn(u32) -> Duration) {
        let key = key(database, root);
        let has = |pause: &&Pause| pause.table.load(SeqCst) == key;
        let known = self.0.iter().find(has);
        let free = || self.0.iter().find(|pause| pause.table.load(SeqCst) == 0);
        let oldest = || self.0.iter().min_by_key(|pause| pause.until.load(SeqCst));
        let Some(pause) = known.or_else(free).or_else(oldest) else { return };
        if pause.table.swap(key, SeqCst) != key {
            pause.strikes.store(0, SeqCst);
        }
        let strikes = pause.strikes.fetch_add(1, SeqCst).saturating_add(1);
        let micros = i64::try_from(length(strikes).as_micros()).unwrap_or(i64::MAX);
        pause.until.store(now().saturating_add(micros), SeqCst);
    }

    /// A batch went as it should: the next pause begins with the shortest again.
    pub fn end(&self, database: u32, root: u32) {
        let key = key(database, root);
        for pause in self.0.iter().filter(|pause| pause.table.load(SeqCst) == key) {
            if pause.until.load(SeqCst) < now() {
                pause.table.store(0, SeqCst);
            }
        }
    }

    /// Tables of a database that pause now.
    pub fn running(&self, database: u32) -> BTreeSet<u32> {
        let now = now();
        let of_database = |table: &u64| (table >> 32) as u32 == database && *table != 0;
        let running = self.0.iter().filter(|pause| pause.until.load(SeqCst) > now);
        running.map(|pause| pause.table.load(SeqCst)).filter(of_database).map(|table| table as u32).collect()
    }

    /// When a table's pause ends, 0 for one that has none.
    pub fn until(&self, database: u32, root: u32) -> i64 {
        let key = key(database, root);
        self.0.iter().find(|pause| pause.table.load(SeqCst) == key).map_or(0, |pause| pause.until.load(SeqCst))
    }
}
