//! How long some work takes, whatever else the machine does meanwhile.

use std::time::Duration;

/// Of one input, in a build that checks everything.
const MOST: Duration = Duration::from_secs(10);

/// What `work` gives. It is a finding if it takes too long.
pub fn limited<R>(work: impl FnOnce() -> R) -> R {
    let before = now();
    let result = work();
    let taken = now() - before;
    assert!(taken <= MOST, "took {taken:?}");
    result
}

/// Time of this thread on a processor.
fn now() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the place is one for a time.
    let told = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    assert_eq!(told, 0);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
