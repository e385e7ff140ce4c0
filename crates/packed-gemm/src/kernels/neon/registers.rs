//! Tiles of 16 columns in the registers of NEON: 24 of 32 are sums.

use std::arch::aarch64::*;
use std::arch::asm;

use crate::geometry::{AccTile, NARROW_NR, NR};

/// Vectors of a row of 16 columns.
pub const VECTORS: usize = NARROW_NR / 4;

/// Sums of 16 columns of `M` rows to go on with, or zeros.
#[inline(always)]
pub fn start<const M: usize>(accumulate: bool, acc: &AccTile, piece: usize) -> [[float32x4_t; VECTORS]; M] {
    // SAFETY: every processor of this target has NEON.
    let mut sums = [[unsafe { vdupq_n_f32(0.0) }; VECTORS]; M];
    if accumulate {
        for i in 0..M {
            for j in 0..VECTORS {
                let values = &acc[i][NARROW_NR * piece + 4 * j..][..4];
                // SAFETY: four values.
                sums[i][j] = unsafe { vld1q_f32(values.as_ptr()) };
            }
        }
    }
    sums
}

/// Writes sums of 16 columns of `M` rows back.
#[inline(always)]
pub fn store<const M: usize>(sums: &[[float32x4_t; VECTORS]; M], acc: &mut AccTile, piece: usize) {
    for i in 0..M {
        for j in 0..VECTORS {
            let values = &mut acc[i][NARROW_NR * piece + 4 * j..][..4];
            // SAFETY: four values.
            unsafe { vst1q_f32(values.as_mut_ptr(), sums[i][j]) };
        }
    }
}

/// Numbers of four columns, those of a vector of a piece.
#[inline(always)]
pub fn four(columns: &[i32; NR], piece: usize, vector: usize) -> int32x4_t {
    let columns = &columns[NARROW_NR * piece + 4 * vector..][..4];
    // SAFETY: four numbers.
    unsafe { vld1q_s32(columns.as_ptr()) }
}

/// Where the rows of a tile begin.
#[inline(always)]
pub fn rows_of<const M: usize, T>(x: &[T], stride: usize) -> [*const T; M] {
    let mut rows = [x.as_ptr(); M];
    for i in 0..M {
        rows[i] = rows[i].wrapping_add(i * stride);
    }
    rows
}

/// Asks for memory, evenly spread over the steps of a tile: so it comes while the processor multiplies.
pub struct Prefetcher {
    at: *const u8,
    bytes: usize,
}

impl Prefetcher {
    /// All of `words` within so many steps.
    #[inline(always)]
    pub fn new(words: &[u32], steps: usize) -> Self {
        Self { at: words.as_ptr().cast(), bytes: size_of_val(words).div_ceil(steps.max(1)) }
    }

    /// One step: asks for one cache line.
    #[inline(always)]
    pub fn fetch(&mut self) {
        // SAFETY: a prefetch may point anywhere.
        unsafe { asm!("prfm pldl2keep, [{}]", in(reg) self.at, options(nostack, preserves_flags, readonly)) };
        self.at = self.at.wrapping_add(self.bytes);
    }
}
