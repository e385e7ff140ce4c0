//! Products of few rows of pairs of bf16, by BFDOT.

use std::arch::aarch64::*;
use std::arch::asm;

use crate::geometry::PAIR_ROWS;

/// Vectors of a row that are computed together: with four rows they take 16 registers.
const VECTORS: usize = 4;

/// Adds four columns' pairs times one pair. The intrinsic is not stable yet.
#[inline]
#[target_feature(enable = "neon,bf16")]
fn bfdot(mut sums: float32x4_t, matrix: uint32x4_t, weights: uint32x4_t) -> float32x4_t {
    // SAFETY: registers alone.
    unsafe {
        asm!("bfdot {0:v}.4s, {1:v}.8h, {2:v}.8h", inout(vreg) sums, in(vreg) matrix, in(vreg) weights,
            options(pure, nomem, nostack, preserves_flags));
    }
    sums
}

/// See [`multiply_pairs`](crate::multiply_pairs), which has checked that lengths fit.
///
/// # Safety
/// `weights` are equally long, `matrix` has `width` words for each of theirs, `out` has four times `width` values, and
/// `columns` is a multiple of 16 that is not above `width`.
#[target_feature(enable = "neon,bf16")]
pub unsafe fn multiply_pairs(
    weights: [&[u32]; PAIR_ROWS],
    matrix: &[u32],
    width: usize,
    columns: usize,
    out: &mut [f32],
) {
    for first in (0..columns).step_by(4 * VECTORS) {
        let mut sums = [[vdupq_n_f32(0.0); VECTORS]; PAIR_ROWS];
        // SAFETY: as the caller promised, for columns below `columns`.
        unsafe {
            for s in 0..weights[0].len() {
                let row = matrix.as_ptr().add(s * width + first);
                let mut vectors = [vdupq_n_u32(0); VECTORS];
                for j in 0..VECTORS {
                    vectors[j] = vld1q_u32(row.add(4 * j));
                }
                for i in 0..PAIR_ROWS {
                    let pair = vld1q_dup_u32(weights[i].as_ptr().add(s));
                    for j in 0..VECTORS {
                        sums[i][j] = bfdot(sums[i][j], vectors[j], pair);
                    }
                }
            }
            for i in 0..PAIR_ROWS {
                for j in 0..VECTORS {
                    vst1q_f32(out.as_mut_ptr().add(i * width + first + 4 * j), sums[i][j]);
                }
            }
        }
    }
}
