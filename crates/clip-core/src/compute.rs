//! Threads and cancellation: what a computation runs on and how it is told to stop.

use std::io;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use packed_gemm::{Kernel, Precision, Rows, Team};

use crate::cushion::Cushion;
use crate::error::{Error, ErrorKind, Result};
use crate::memory::{self, Budget};

/// The calling thread with a few helpers that belong to it, and the machine code that they run.
///
/// The host process may handle signals on its main thread alone (a PostgreSQL backend does), so the helpers are created
/// with every signal blocked.
pub struct Compute {
    team: Team,
    kernel: Kernel,
    /// Free for the next layer.
    rows: Mutex<Vec<Rows>>,
    memory: Arc<Budget>,
}

impl Compute {
    /// `threads`: 0 takes one thread per available core, at most [`Compute::MAX_AUTO`].
    pub fn new(threads: usize) -> Result<Self> {
        Self::with_kernel(threads, Kernel::best())
    }

    /// With another kernel than the machine's fastest, for comparisons.
    pub fn with_kernel(threads: usize, kernel: Kernel) -> Result<Self> {
        let compute = Self::start(threads, kernel)?;
        compute.team.call_helpers();
        Ok(compute)
    }

    /// The calling thread alone, until the team's helpers are called.
    pub fn resting(threads: usize) -> Result<Self> {
        Self::start(threads, Kernel::best())
    }

    fn start(threads: usize, kernel: Kernel) -> Result<Self> {
        let threads = match threads {
            0 => std::thread::available_parallelism().map_or(1, |n| n.get()).min(Self::MAX_AUTO),
            n => n,
        };
        let team = start_threads(threads.saturating_sub(1), || Team::resting(threads))?;
        Ok(Self { team, kernel, rows: Mutex::default(), memory: Arc::default() })
    }

    /// Shares a budget with other work of the process, instead of one of its own without a limit.
    pub fn with_memory(self, memory: Arc<Budget>) -> Self {
        Self { memory, ..self }
    }

    /// What a call may take.
    pub fn memory(&self) -> &Arc<Budget> {
        &self.memory
    }

    /// Automatic teams stop growing here: beyond it the gain per image is small and other sessions want cores too.
    pub const MAX_AUTO: usize = 8;

    pub fn threads(&self) -> usize {
        self.team.threads()
    }

    /// For loops whose turns may run side by side.
    pub fn team(&self) -> &Team {
        &self.team
    }

    pub fn kernel(&self) -> Kernel {
        self.kernel
    }

    /// Rows for a product's left-hand side. The layers of a pass use the same memory one after the other.
    pub fn rows(&self, precision: Precision) -> Lent<'_> {
        self.lend(precision, false)
    }

    /// Rows for something else than a product to read.
    pub fn rows_to_read(&self, precision: Precision) -> Lent<'_> {
        self.lend(precision, true)
    }

    fn lend(&self, precision: Precision, to_read: bool) -> Lent<'_> {
        let mut free = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |rows: &Rows| rows.precision() == precision && rows.is_to_read() == to_read;
        let found = (0..free.len()).filter(|i| fits(&free[*i])).max_by_key(|i| free[*i].bytes());
        let new = if to_read { Rows::to_read } else { Rows::new };
        let rows = found.map_or_else(|| new(precision, self.kernel), |i| free.swap_remove(i));
        Lent { rows, from: self }
    }

    /// Gives memory of rows back to the system, but for what the next pass of a few images needs: a batch of a large model may
    /// have taken much.
    pub fn free_rows(&self) {
        let mut kept = 0;
        self.rows.lock().unwrap_or_else(PoisonError::into_inner).retain(|rows| {
            let fits = kept + rows.bytes() <= Self::KEPT_BYTES;
            kept += if fits { rows.bytes() } else { 0 };
            fits
        });
    }

    /// Of rows, between passes.
    const KEPT_BYTES: usize = 10 << 20;
}

/// Rows that go back to their [`Compute`].
pub struct Lent<'a> {
    rows: Rows,
    from: &'a Compute,
}

impl Deref for Lent<'_> {
    type Target = Rows;

    fn deref(&self) -> &Rows {
        &self.rows
    }
}

impl DerefMut for Lent<'_> {
    fn deref_mut(&mut self) -> &mut Rows {
        &mut self.rows
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let mut free = self.from.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let none = Rows::new(self.rows.precision(), self.rows.kernel());
        free.push(std::mem::replace(&mut self.rows, none));
    }
}

/// Address space that a new thread takes: its stack, and where its first allocations lie. The C library ends the process where it
/// cannot have the latter, so there has to be room before the thread is made.
const THREAD_BYTES: usize = 3 << 20;

/// `count` threads, with every signal blocked: a new thread inherits the mask of the one that makes it. But for that of an access to
/// memory that a file no longer has, which comes to the thread that makes the access, and ends the process where it is blocked.
pub(crate) fn start_threads<R>(count: usize, start: impl FnOnce() -> io::Result<R>) -> Result<R> {
    if memory::is_in_use() && count > 0 {
        let bytes = count.saturating_mul(THREAD_BYTES);
        drop(Cushion::new(bytes).map_err(|()| memory::refused(bytes))?);
    }
    let mut blocked = SigSet::all();
    blocked.remove(Signal::SIGBUS);
    let before = blocked
        .thread_swap_mask(SigmaskHow::SIG_SETMASK)
        .map_err(|e| Error::internal(format!("could not block signals: {e}")))?;
    let started = start();
    before.thread_set_mask().map_err(|e| Error::internal(format!("could not restore signals: {e}")))?;
    started.map_err(|e| Error::new(ErrorKind::LimitExceeded, format!("could not start threads: {e}")))
}

/// Everything that a computation borrows from its caller.
pub struct Context<'a> {
    pub compute: &'a Compute,
    /// Asked on the calling thread, at least ten times a second whatever the input; `true` ends the work with
    /// [`ErrorKind::Cancelled`]. It may also leave by a panic, which passes through the engine unharmed.
    pub stop: &'a dyn Fn() -> bool,
}

impl Context<'_> {
    pub fn check(&self) -> Result<()> {
        if (self.stop)() {
            return Err(Error::new(ErrorKind::Cancelled, "canceled by the caller"));
        }
        if memory::is_short() { Err(memory::short()) } else { Ok(()) }
    }

    /// Runs `work`, whose long loops on this thread [look up](memory::look): they ask `stop`, and where it says so, the work
    /// ends in the midst of them.
    pub fn attend<R>(&self, work: impl FnOnce() -> Result<R>) -> Result<R> {
        let ask = || {
            if let Err(e) = self.check() {
                memory::leave(e);
            }
        };
        memory::caught(|| packed_gemm::watched(&ask, work))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_rows_is_kept_up_to_a_limit() {
        let compute = Compute::new(1).unwrap();
        let kept = |sizes: &[usize]| {
            let fill = |size: &usize| {
                let mut rows = compute.rows(Precision::F32);
                rows.fill(compute.team(), *size, 1 << 18, |_, row| row.fill(1.0));
                rows
            };
            let lent: Vec<_> = sizes.iter().map(fill).collect();
            drop(lent);
            compute.free_rows();
            compute.rows.lock().unwrap().iter().map(Rows::bytes).sum::<usize>() >> 20
        };
        assert_eq!(kept(&[1, 2]), 3, "MiB");
        assert_eq!(kept(&[2]), 3, "the same memory again");
        assert!(kept(&[4, 4, 4]) <= 10);
        assert!(kept(&[11]) <= 10);
    }

    #[test]
    fn helpers_block_all_signals() {
        let before = SigSet::thread_get_mask().unwrap();
        let compute = Compute::new(2).unwrap();
        // Each of two turns waits for the other, so that one of them is a helper's.
        let (barrier, here) = (std::sync::Barrier::new(2), std::thread::current().id());
        let masks = compute.team().map(2, |_| {
            barrier.wait();
            (std::thread::current().id(), SigSet::thread_get_mask().unwrap())
        });
        let (_, blocked) = masks.into_iter().find(|(thread, _)| *thread != here).unwrap();
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGUSR1, Signal::SIGALRM, Signal::SIGHUP] {
            assert!(blocked.contains(signal), "{signal} is not blocked in a helper");
        }
        assert!(!blocked.contains(Signal::SIGBUS));
        assert_eq!(SigSet::thread_get_mask().unwrap(), before, "the caller's mask changed");
    }
}
