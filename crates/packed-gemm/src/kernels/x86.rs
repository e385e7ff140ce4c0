//! What kernels for x86-64 have in common.

#![allow(unsafe_code)]

use std::arch::x86_64::*;

use pulp::x86::{V3, V4};

use super::block::{Floats, Tile};
use crate::geometry::AccTile;

/// pulp's vectors of 16 values, for machines that `Kernel::Avx512` has been found to run on.
#[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx2,fma")]
#[inline]
pub fn v4() -> V4 {
    // SAFETY: `Kernel::runs_here` has asked pulp.
    unsafe { V4::new_unchecked() }
}

/// pulp's vectors of 8 values, for machines that `Kernel::Avx2` has been found to run on.
#[target_feature(enable = "avx2,fma")]
#[inline]
pub fn v3() -> V3 {
    // SAFETY: the same.
    unsafe { V3::new_unchecked() }
}

/// Rows are pairs of bf16 only for kernels that multiply them: see `MicroKernel::lhs_format`.
pub fn no_bf16<const M: usize>(_: Tile<Floats<u32, u32>>, _: &mut AccTile) {
    unreachable!("pairs of bf16 for a kernel without them");
}

/// Asks for memory, evenly spread over the steps of a tile: so it comes while the processor multiplies.
pub struct Prefetcher {
    /// Where the next step asks, which may be any address.
    pub at: *const i8,
    /// From one step to the next.
    pub bytes: usize,
}

impl Prefetcher {
    /// All of `words` within so many steps.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub fn new(words: &[u32], steps: usize) -> Self {
        Self { at: words.as_ptr().cast(), bytes: size_of_val(words).div_ceil(steps.max(1)) }
    }

    /// One step: asks for one cache line.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub fn fetch(&mut self) {
        _mm_prefetch::<_MM_HINT_T1>(self.at);
        self.at = self.at.wrapping_add(self.bytes);
    }
}
