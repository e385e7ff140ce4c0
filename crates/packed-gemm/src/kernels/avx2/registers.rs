//! Tiles of 16 columns in the registers of AVX2.

use std::arch::x86_64::*;

use crate::geometry::{AccTile, NARROW_NR};

/// Sums of 16 columns of `M` rows to go on with, or zeros.
#[inline]
#[target_feature(enable = "avx2")]
pub fn start_256<const M: usize>(accumulate: bool, acc: &AccTile, piece: usize) -> [[__m256; 2]; M] {
    let mut sums = [[_mm256_setzero_ps(); 2]; M];
    if accumulate {
        for i in 0..M {
            for j in 0..2 {
                let values = &acc[i][NARROW_NR * piece + 8 * j..][..8];
                // SAFETY: eight values.
                sums[i][j] = unsafe { _mm256_loadu_ps(values.as_ptr()) };
            }
        }
    }
    sums
}

/// Writes sums of 16 columns of `M` rows back.
#[inline]
#[target_feature(enable = "avx2")]
pub fn store_256<const M: usize>(sums: &[[__m256; 2]; M], acc: &mut AccTile, piece: usize) {
    for i in 0..M {
        for j in 0..2 {
            let values = &mut acc[i][NARROW_NR * piece + 8 * j..][..8];
            // SAFETY: eight values.
            unsafe { _mm256_storeu_ps(values.as_mut_ptr(), sums[i][j]) };
        }
    }
}

/// Where the rows of a tile begin.
#[inline]
#[target_feature(enable = "avx2")]
pub fn rows_of<const M: usize, T>(x: &[T], stride: usize) -> [*const T; M] {
    let mut rows = [x.as_ptr(); M];
    for i in 0..M {
        rows[i] = rows[i].wrapping_add(i * stride);
    }
    // So that they are kept, and not computed anew in each step.
    std::hint::black_box(rows)
}

/// Sixteen columns of a step.
///
/// # Safety
/// 16 words must be readable.
#[inline]
#[target_feature(enable = "avx2")]
pub unsafe fn load_256(words: *const i32) -> [__m256i; 2] {
    // SAFETY: as the caller promised.
    unsafe { [_mm256_loadu_si256(words.cast()), _mm256_loadu_si256(words.add(8).cast())] }
}
