//! A model's file mapped into memory, and what becomes of that when somebody writes to the file.
//!
//! An installed file is replaced by a rename or not at all. Yet there are `cp`, `rsync --inplace` and restores from a backup,
//! and where a file became shorter, reading its mapping is a SIGBUS, which would end PostgreSQL's other sessions, too. So
//! a handler puts zeros in the place of such a mapping and notes that; whoever computed with it asks afterwards
//! ([`Mapping::is_damaged`]) and throws the result away.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::mem::zeroed;
use std::ptr::null_mut;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use memmap2::Mmap;
use nix::errno::Errno;
use nix::libc;
use once_cell::sync::OnceCell;

/// Mappings that a process can have at a time: two for each model and precision in use.
const SLOTS: usize = 1024;

/// Where a mapping is, for the handler. A free slot has no end.
struct Slot {
    taken: AtomicBool,
    start: AtomicUsize,
    end: AtomicUsize,
    damaged: AtomicBool,
}

static MAPPINGS: [Slot; SLOTS] = [const {
    Slot {
        taken: AtomicBool::new(false),
        start: AtomicUsize::new(0),
        end: AtomicUsize::new(0),
        damaged: AtomicBool::new(false),
    }
}; SLOTS];

/// A whole file, read-only and shared.
pub struct Mapping {
    slot: &'static Slot,
    map: Mmap,
}

impl Mapping {
    /// Maps all of the file. The first call sets the process's handler of SIGBUS.
    ///
    /// It fails where the system refuses the mapping, or where the process has [`SLOTS`] of them.
    pub fn new(file: &File) -> io::Result<Self> {
        install_handler()?;
        let free = |slot: &&Slot| slot.taken.compare_exchange(false, true, SeqCst, SeqCst).is_ok();
        let slot = MAPPINGS.iter().find(free).ok_or_else(|| io::Error::other("too many files are mapped"))?;
        // SAFETY: who writes to the file changes bytes that are read as plain numbers, each of which is as good as any other to
        // whoever reads it; who cuts it off is seen to by the handler.
        let map = match unsafe { Mmap::map(file) } {
            Ok(map) => map,
            Err(e) => {
                slot.taken.store(false, SeqCst);
                return Err(e);
            }
        };
        let start = map.as_ptr().addr();
        slot.damaged.store(false, SeqCst);
        slot.start.store(start, SeqCst);
        slot.end.store(start + map.len(), SeqCst);
        Ok(Self { slot, map })
    }

    /// Were there zeros to be read, once, where the file has something else or nothing?
    pub fn is_damaged(&self) -> bool {
        self.slot.damaged.load(SeqCst)
    }
}

impl AsRef<[u8]> for Mapping {
    fn as_ref(&self) -> &[u8] {
        &self.map
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // Before the addresses are another's.
        self.slot.end.store(0, SeqCst);
        self.slot.taken.store(false, SeqCst);
    }
}

/// What the process did with the signal before.
static BEFORE: OnceLock<libc::sigaction> = OnceLock::new();

/// Sets the handler once. It runs on the alternative stack where the thread has one.
fn install_handler() -> io::Result<()> {
    static INSTALLED: OnceCell<()> = OnceCell::new();
    let install = || {
        // SAFETY: an all-zero `sigaction` is a valid one. The action before is known before the handler may want it.
        unsafe {
            let mut before: libc::sigaction = zeroed();
            Errno::result(libc::sigaction(libc::SIGBUS, null_mut(), &mut before))?;
            let _ = BEFORE.set(before);
            let mut action: libc::sigaction = zeroed();
            let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) = on_bus_error;
            action.sa_sigaction = handler as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
            libc::sigemptyset(&mut action.sa_mask);
            Errno::result(libc::sigaction(libc::SIGBUS, &action, null_mut())).map(drop)
        }
    };
    INSTALLED.get_or_try_init(install)?;
    Ok(())
}

/// Nothing here but atomics and system calls that a signal handler may make.
extern "C" fn on_bus_error(signal: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    let errno = Errno::last_raw();
    // SAFETY: the system hands over a valid `info`, which has an address where the signal comes of an access to memory.
    let (sent, address) = unsafe { ((*info).si_code <= 0, (*info).si_addr().addr()) };
    if !sent && replace_by_zeros(address) {
        Errno::set_raw(errno);
        return;
    }
    // Not ours: what was to be done without this handler is done when the access is tried again, or with the same signal.
    // SAFETY: plain system calls; the action is one that the system gave.
    unsafe {
        if let Some(before) = BEFORE.get() {
            libc::sigaction(signal, before, null_mut());
        }
        if sent {
            libc::raise(signal);
        }
    }
    Errno::set_raw(errno);
}

/// Is the address one of ours, and are there zeros now? The whole mapping is replaced, as none of it can be trusted.
///
/// It is called from a signal handler: it neither allocates nor locks.
fn replace_by_zeros(address: usize) -> bool {
    let contains = |slot: &&Slot| slot.start.load(SeqCst) <= address && address < slot.end.load(SeqCst);
    let Some(slot) = MAPPINGS.iter().find(contains) else { return false };
    slot.damaged.store(true, SeqCst);
    let start = slot.start.load(SeqCst);
    let length = slot.end.load(SeqCst).saturating_sub(start);
    let flags = libc::MAP_FIXED | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: the addresses are those of a live mapping of ours, as the thread that is reading it holds it; pages of zeros take
    // its place at once, for readers on other threads, too.
    let zeros =
        unsafe { libc::mmap(std::ptr::with_exposed_provenance_mut(start), length, libc::PROT_READ, flags, -1, 0) };
    zeros != libc::MAP_FAILED
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    fn file(bytes: usize) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![7; bytes]).unwrap();
        file
    }

    #[test]
    fn a_file_that_is_cut_reads_as_zeros() {
        let (cut, whole) = (file(1 << 20), file(1 << 20));
        let (damaged, other) = (Mapping::new(&cut).unwrap(), Mapping::new(&whole).unwrap());
        assert_eq!(damaged.as_ref().iter().map(|b| usize::from(*b)).sum::<usize>(), 7 << 20);
        cut.set_len(5000).unwrap();
        assert!(!damaged.is_damaged());
        let sums: Vec<usize> = std::thread::scope(|scope| {
            let sum = || damaged.as_ref().chunks(4096).rev().map(|page| usize::from(page[0])).sum::<usize>();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(sum)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(damaged.is_damaged() && sums.iter().all(|sum| *sum < 7 << 20), "{sums:?}");
        assert!(!other.is_damaged());
        assert_eq!(other.as_ref()[1 << 19], 7);
        drop(damaged);
        // A slot that is used again begins anew.
        let again = Mapping::new(&whole).unwrap();
        assert!(!again.is_damaged() && again.as_ref()[0] == 7);
    }

    /// In a process of its own: `what` happens while the handler is there.
    fn ends_with(test: &str) -> Option<i32> {
        let test_itself = std::env::current_exe().unwrap();
        // An emulator that this process runs in is not there for others by itself.
        let emulator = std::env::var("TEST_RUNNER").unwrap_or_default();
        let mut words = emulator.split_whitespace();
        let mut own = match words.next() {
            Some(program) => Command::new(program),
            None => Command::new(&test_itself),
        };
        if !emulator.is_empty() {
            own.args(words).arg(&test_itself);
        }
        own.args(["--exact", &format!("mapping::tests::{test}"), "--ignored", "--test-threads=1"]);
        own.output().unwrap().status.signal()
    }

    #[test]
    fn other_bus_errors_are_what_they_were() {
        assert_eq!(ends_with("foreign_mapping"), Some(libc::SIGBUS));
        assert_eq!(ends_with("sent_by_a_process"), Some(libc::SIGBUS));
    }

    #[test]
    #[ignore = "ends the process"]
    fn foreign_mapping() {
        let (ours, cut) = (file(5000), file(5000));
        let _ours = Mapping::new(&ours).unwrap();
        // SAFETY: the test is about what this does.
        let foreign = unsafe { Mmap::map(&cut) }.unwrap();
        cut.set_len(0).unwrap();
        assert_eq!(std::hint::black_box(&foreign)[4500], 0);
    }

    #[test]
    #[ignore = "ends the process"]
    fn sent_by_a_process() {
        let ours = file(5000);
        let _ours = Mapping::new(&ours).unwrap();
        // The first one may find std's own handler, which leaves by restoring the default.
        for _ in 0..2 {
            nix::sys::signal::raise(nix::sys::signal::Signal::SIGBUS).unwrap();
        }
    }
}
