//! What launcher, workers and writers know in common: for each database, whether there may be work, and what its workers are
//! at.
//!
//! Atomics alone: a transaction that has committed may not fail any more, so it can wait for no lock.
#![allow(unsafe_code)]

use std::collections::BTreeSet;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicPtr, AtomicU32, AtomicUsize, Ordering::SeqCst};

use pgrx::pg_sys;

use super::pauses::Pauses;
use crate::guc;

/// Databases with work at a time. Those of one more are found by looking into each.
const DATABASES: usize = 1024;
/// Workers of the server at a time.
const SEATS: usize = 64;
/// Workers of a database at most, those not counted that are held up.
pub const WORKERS: usize = 16;
/// Workers of a database that are held up, and not counted, at most.
pub const NOT_COUNTED: usize = 8;
/// Tables of one owner that may hold up a worker each, before none of his is taken up.
const TABLES_OF_AN_OWNER: usize = 2;

/// Of one database with work, given when there is and taken back when there is none.
pub struct Slot {
    pub database: AtomicU32,
    /// A transaction has enqueued something that no worker has looked for yet.
    wanted: AtomicBool,
    /// A worker that is held up is to be let go: there is no place for another one.
    pressed: AtomicBool,
    /// When a job that waits for its time is due, in PostgreSQL's time; 0 for never.
    pub next: AtomicI64,
    /// Workers that began and have not ended in good order.
    pub begun: AtomicU32,
    /// The owner whose turn was last.
    pub turn: AtomicU32,
    /// When a worker came and found nothing to do, in PostgreSQL's time; 0 where the last one did.
    pub in_vain: AtomicI64,
}

/// Of one worker.
pub struct Seat {
    database: AtomicU32,
    /// Its latch, while it waits for work.
    idle: AtomicPtr<pg_sys::Latch>,
    /// Whose code it runs, and for which table; 0 for none's.
    owner: AtomicU32,
    root: AtomicU32,
    /// It has done so for long.
    held_up: AtomicBool,
    /// Other tables waited when it looked last.
    pub others: AtomicBool,
}

pub struct Shared {
    launcher: AtomicPtr<pg_sys::Latch>,
    slots: [Slot; DATABASES],
    seats: [Seat; SEATS],
    pub pauses: Pauses,
    /// A database found no slot.
    full: AtomicBool,
    /// The server has no place for a worker: those who wait for work are to leave theirs.
    crowded: AtomicBool,
}

/// Which tables have to wait.
#[derive(Clone, Default)]
pub struct Barred {
    /// Owners whose code keeps workers waiting, or tables, by their root.
    pub owners: BTreeSet<u32>,
    pub roots: BTreeSet<u32>,
}

static SHARED: AtomicPtr<Shared> = AtomicPtr::new(ptr::null_mut());
/// Where this process found a database's slot last.
static FOUND: AtomicUsize = AtomicUsize::new(0);

/// The memory, where the library was preloaded.
pub fn shared() -> Option<&'static Shared> {
    // SAFETY: set once before the server forks, to memory that lives as long as the server; all of it is atomics.
    unsafe { SHARED.load(SeqCst).as_ref() }
}

/// Asks for the memory; called by `_PG_init` while the server preloads.
pub fn request() {
    // SAFETY: hooks are chained as PostgreSQL's documentation asks for, before anything else runs.
    unsafe {
        PREVIOUS_REQUEST = pg_sys::shmem_request_hook;
        pg_sys::shmem_request_hook = Some(on_request);
        PREVIOUS_STARTUP = pg_sys::shmem_startup_hook;
        pg_sys::shmem_startup_hook = Some(on_startup);
    }
}

type Hook = Option<unsafe extern "C-unwind" fn()>;
static mut PREVIOUS_REQUEST: Hook = None;
static mut PREVIOUS_STARTUP: Hook = None;

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn on_request() {
    // SAFETY: the hook that was there before, called as it would have been.
    unsafe {
        if let Some(previous) = PREVIOUS_REQUEST {
            previous();
        }
        pg_sys::RequestAddinShmemSpace(size_of::<Shared>());
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn on_startup() {
    // SAFETY: the memory has the size that was asked for; all zeros are valid atomics of a state in which nothing is known.
    unsafe {
        if let Some(previous) = PREVIOUS_STARTUP {
            previous();
        }
        let mut found = false;
        let memory = pg_sys::ShmemInitStruct(c"pg_clip workers".as_ptr(), size_of::<Shared>(), &mut found);
        if !found {
            ptr::write_bytes(memory.cast::<u8>(), 0, size_of::<Shared>());
        }
        SHARED.store(memory.cast(), SeqCst);
    }
}

unsafe extern "C-unwind" {
    // PostgreSQL's function itself: it is called in signal handlers, too, where pgrx's wrapper has no place.
    #[link_name = "SetLatch"]
    fn set_latch_of(latch: *mut pg_sys::Latch);
}

/// Latches lie in shared memory and are there as long as the server: one of a process that has just ended belongs to nobody
/// or to another process, which is then woken for nothing.
fn set_latch(latch: *mut pg_sys::Latch) {
    if !latch.is_null() {
        // SAFETY: see above.
        unsafe { set_latch_of(latch) };
    }
}

fn my_latch() -> *mut pg_sys::Latch {
    // SAFETY: the process has its latch since before it ran anything of ours.
    unsafe { pg_sys::MyLatch }
}

impl Shared {
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The database's slot, a free one where it has none; and whether it was given just now.
    fn find(&self, database: u32) -> Option<(&Slot, bool)> {
        let is_its = |slot: &Slot| slot.database.load(SeqCst) == database;
        if let Some(slot) = self.slots.get(FOUND.load(SeqCst)).filter(|slot| is_its(slot)) {
            return Some((slot, false));
        }
        let (at, new) = match self.slots.iter().position(is_its) {
            Some(at) => (at, false),
            None => self.slots.iter().enumerate().find_map(|(at, slot)| {
                let given = slot.database.compare_exchange(0, database, SeqCst, SeqCst).is_ok();
                (given || is_its(slot)).then_some((at, given))
            })?,
        };
        FOUND.store(at, SeqCst);
        self.slots.get(at).map(|slot| (slot, new))
    }

    pub fn slot(&self, database: u32) -> Option<&Slot> {
        self.find(database).map(|(slot, _)| slot)
    }

    /// A worker takes its seat.
    pub fn sit(&self, database: u32) -> Option<&Seat> {
        self.seats.iter().find(|seat| seat.database.compare_exchange(0, database, SeqCst, SeqCst).is_ok())
    }

    fn seats_of(&self, database: u32) -> impl Iterator<Item = &Seat> {
        self.seats.iter().filter(move |seat| seat.database.load(SeqCst) == database)
    }

    pub fn held_up(&self, database: u32) -> usize {
        self.seats_of(database).filter(|seat| seat.held_up.load(SeqCst)).count()
    }

    /// Are there more with free hands than there may be? Those behind leave; they were started while others were held up.
    pub fn is_surplus(&self, database: u32, seat: &Seat) -> bool {
        let free = self.seats_of(database).filter(|seat| !seat.held_up.load(SeqCst));
        free.skip(guc::workers().clamp(1, WORKERS)).any(|surplus| ptr::eq(surplus, seat))
    }

    pub fn launcher_is_here(&self) {
        self.launcher.store(my_latch(), SeqCst);
    }

    pub fn wake_launcher(&self) {
        set_latch(self.launcher.load(SeqCst));
    }

    /// Was there a database without a slot since the last call?
    pub fn take_full(&self) -> bool {
        self.full.swap(false, SeqCst)
    }

    /// There is work in a database: an idle worker is told, or the launcher where no worker has its hands free. Those at work
    /// look again when they have done.
    ///
    /// A worker is not told twice before one has looked: each who wakes may get the processor that the caller's client waits
    /// for. One that finds more than it takes tells the next one.
    pub fn wake(&self, database: u32) {
        // A slot may be taken back in the middle of this, by the launcher alone and not so often.
        for _ in 0..3 {
            let Some((slot, new)) = self.find(database) else { break };
            let told = slot.wanted.swap(true, SeqCst);
            if slot.database.load(SeqCst) != database {
                continue;
            }
            if new {
                return self.wake_launcher();
            }
            if !told && !self.wake_idle(database) && self.seats_of(database).all(|seat| seat.held_up.load(SeqCst)) {
                self.wake_launcher();
            }
            return;
        }
        self.full.store(true, SeqCst);
        self.wake_launcher();
    }

    fn wake_idle(&self, database: u32) -> bool {
        let idle = self.seats_of(database).map(|seat| seat.idle.load(SeqCst)).find(|latch| !latch.is_null());
        idle.inspect(|latch| set_latch(*latch)).is_some()
    }

    /// There is work for one worker more, which is told or started where there may be so many.
    pub fn wake_another(&self, slot: &Slot) {
        let database = slot.database.load(SeqCst);
        if !slot.wanted.swap(true, SeqCst) && self.wake_idle(database) {
            return;
        }
        let held_up = self.held_up(database).min(NOT_COUNTED);
        if (slot.begun.load(SeqCst) as usize) < guc::workers().min(WORKERS) + held_up {
            self.wake_launcher();
        }
    }

    /// Called in a signal handler of a worker whose running code takes long: others take up what waits. True where it is to be
    /// let go.
    pub fn report_held_up(&self, slot: &Slot, seat: &Seat) -> bool {
        if !seat.held_up.swap(true, SeqCst) {
            let others = slot.is_wanted() || seat.others.load(SeqCst);
            if others {
                slot.want();
            }
            // The launcher also minds what is due later.
            if !(others && self.wake_idle(slot.database.load(SeqCst))) {
                self.wake_launcher();
            }
        }
        slot.pressed.swap(false, SeqCst)
    }

    /// No worker can be started for a database: one that is held up, here or elsewhere, is to be let go.
    pub fn press(&self, database: u32) {
        let is_held_up = |slot: &&Slot| self.held_up(slot.database.load(SeqCst)) > 0;
        let here = self.slots.iter().find(|slot| slot.database.load(SeqCst) == database).filter(is_held_up);
        let anywhere = || self.slots.iter().filter(|slot| slot.database.load(SeqCst) != 0).find(is_held_up);
        if let Some(slot) = here.or_else(anywhere) {
            slot.pressed.store(true, SeqCst);
        }
    }

    pub fn set_crowded(&self, crowded: bool) {
        if self.crowded.swap(crowded, SeqCst) != crowded && crowded {
            self.seats.iter().for_each(|seat| set_latch(seat.idle.load(SeqCst)));
        }
    }

    pub fn is_crowded(&self) -> bool {
        self.crowded.load(SeqCst)
    }

    /// Which tables keep others waiting, or have to wait themselves.
    pub fn barred(&self, database: u32) -> Barred {
        let mut barred = Barred { roots: self.pauses.running(database), ..Barred::default() };
        let mut owners = Vec::new();
        for seat in self.seats_of(database).filter(|seat| seat.held_up.load(SeqCst)) {
            barred.roots.insert(seat.root.load(SeqCst));
            owners.push(seat.owner.load(SeqCst));
        }
        let many = |owner: &u32| owners.iter().filter(|other| *other == owner).count() >= TABLES_OF_AN_OWNER;
        barred.owners = owners.iter().copied().filter(many).collect();
        barred
    }

    /// Takes back the slot of a database in which nothing is to be done. True where somebody has enqueued at that very moment,
    /// who may have told nobody.
    pub fn free(&self, slot: &Slot, database: u32) -> bool {
        if slot.database.compare_exchange(database, 0, SeqCst, SeqCst).is_err() {
            return false;
        }
        slot.wanted.swap(false, SeqCst)
    }
}

impl Slot {
    /// For the launcher, which sees to it itself.
    pub fn want(&self) {
        self.wanted.store(true, SeqCst);
    }

    pub fn is_wanted(&self) -> bool {
        self.wanted.load(SeqCst)
    }

    /// Was there a call since the last one? To be asked before looking for work, not after.
    pub fn take_call(&self) -> bool {
        self.wanted.swap(false, SeqCst)
    }

    /// Nothing waits, and nothing will be due.
    pub fn is_quiet(&self) -> bool {
        !self.is_wanted() && self.next.load(SeqCst) == 0 && self.begun.load(SeqCst) == 0
    }

    pub fn release(&self) {
        self.pressed.store(false, SeqCst);
    }
}

impl Seat {
    /// From now on commits may set this process's latch. It must not end before it has left.
    pub fn enter_idle(&self) {
        self.idle.store(my_latch(), SeqCst);
    }

    pub fn leave_idle(&self) {
        self.idle.store(ptr::null_mut(), SeqCst);
    }

    pub fn enter_foreign_code(&self, owner: u32, root: u32) {
        self.owner.store(owner, SeqCst);
        self.root.store(root, SeqCst);
    }

    /// The table whose code it runs, 0 for none.
    pub fn root(&self) -> u32 {
        self.root.load(SeqCst)
    }

    /// Was it held up?
    pub fn leave_foreign_code(&self) -> bool {
        let held_up = self.held_up.swap(false, SeqCst);
        self.enter_foreign_code(0, 0);
        held_up
    }

    /// The worker ends.
    pub fn stand_up(&self) {
        self.leave_idle();
        self.leave_foreign_code();
        self.database.store(0, SeqCst);
    }
}
