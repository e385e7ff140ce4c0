//! Computing beside a caller who has something else to do.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use scopeguard::{defer, guard};

use crate::compute::{Compute, Context, start_threads};
use crate::error::{Error, Result};
use crate::memory::{self, Budget};
use crate::text::Check;

/// How often the caller is asked to attend to what else there is.
const ATTEND: Duration = Duration::from_millis(10);
/// Added to the nice value: the scheduler then gives a tenth of the weight of a thread that somebody waits for.
const NICE: i32 = 10;

/// One computation at a time, on threads of lower priority.
#[derive(Default)]
pub struct Background {
    halted: AtomicBool,
    running: AtomicBool,
}

impl Background {
    /// Runs `work` on threads of lower priority that last as long as it does, and gives its result.
    ///
    /// `threads` counts as in [`Compute::new`], every signal is blocked on them, and `memory` is what they may take.
    /// The caller is asked to `attend` at once, and then every 10 ms until the work is done. Where that panics, the
    /// work is stopped before the panic goes on.
    ///
    /// While the caller attends to something for the first time, one thread works alone. Each of two that share their
    /// work would wait for the other, from which the caller takes the processor.
    ///
    /// # Errors
    ///
    /// What `work` fails with, `Internal` where it panics, and those of [`Compute::new`].
    pub fn run<R: Send>(
        &self,
        threads: usize,
        memory: &Arc<Budget>,
        work: impl FnOnce(&Context) -> Result<R> + Send,
        attend: &mut dyn FnMut(),
    ) -> Result<R> {
        let stopped = AtomicBool::new(false);
        let (sender, receiver) = sync_channel(1);
        let (begun, begin) = sync_channel(1);
        let (stop, halted) = (&stopped, &self.halted);
        let compute = move || {
            // Where it is refused, the work is done at the usual priority.
            let _ = rustix::process::nice(NICE);
            let compute = Arc::new(Compute::parked(threads)?.with_memory(memory.clone()));
            let _ = begun.send(compute.clone());
            work(&Context { compute: &compute, stop: &|| stop.load(SeqCst) || halted.load(SeqCst) })
        };
        let run = move || {
            let result = catch_unwind(AssertUnwindSafe(|| memory::caught(compute)));
            let _ = sender.send(result.unwrap_or_else(|_| Err(Error::internal("a computation panicked"))));
        };
        thread::scope(|scope| {
            defer! { stopped.store(true, SeqCst) }
            self.running.store(true, SeqCst);
            let running = guard((), |()| self.running.store(false, SeqCst));
            start_threads(1, || {
                thread::Builder::new().name("clip-0".to_owned()).spawn_scoped(scope, move || {
                    let _running = running;
                    run();
                })
            })?;
            attend();
            // There is none where it could not begin.
            if let Ok(compute) = begin.recv() {
                compute.pool().unpark();
            }
            loop {
                match receiver.recv_timeout(ATTEND) {
                    Ok(result) => return result,
                    Err(RecvTimeoutError::Timeout) => attend(),
                    Err(RecvTimeoutError::Disconnected) => return Err(Error::internal("a computation was lost")),
                }
            }
        })
    }

    /// Stops the work, for a caller who leaves from within `attend` and does not come back: a process that exits
    /// there.
    ///
    /// No thread is at work on return. Work that is begun later stops at once.
    pub fn halt(&self) {
        self.halted.store(true, SeqCst);
        while self.running.load(SeqCst) {
            thread::sleep(Duration::from_micros(200));
        }
    }
}

/// Runs `work`, which cannot be stopped, on a thread of its own, and asks the caller every 10 ms whether to go on.
///
/// If not, the error of `check` is returned, and the thread comes to its end without anybody.
pub fn beside<R: Send + 'static>(work: impl FnOnce() -> Result<R> + Send + 'static, check: Check) -> Result<R> {
    let (sender, receiver) = sync_channel(1);
    let run = move || {
        let result = catch_unwind(AssertUnwindSafe(work));
        let _ = sender.send(result.unwrap_or_else(|_| Err(Error::internal("a computation panicked"))));
    };
    start_threads(1, || thread::Builder::new().name("clip-read".to_owned()).spawn(run).map(drop))?;
    loop {
        match receiver.recv_timeout(ATTEND) {
            Ok(result) => return result,
            Err(RecvTimeoutError::Timeout) => check()?,
            Err(RecvTimeoutError::Disconnected) => return Err(Error::internal("a computation was lost")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn memory() -> Arc<Budget> {
        Arc::default()
    }

    /// Until it is told to stop.
    fn endless(ctx: &Context) -> Result<()> {
        loop {
            ctx.check()?;
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn the_caller_goes_on_meanwhile() {
        let (background, attended) = (Background::default(), AtomicBool::new(false));
        let work = |ctx: &Context| {
            while !attended.load(SeqCst) {
                thread::sleep(Duration::from_millis(1));
            }
            Ok((thread::current().id(), ctx.compute.threads()))
        };
        for _ in 0..3 {
            let (id, threads) = background.run(2, &memory(), work, &mut || attended.store(true, SeqCst)).unwrap();
            assert!(id != thread::current().id() && threads == 2);
        }
    }

    #[test]
    fn one_thread_works_while_the_caller_attends() {
        let (background, alone) = (Background::default(), AtomicBool::new(false));
        let work = |ctx: &Context| {
            let (pool, here) = (ctx.compute.pool(), thread::current().id());
            for _ in 0..50 {
                assert!(pool.map(50, |_| thread::current().id()).iter().all(|id| *id == here));
            }
            alone.store(true, SeqCst);
            // Until another one has come.
            let other = AtomicBool::new(false);
            let until_then = || !other.load(SeqCst);
            pool.for_each_while(usize::MAX / 4, until_then, |_| {
                other.fetch_or(thread::current().id() != here, SeqCst);
            });
            Ok(())
        };
        let mut attend = || {
            while !alone.load(SeqCst) {
                thread::sleep(Duration::from_millis(1));
            }
        };
        background.run(2, &memory(), work, &mut attend).unwrap();
    }

    #[test]
    fn a_panic_of_the_caller_stops_the_work() {
        let (background, mut turns) = (Background::default(), 0);
        let mut attend = || {
            turns += 1;
            assert!(turns < 3, "interrupted");
        };
        let panic = catch_unwind(AssertUnwindSafe(|| background.run(1, &memory(), endless, &mut attend))).unwrap_err();
        assert_eq!(*panic.downcast::<&str>().unwrap(), "interrupted");
        assert!(!background.running.load(SeqCst));
        assert_eq!(background.run(1, &memory(), |_| Ok(7), &mut || ()).unwrap(), 7);
    }

    #[test]
    fn a_panic_of_the_work_is_an_error() {
        let background = Background::default();
        let error = background.run::<()>(1, &memory(), |_| panic!("a bug"), &mut || ()).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Internal);
    }

    #[test]
    fn halts_from_within() {
        let background = Background::default();
        let halt = || {
            background.halt();
            assert!(!background.running.load(SeqCst));
        };
        let error = background.run(1, &memory(), endless, &mut { halt }).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Cancelled);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn its_threads_have_a_lower_priority() {
        let nice = || {
            let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
            stat.rsplit(')').next().unwrap().split_whitespace().nth(16).unwrap().parse::<i32>().unwrap()
        };
        let before = nice();
        let (work, both) = (|ctx: &Context| Ok(ctx.compute.pool().map(2, |_| nice())), Background::default());
        for nice in both.run(2, &memory(), work, &mut || ()).unwrap() {
            assert_eq!(nice, (before + NICE).min(19));
        }
        assert_eq!(nice(), before);
    }
}
