//! Work that its caller can leave behind: a decoder that reads nothing for seconds, and so cannot be told to stop.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use scopeguard::{ScopeGuard, guard};

use crate::compute::start_threads;
use crate::error::{Error, ErrorKind, Result};
use crate::memory::{self, Charge, look};

/// How often the caller looks up while it waits.
const PAUSE: Duration = Duration::from_millis(5);

/// What the caller and its thread know of each other.
struct Shared<R> {
    /// The caller has gone: nobody wants the result.
    left: AtomicBool,
    /// The thread has got no memory, and does not come back.
    refused: AtomicBool,
    result: Mutex<Option<Result<R>>>,
    done: Condvar,
}

/// Runs `work` on a thread of its own, covered by `charge`, and gives its result. The caller [looks up](look)
/// meanwhile.
///
/// Where the caller leaves, the thread ends at its own next look, and goes on alone until then. So `work` owns what
/// it reads, and the charge is held until it ends.
///
/// # Errors
///
/// What `work` fails with, `Internal` where it panics, `OutOfMemory` where the system refuses memory or the thread.
pub fn detached<R: Send + 'static>(charge: Charge, work: impl FnOnce() -> Result<R> + Send + 'static) -> Result<R> {
    let charge = Arc::new(charge);
    let shared = Arc::new(Shared {
        left: AtomicBool::new(false),
        refused: AtomicBool::new(false),
        result: Mutex::new(None),
        done: Condvar::new(),
    });
    let (theirs, covers) = (shared.clone(), charge.clone());
    let run = move || {
        let ask = || {
            if theirs.left.load(SeqCst) {
                memory::leave(Error::new(ErrorKind::Cancelled, "canceled by the caller"));
            }
        };
        let result = memory::expendable(&theirs.refused, || {
            let work = || memory::caught(|| packed_gemm::watched(&ask, || covers.cover(work)));
            catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(Error::internal("a decoder's thread panicked")))
        });
        covers.release();
        *lock(&theirs.result) = Some(result);
        theirs.done.notify_all();
    };
    start_threads(1, || thread::Builder::new().name("clip-image".to_owned()).spawn(run))?;
    let leaving = guard((), |()| shared.left.store(true, SeqCst));
    loop {
        let result = lock(&shared.result);
        let (mut result, _) = shared.done.wait_timeout(result, PAUSE).unwrap_or_else(PoisonError::into_inner);
        if let Some(result) = result.take() {
            ScopeGuard::into_inner(leaving);
            return result;
        }
        drop(result);
        if shared.refused.load(SeqCst) {
            // It keeps its memory, but nobody is to wait for that.
            charge.release();
            return Err(memory::short());
        }
        look();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::{Compute, Context};
    use crate::memory::Budget;
    use std::time::Instant;

    fn until(condition: impl Fn() -> bool) {
        let start = Instant::now();
        while !condition() {
            assert!(start.elapsed() < Duration::from_secs(20), "waited in vain");
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn gives_what_the_work_gives() {
        let budget = Arc::new(Budget::new(100));
        let here = thread::current().id();
        let charge = || budget.charge(100, "work").unwrap();
        assert_ne!(detached(charge(), move || Ok(thread::current().id())).unwrap(), here);
        let error = detached::<()>(charge(), || Err(Error::internal("no"))).unwrap_err();
        assert_eq!(error.message, "no");
        let error = detached::<()>(charge(), || std::panic::resume_unwind(Box::new("a bug"))).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Internal);
        // the charge is free again as soon as the result is there
        drop(charge());
    }

    #[test]
    fn a_caller_who_leaves_does_not_wait() {
        let compute = Compute::new(1).unwrap();
        let (begun, go, ended) = <(Arc<AtomicBool>, Arc<AtomicBool>, Arc<AtomicBool>)>::default();
        let stop = || begun.load(SeqCst);
        let ctx = Context { compute: &compute, stop: &stop };
        let budget = Arc::new(Budget::new(100));
        let charge = budget.charge(100, "work").unwrap();
        let error = ctx
            .attend(|| {
                let (begun, go, ended) = (begun.clone(), go.clone(), ended.clone());
                detached(charge, move || {
                    begun.store(true, SeqCst);
                    until(|| go.load(SeqCst));
                    let result = memory::caught(|| {
                        look();
                        Ok(())
                    });
                    assert_eq!(result.unwrap_err().kind, ErrorKind::Cancelled);
                    ended.store(true, SeqCst);
                    Ok(())
                })
            })
            .unwrap_err();
        assert_eq!(error.kind, ErrorKind::Cancelled);
        assert!(!ended.load(SeqCst));
        go.store(true, SeqCst);
        // held until the work has ended
        drop(budget.charge(100, "other work").unwrap());
        until(|| ended.load(SeqCst));
    }
}
