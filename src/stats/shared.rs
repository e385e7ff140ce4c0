//! Counters of all backends, in shared memory: a table of fixed size, as shared memory cannot grow. It is there only
//! where the library was loaded by `shared_preload_libraries`, and begins anew when the server does.
#![allow(unsafe_code)]

use std::sync::atomic::{AtomicBool, Ordering};

use pgrx::lwlock::PgLwLock;
use pgrx::shmem::PGRXSharedMemory;
use pgrx::{pg_guard, pg_shmem_init, pg_sys};

use super::{Call, Counters, Kind, Row};
use crate::guc;

/// Models and kinds counted apart. The last row takes what finds no place, under an empty name.
const ENTRIES: usize = 128;
/// Bytes of a model's name at most: a rule of the engine.
const NAME: usize = 63;

#[derive(Clone, Copy)]
#[repr(C)]
struct Entry {
    name: [u8; NAME],
    kind: u8,
    counters: Counters,
}

#[derive(Clone, Copy)]
#[repr(C)]
struct Table {
    used: u32,
    entries: [Entry; ENTRIES],
}

// SAFETY: plain numbers and bytes, no pointers.
unsafe impl PGRXSharedMemory for Table {}

impl Table {
    const EMPTY: Entry = Entry { name: [0; NAME], kind: 0, counters: Counters::ZERO };

    fn entry(&mut self, model: &str, kind: Kind) -> &mut Entry {
        let mut name = [0; NAME];
        for (to, from) in name.iter_mut().zip(model.bytes()) {
            *to = from;
        }
        let used = (self.used as usize).min(ENTRIES - 1);
        let found = self.entries[..used].iter().position(|e| e.kind == kind as u8 && e.name == name);
        let place = found.unwrap_or(used);
        let entry = &mut self.entries[place];
        if place == used && place < ENTRIES - 1 {
            (entry.name, entry.kind) = (name, kind as u8);
            self.used += 1;
        }
        entry
    }
}

// SAFETY: no other lock of the server has this name.
static TABLE: PgLwLock<Table> = unsafe { PgLwLock::new(c"pg_clip_stats") };

/// Asks for the memory. Only `_PG_init` of the server's first process may.
#[allow(unexpected_cfgs)] // the macro knows of PostgreSQL 13
pub fn register() {
    if guc::preloading() {
        pg_shmem_init!(TABLE = Table { used: 0, entries: [Table::EMPTY; ENTRIES] });
        ATTACHED.store(true, Ordering::Relaxed);
    }
}

/// Every backend inherits it from the server's first process.
static ATTACHED: AtomicBool = AtomicBool::new(false);

/// Do backends share their counters?
pub fn available() -> bool {
    ATTACHED.load(Ordering::Relaxed)
}

pub fn add(model: &str, kind: Kind, call: &Call) {
    if available() {
        TABLE.exclusive().entry(model, kind).counters.add(call);
    }
}

pub fn all() -> Vec<Row> {
    let table = TABLE.share();
    let used = (table.used as usize).min(ENTRIES - 1);
    let rest = table.entries[ENTRIES - 1].counters.calls > 0;
    let shown = table.entries[..used].iter().chain(rest.then_some(&table.entries[ENTRIES - 1]));
    shown
        .map(|e| {
            let name = String::from_utf8_lossy(&e.name);
            (name.trim_end_matches('\0').to_owned(), if e.kind == 0 { Kind::Text } else { Kind::Image }, e.counters)
        })
        .collect()
}

pub fn reset() {
    if available() {
        *TABLE.exclusive() = Table { used: 0, entries: [Table::EMPTY; ENTRIES] };
    }
}
