//! What launcher, workers and writers know in common: for each database, whether there may be work.
//!
//! Atomics alone: a transaction that has committed may not fail any more, so it can wait for no lock.
#![allow(unsafe_code)]

use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicPtr, AtomicU32, Ordering::SeqCst};

use pgrx::pg_sys;

use crate::guc;

/// Databases with work at a time. One more is found when the launcher looks at all of them again.
const DATABASES: usize = 128;
/// Workers of a database at most.
pub const WORKERS: usize = 16;

/// Of one database. The oid is written once, until the server restarts or the database is dropped.
pub struct Slot {
    pub database: AtomicU32,
    /// A transaction has enqueued something that no worker has looked for yet.
    wanted: AtomicBool,
    /// When a job that failed is to be tried again, in PostgreSQL's time; 0 for never.
    pub next: AtomicI64,
    /// Workers that began and have not ended in good order.
    pub begun: AtomicU32,
    /// Workers that wait for work, each its latch.
    idle: [AtomicPtr<pg_sys::Latch>; WORKERS],
}

pub struct Shared {
    launcher: AtomicPtr<pg_sys::Latch>,
    slots: [Slot; DATABASES],
}

static SHARED: AtomicPtr<Shared> = AtomicPtr::new(ptr::null_mut());

/// The memory, where the library was preloaded.
pub fn shared() -> Option<&'static Shared> {
    // SAFETY: set once before the server forks, to memory that lives as long as the server; all of it is atomics.
    unsafe { SHARED.load(SeqCst).as_ref() }
}

/// Asks for the memory; called by `_PG_init` while the server preloads.
pub fn request() {
    // SAFETY: hooks are chained as PostgreSQL's documentation asks for, before anything else runs.
    unsafe {
        #[cfg(feature = "pg14")]
        pg_sys::RequestAddinShmemSpace(size_of::<Shared>());
        #[cfg(not(feature = "pg14"))]
        {
            PREVIOUS_REQUEST = pg_sys::shmem_request_hook;
            pg_sys::shmem_request_hook = Some(on_request);
        }
        PREVIOUS_STARTUP = pg_sys::shmem_startup_hook;
        pg_sys::shmem_startup_hook = Some(on_startup);
    }
}

type Hook = Option<unsafe extern "C-unwind" fn()>;
#[cfg(not(feature = "pg14"))]
static mut PREVIOUS_REQUEST: Hook = None;
static mut PREVIOUS_STARTUP: Hook = None;

#[cfg(not(feature = "pg14"))]
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

/// Latches lie in shared memory and are there as long as the server: one of a process that has just ended belongs to nobody
/// or to another process, which is then woken for nothing.
fn set_latch(latch: *mut pg_sys::Latch) {
    if !latch.is_null() {
        // SAFETY: see above.
        unsafe { pg_sys::SetLatch(latch) };
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

    /// The database's slot, a free one where it has none.
    pub fn slot(&self, database: u32) -> Option<&Slot> {
        self.slots.iter().find(|slot| slot.database.load(SeqCst) == database).or_else(|| {
            self.slots.iter().find(|slot| {
                slot.database.compare_exchange(0, database, SeqCst, SeqCst).is_ok()
                    || slot.database.load(SeqCst) == database
            })
        })
    }

    pub fn launcher_is_here(&self) {
        self.launcher.store(my_latch(), SeqCst);
    }

    pub fn wake_launcher(&self) {
        set_latch(self.launcher.load(SeqCst));
    }

    /// There is work in a database: an idle worker is told, or the launcher where there is no worker at all. Those at work
    /// look again when they have done.
    pub fn wake(&self, database: u32) {
        let Some(slot) = self.slot(database) else { return self.wake_launcher() };
        if slot.want() && slot.begun.load(SeqCst) == 0 {
            self.wake_launcher();
        }
    }

    /// There is work for one worker more, which is told or started where there may be so many.
    pub fn wake_another(&self, slot: &Slot) {
        slot.want();
        if (slot.begun.load(SeqCst) as usize) < guc::workers().min(WORKERS) {
            self.wake_launcher();
        }
    }
}

impl Slot {
    /// Tells an idle worker, but not twice before one has looked: each who wakes may get the processor that the caller's
    /// client waits for. A worker that finds more than it takes tells the next one. True where nobody had been told, and
    /// there is nobody to tell.
    pub fn want(&self) -> bool {
        if self.wanted.swap(true, SeqCst) {
            return false;
        }
        let idle = self.idle.iter().map(|worker| worker.load(SeqCst)).find(|worker| !worker.is_null());
        idle.inspect(|worker| set_latch(*worker)).is_none()
    }

    pub fn is_wanted(&self) -> bool {
        self.wanted.load(SeqCst)
    }

    /// Was there a call since the last one? To be asked before looking for work, not after.
    pub fn take_call(&self) -> bool {
        self.wanted.swap(false, SeqCst)
    }

    /// From now on commits may set this process's latch. It must not end before it has left.
    pub fn enter_idle(&self) {
        for place in &self.idle {
            if place.compare_exchange(ptr::null_mut(), my_latch(), SeqCst, SeqCst).is_ok() {
                return;
            }
        }
    }

    pub fn leave_idle(&self) {
        for place in &self.idle {
            let _ = place.compare_exchange(my_latch(), ptr::null_mut(), SeqCst, SeqCst);
        }
    }

    /// The database is gone.
    pub fn free(&self) {
        self.wanted.store(false, SeqCst);
        self.next.store(0, SeqCst);
        self.begun.store(0, SeqCst);
        self.database.store(0, SeqCst);
    }
}
