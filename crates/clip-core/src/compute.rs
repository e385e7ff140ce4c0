//! Threads and cancellation: what a computation runs on and how it is told to stop.

use std::io;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use packed_gemm::{Kernel, Precision, Rows, ThreadPool};

use crate::cushion::Cushion;
use crate::error::{Error, ErrorKind, Result};
use crate::memory::{self, Budget};

/// The calling thread with a few helpers that belong to it, and the machine code that they run.
///
/// The host process may handle signals on its main thread alone, as a PostgreSQL backend does. So the helpers are
/// created with signals blocked, but for that of a bad memory access.
///
/// Making one starts its threads. So a process keeps it from call to call.
pub struct Compute {
    pool: ThreadPool,
    kernel: Kernel,
    /// Free for the next layer.
    ///
    /// Whoever needs rows takes the largest that fit, and gives them back.
    rows: Mutex<Vec<Rows>>,
    memory: Arc<Budget>,
}

impl Compute {
    /// A pool of `threads`, the calling one included. 0 takes one per available core, at most [`Compute::MAX_AUTO`].
    ///
    /// The kernel is the fastest that the processor has.
    ///
    /// # Errors
    ///
    /// - `LimitExceeded` where the system allows no more threads
    /// - `OutOfMemory` where it refuses the address space that they need
    pub fn new(threads: usize) -> Result<Self> {
        Self::with_kernel(threads, Kernel::best())
    }

    /// A pool like that of [`Compute::new`], with `kernel` instead of the machine's fastest. For tests and
    /// comparisons.
    ///
    /// Fails as [`Compute::new`] does.
    pub fn with_kernel(threads: usize, kernel: Kernel) -> Result<Self> {
        let compute = Self::start(threads, kernel)?;
        compute.pool.unpark();
        Ok(compute)
    }

    /// A pool whose helpers sleep until [`ThreadPool::unpark`]. Until then all work is done on the calling thread.
    ///
    /// Fails as [`Compute::new`] does.
    pub fn parked(threads: usize) -> Result<Self> {
        Self::start(threads, Kernel::best())
    }

    fn start(threads: usize, kernel: Kernel) -> Result<Self> {
        let threads = match threads {
            0 => std::thread::available_parallelism().map_or(1, |n| n.get()).min(Self::MAX_AUTO),
            n => n,
        };
        let pool = start_threads(threads.saturating_sub(1), || ThreadPool::parked(threads))?;
        Ok(Self { pool, kernel, rows: Mutex::default(), memory: Arc::default() })
    }

    /// Shares a budget with other work of the process, instead of one of its own without a limit.
    pub fn with_memory(self, memory: Arc<Budget>) -> Self {
        Self { memory, ..self }
    }

    /// The bytes that a call may take beside its input and the mapped weights. Without a limit unless
    /// [`Compute::with_memory`] has set one.
    pub fn memory(&self) -> &Arc<Budget> {
        &self.memory
    }

    /// Automatic pools stop growing here: beyond it the gain per image is small and other sessions want cores too.
    pub const MAX_AUTO: usize = 8;

    /// Threads of the pool, the calling one among them: at least 1.
    pub fn threads(&self) -> usize {
        self.pool.threads()
    }

    /// The threads, for loops whose tasks may run side by side.
    pub fn pool(&self) -> &ThreadPool {
        &self.pool
    }

    /// Calls `work` for pieces of `size` values, the last one maybe shorter, on all threads: with a piece's number and the piece.
    pub fn for_each_chunk(&self, values: &mut [f32], size: usize, work: impl Fn(usize, &mut [f32]) + Sync) {
        let chunks: Vec<_> = values.chunks_mut(size.max(1)).map(Mutex::new).collect();
        self.pool.for_each(chunks.len(), |i| {
            work(i, &mut chunks[i].lock().unwrap_or_else(PoisonError::into_inner));
        });
    }

    /// The machine code of every matrix product of this pool.
    pub fn kernel(&self) -> Kernel {
        self.kernel
    }

    /// Rows for a product's left-hand side, in the layout that `precision` is multiplied in.
    ///
    /// The layers of a pass use the same memory one after the other: dropping what is lent gives it back.
    pub fn rows(&self, precision: Precision) -> Lent<'_> {
        self.lend(precision, false)
    }

    /// Rows that something else than a product reads, as attention does. Those of bf16 are pairs wherever the kernel
    /// has instructions for such.
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

    /// Gives memory of rows back to the system, but for 10 MiB: a batch of a large model may have taken much.
    ///
    /// What is kept is enough for the next pass of a few images.
    pub fn free_rows(&self) {
        let mut kept = 0;
        self.rows.lock().unwrap_or_else(PoisonError::into_inner).retain(|rows| {
            let fits = kept + rows.bytes() <= Self::KEPT_BYTES;
            kept += if fits { rows.bytes() } else { 0 };
            fits
        });
    }

    /// Bytes of rows that are kept between passes.
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

/// Runs `start`, which makes `count` threads, with every signal blocked: a new thread inherits the mask of the one
/// that makes it.
///
/// SIGBUS stays open: it tells of an access to memory that a file no longer has. It comes to the thread that makes
/// the access, and ends the process where it is blocked.
///
/// # Errors
///
/// `OutOfMemory` where there is no address space for the threads, `LimitExceeded` where the system makes none.
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

/// Everything that a computation borrows from its caller: threads, memory and the wish to stop.
///
/// ```
/// use clip_core::{Compute, Context, ErrorKind};
///
/// let compute = Compute::new(1).unwrap();
/// let ctx = Context { compute: &compute, stop: &|| true };
/// assert_eq!(ctx.check().unwrap_err().kind, ErrorKind::Cancelled);
/// ```
pub struct Context<'a> {
    /// The threads that work is shared among, and the memory that it may take.
    pub compute: &'a Compute,
    /// Asked on the calling thread, at least ten times a second whatever the input; `true` ends the work with
    /// [`ErrorKind::Cancelled`]. It may also leave by a panic, which passes through the engine unharmed.
    pub stop: &'a dyn Fn() -> bool,
}

impl Context<'_> {
    /// Says whether to go on.
    ///
    /// # Errors
    ///
    /// - `Cancelled` where [`Context::stop`] says so
    /// - `OutOfMemory` where the system has refused memory since [`prepare`](crate::memory::prepare), and the
    ///   allocator's reserve had to stand in
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
                rows.fill(compute.pool(), *size, 1 << 18, |_, row| row.fill(1.0));
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
        // Each of two tasks waits for the other, so that one of them is a helper's.
        let (barrier, here) = (std::sync::Barrier::new(2), std::thread::current().id());
        let masks = compute.pool().map(2, |_| {
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
