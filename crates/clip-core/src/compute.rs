//! Threads and cancellation: what a computation runs on and how it is told to stop.

use nix::sys::signal::{SigSet, SigmaskHow};
use rayon::{Scope, ThreadPool};

use crate::error::{Error, ErrorKind, Result};

/// A small pool of threads that belongs to one caller.
///
/// The host process may handle signals on its main thread alone (a PostgreSQL backend does), so the pool's threads
/// are created with every signal blocked.
pub struct Compute {
    pool: ThreadPool,
}

impl Compute {
    /// `threads`: 0 takes one thread per available core, at most [`Compute::MAX_AUTO`].
    pub fn new(threads: usize) -> Result<Self> {
        let threads = match threads {
            0 => std::thread::available_parallelism().map_or(1, |n| n.get()).min(Self::MAX_AUTO),
            n => n,
        };
        // A new thread inherits the mask of the one that makes it.
        let before = SigSet::all()
            .thread_swap_mask(SigmaskHow::SIG_SETMASK)
            .map_err(|e| Error::internal(format!("could not block signals: {e}")))?;
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).thread_name(|i| format!("clip-{i}")).build();
        before.thread_set_mask().map_err(|e| Error::internal(format!("could not restore signals: {e}")))?;
        let pool = pool.map_err(|e| Error::new(ErrorKind::LimitExceeded, format!("could not start threads: {e}")))?;
        Ok(Self { pool })
    }

    /// Automatic pools stop growing here: beyond it the gain per image is small and other sessions want cores too.
    pub const MAX_AUTO: usize = 8;

    pub fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// Runs `f` in the pool and waits; a panic in `f` goes on in the caller.
    pub fn run<R: Send>(&self, f: impl FnOnce() -> R + Send) -> R {
        self.pool.install(f)
    }

    /// Runs `f` on the calling thread; what it spawns runs in the pool, and is waited for however `f` ends.
    pub fn scope<'s, R>(&self, f: impl FnOnce(&Scope<'s>) -> R) -> R {
        self.pool.in_place_scope(f)
    }
}

/// Everything that a computation borrows from its caller.
pub struct Context<'a> {
    pub compute: &'a Compute,
    /// Asked on the calling thread between layers; `true` ends the work with [`ErrorKind::Cancelled`].
    /// It may also leave by a panic, which passes through the engine unharmed.
    pub stop: &'a dyn Fn() -> bool,
}

impl Context<'_> {
    pub fn check(&self) -> Result<()> {
        if (self.stop)() { Err(Error::new(ErrorKind::Cancelled, "canceled by the caller")) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::signal::Signal;

    #[test]
    fn pool_threads_block_all_signals() {
        let before = SigSet::thread_get_mask().unwrap();
        let compute = Compute::new(2).unwrap();
        let blocked = compute.run(|| SigSet::thread_get_mask().unwrap());
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGUSR1, Signal::SIGALRM, Signal::SIGHUP] {
            assert!(blocked.contains(signal), "{signal} is not blocked in the pool");
        }
        assert_eq!(SigSet::thread_get_mask().unwrap(), before, "the caller's mask changed");
    }
}
