//! Code compiled for newer processors beside the portable code, which gives the same.

use pulp::NullaryFnOnce;

/// Runs it with the instructions of x86-64-v3 where they are there. What is to use them has to be inlined into `call`.
#[inline]
pub fn run<F: NullaryFnOnce>(work: F) -> F::Output {
    #[cfg(target_arch = "x86_64")]
    if let Some(simd) = pulp::x86::V3::try_new() {
        return simd.vectorize(work);
    }
    work.call()
}
