//! Tiles of whole panels in the registers of AVX-512.

use std::arch::x86_64::*;

use crate::geometry::{AccTile, CACHE_LINE, LINE_WORDS};
use crate::kernels::x86::Prefetcher;

/// Sums of `M` rows to go on with, or zeros.
#[inline]
#[target_feature(enable = "avx512f")]
pub fn start_512<const M: usize>(accumulate: bool, acc: &AccTile) -> [[__m512; 4]; M] {
    let mut sums = [[_mm512_setzero_ps(); 4]; M];
    if accumulate {
        for i in 0..M {
            for j in 0..4 {
                // SAFETY: a row of the tile is 64 values.
                sums[i][j] = unsafe { _mm512_loadu_ps(acc[i].as_ptr().add(16 * j)) };
            }
        }
    }
    sums
}

/// Writes sums of `M` rows back.
#[inline]
#[target_feature(enable = "avx512f")]
pub fn store_512<const M: usize>(sums: &[[__m512; 4]; M], acc: &mut AccTile) {
    for i in 0..M {
        for j in 0..4 {
            // SAFETY: a row of the tile is 64 values.
            unsafe { _mm512_storeu_ps(acc[i].as_mut_ptr().add(16 * j), sums[i][j]) };
        }
    }
}

/// [`Prefetcher`] with up to two lines a step. Both are asked for in any case, the same one twice where one is enough: in
/// the inner loop a branch costs more.
pub struct TwoLines {
    first: Prefetcher,
    second: usize,
}

impl TwoLines {
    /// As much of `words` as that is within so many steps.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub fn new(words: &[u32], steps: usize) -> Self {
        let first = Prefetcher::new(&words[..words.len().min(2 * LINE_WORDS * steps)], steps);
        Self { second: if first.bytes > CACHE_LINE { CACHE_LINE } else { 0 }, first }
    }

    /// One step.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub fn fetch(&mut self) {
        _mm_prefetch::<_MM_HINT_T1>(self.first.at.wrapping_add(self.second));
        self.first.fetch();
    }
}

/// A step of a panel; a later one is asked for.
///
/// # Safety
/// 64 words must be readable.
#[inline]
#[target_feature(enable = "avx512f")]
pub unsafe fn load_512(step: *const i32) -> [__m512i; 4] {
    let mut w = [_mm512_setzero_si512(); 4];
    for j in 0..4 {
        // SAFETY: as the caller promised.
        unsafe { w[j] = _mm512_loadu_si512(step.add(16 * j).cast()) };
        _mm_prefetch::<_MM_HINT_T0>(step.wrapping_add(512 + 16 * j).cast());
    }
    w
}
