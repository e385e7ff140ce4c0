//! What attention's rows are multiplied by, by BFDOT.

use std::arch::aarch64::*;
use std::arch::asm;

use crate::geometry::MR;
use crate::kernels::pairs::PairProduct;

/// Vectors of a row that are computed together: with six rows they take 24 registers.
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
/// `x`, `panel` and `out` have what [`PairProduct`] says, and `width` is a multiple of 16.
#[target_feature(enable = "neon,bf16")]
pub unsafe fn multiply_pairs(product: &mut PairProduct) {
    let tiles = product.rows.div_ceil(MR);
    for tile in 0..tiles {
        let (from, to) = (product.rows * tile / tiles, product.rows * (tile + 1) / tiles);
        // SAFETY: as the caller promised, of rows that are there.
        unsafe {
            match to - from {
                1 => pairs::<1>(product, from),
                2 => pairs::<2>(product, from),
                3 => pairs::<3>(product, from),
                4 => pairs::<4>(product, from),
                5 => pairs::<5>(product, from),
                _ => pairs::<6>(product, from),
            }
        }
    }
}

/// # Safety
/// As above, for so many rows from `row` on.
#[inline]
#[target_feature(enable = "neon,bf16")]
unsafe fn pairs<const M: usize>(product: &mut PairProduct, row: usize) {
    let (stride, out_stride) = (product.x_stride, product.out_stride);
    for first in (0..product.width).step_by(4 * VECTORS) {
        let mut sums = [[vdupq_n_f32(0.0); VECTORS]; M];
        // SAFETY: as the caller promised, for columns below the width.
        unsafe {
            let x = product.x.as_ptr().add(row * stride);
            let out = product.out.as_mut_ptr().add(row * out_stride + first);
            for s in 0..product.steps {
                let step = product.panel.as_ptr().add(s * product.width + first);
                let mut vectors = [vdupq_n_u32(0); VECTORS];
                for j in 0..VECTORS {
                    vectors[j] = vld1q_u32(step.add(4 * j));
                }
                for i in 0..M {
                    let pair = vld1q_dup_u32(x.add(i * stride + s));
                    for j in 0..VECTORS {
                        sums[i][j] = bfdot(sums[i][j], vectors[j], pair);
                    }
                }
            }
            for i in 0..M {
                for j in 0..VECTORS {
                    vst1q_f32(out.add(i * out_stride + 4 * j), sums[i][j]);
                }
            }
        }
    }
}
