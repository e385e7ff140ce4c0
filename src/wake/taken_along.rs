//! Workers that did not die of what they did, but because the server ends all of its processes when one of them has died. Kept
//! in memory of the server's first process, which lives on when shared memory is made anew.
#![allow(unsafe_code)]

use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicI64, AtomicPtr, AtomicUsize, Ordering::SeqCst};

use pgrx::pg_sys;

/// The last ones; there are no more workers than that.
const KEPT: usize = 256;

struct Process {
    pid: AtomicI32,
    start: AtomicI64,
}

struct Memory {
    next: AtomicUsize,
    processes: [Process; KEPT],
}

static MEMORY: AtomicPtr<Memory> = AtomicPtr::new(ptr::null_mut());

/// Called by `_PG_init` in the server's first process.
pub fn prepare() {
    if !MEMORY.load(SeqCst).is_null() {
        return;
    }
    // SAFETY: new memory of the size that is needed, all zeros, which is a valid state; those that fork from here share it.
    unsafe {
        let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        let memory = libc::mmap(ptr::null_mut(), size_of::<Memory>(), protection, flags, -1, 0);
        if memory != libc::MAP_FAILED {
            MEMORY.store(memory.cast(), SeqCst);
        }
    }
}

fn memory() -> Option<&'static Memory> {
    // SAFETY: mapped once, for good; all of it is atomics.
    unsafe { MEMORY.load(SeqCst).as_ref() }
}

/// Was it ended by the server, and not by what it did?
pub fn was_taken_along(pid: i32, start: i64) -> bool {
    let is_it = |process: &Process| process.pid.load(SeqCst) == pid && process.start.load(SeqCst) == start;
    memory().is_some_and(|memory| memory.processes.iter().any(is_it))
}

/// SIGQUIT: the server ends its processes at once.
pub unsafe extern "C-unwind" fn on_quit(signal: i32) {
    if let Some(memory) = memory()
        && let Some(process) = memory.processes.get(memory.next.fetch_add(1, SeqCst) % KEPT)
    {
        // SAFETY: reads variables of this process.
        let (pid, start) = unsafe { (pg_sys::MyProcPid, pg_sys::MyStartTimestamp) };
        process.pid.store(pid, SeqCst);
        process.start.store(start, SeqCst);
    }
    // SAFETY: PostgreSQL's own handler, with what it was given.
    unsafe { crash_exit(signal) };
}

unsafe extern "C-unwind" {
    #[link_name = "SignalHandlerForCrashExit"]
    fn crash_exit(signal: i32);
}
