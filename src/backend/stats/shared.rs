//! Counters of all backends, in shared memory: a table of fixed size, as shared memory cannot grow. It is there only
//! where the library was loaded by `shared_preload_libraries`, and begins anew when the server does.
#![allow(unsafe_code)]

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};

use clip_core::Modality;
use pgrx::lwlock::PgLwLock;
use pgrx::shmem::PGRXSharedMemory;
use pgrx::{pg_guard, pg_shmem_init, pg_sys};

use super::{Call, Counters, Row};
use crate::guc;

/// Databases, models and modalities counted apart. What finds no place is not counted.
const ENTRIES: usize = 2048;
/// Bytes of a model's name at most: a rule of the engine.
const NAME: usize = 63;

#[derive(Clone, Copy)]
#[repr(C)]
struct Entry {
    /// 0 where nothing is counted yet.
    database: u32,
    name: [u8; NAME],
    modality: u8,
    counters: Counters,
}

#[derive(Clone, Copy)]
#[repr(C)]
struct Table {
    entries: [Entry; ENTRIES],
}

// SAFETY: plain numbers and bytes, no pointers.
unsafe impl PGRXSharedMemory for Table {}

impl Table {
    const EMPTY: Self =
        Self { entries: [Entry { database: 0, name: [0; NAME], modality: 0, counters: Counters::ZERO }; ENTRIES] };

    /// The place of a database's model and modality, by open addressing. Entries are never taken out one by one.
    fn entry(&mut self, database: u32, model: &str, modality: Modality) -> Option<&mut Entry> {
        let mut name = [0; NAME];
        for (to, from) in name.iter_mut().zip(model.bytes()) {
            *to = from;
        }
        let mut hash = DefaultHasher::new();
        (database, name, modality as u8).hash(&mut hash);
        let start = hash.finish() as usize % ENTRIES;
        let is_it =
            |e: &Entry| e.database == 0 || (e.database == database && e.modality == modality as u8 && e.name == name);
        let place = (start..ENTRIES).chain(0..start).find(|place| is_it(&self.entries[*place]))?;
        let entry = &mut self.entries[place];
        (entry.database, entry.name, entry.modality) = (database, name, modality as u8);
        Some(entry)
    }
}

// SAFETY: no other lock of the server has this name.
static TABLE: PgLwLock<Table> = unsafe { PgLwLock::new(c"pg_clip_stats") };

/// Asks for the memory. Only `_PG_init` of the server's first process may.
#[allow(unexpected_cfgs)] // the macro knows of PostgreSQL 13
pub fn register() {
    if guc::preloading() {
        pg_shmem_init!(TABLE = Table::EMPTY);
        ATTACHED.store(true, Ordering::Relaxed);
    }
}

/// Every backend inherits it from the server's first process.
static ATTACHED: AtomicBool = AtomicBool::new(false);

/// Do backends share their counters?
pub fn available() -> bool {
    ATTACHED.load(Ordering::Relaxed)
}

/// What is counted for this process's database: others' are nobody's business here.
fn database() -> u32 {
    // SAFETY: reads a variable of this process.
    unsafe { pg_sys::MyDatabaseId }.to_u32()
}

pub fn add(model: &str, modality: Modality, call: &Call) {
    if available()
        && let Some(entry) = TABLE.exclusive().entry(database(), model, modality)
    {
        entry.counters.add(call);
    }
}

/// By name and modality.
pub fn all() -> Vec<Row> {
    let (table, database) = (TABLE.share(), database());
    let mine = table.entries.iter().filter(|e| e.database == database && e.counters.calls > 0);
    let row = |e: &Entry| {
        let name = String::from_utf8_lossy(&e.name);
        Some((name.trim_end_matches('\0').to_owned(), Modality::from_number(e.modality)?, e.counters))
    };
    let mut rows: Vec<Row> = mine.filter_map(row).collect();
    rows.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
    rows
}

pub fn reset() {
    if available() {
        let database = database();
        TABLE
            .exclusive()
            .entries
            .iter_mut()
            .filter(|e| e.database == database)
            .for_each(|e| e.counters = Counters::ZERO);
    }
}
