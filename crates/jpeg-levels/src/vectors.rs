//! Code compiled for newer processors beside the portable code, which gives the same.

use pulp::NullaryFnOnce;
#[cfg(target_arch = "x86_64")]
use pulp::x86::V3;

#[cfg(feature = "portable")]
thread_local! {
    static PORTABLE: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Leaves vector instructions out on this thread, to compare and to measure.
#[cfg(feature = "portable")]
pub fn portable(on: bool) {
    PORTABLE.set(on);
}

/// x86-64-v3, where the processor has it.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub fn v3() -> Option<V3> {
    #[cfg(feature = "portable")]
    if PORTABLE.get() {
        return None;
    }
    V3::try_new()
}

/// Runs it with the instructions of x86-64-v3 where they are there. What is to use them has to be inlined into `call`.
#[inline]
pub fn run<F: NullaryFnOnce>(work: F) -> F::Output {
    #[cfg(target_arch = "x86_64")]
    if let Some(simd) = v3() {
        return simd.vectorize(work);
    }
    work.call()
}
