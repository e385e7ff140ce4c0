//! Integers of 8 bits by SDOT, which sums up products of four.

use std::arch::aarch64::*;
use std::arch::asm;

use super::registers::{Prefetcher, VECTORS, four, rows_of, start, store};
use crate::geometry::{AccTile, GROUP_WORDS, NARROW_NR, NARROW_PIECES, NR};
use crate::kernels::block::{Int8, Tile};
use crate::lhs::quantize::RowParams;

/// Four columns' words times the word of `x` in a lane. The intrinsic is not stable yet.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn sdot<const LANE: usize>(mut sums: int32x4_t, w: int32x4_t, x: int32x4_t) -> int32x4_t {
    // SAFETY: registers alone.
    unsafe {
        asm!("sdot {0:v}.4s, {1:v}.16b, {2:v}.4b[{3}]", inout(vreg) sums, in(vreg) w, in(vreg) x, const LANE,
            options(pure, nomem, nostack, preserves_flags));
    }
    sums
}

macro_rules! multiply {
    ($sums:ident, $x:ident, $w:expr, $($lane:literal)*) => {
        $(for j in 0..VECTORS {
            let w = vld1q_s32($w.add($lane * NR + 4 * j));
            for i in 0..M {
                $sums[i][j] = sdot::<$lane>($sums[i][j], w, $x[i]);
            }
        })*
    };
}

/// Integers are summed up exactly. In the end the row's zero point is taken off, and its scale multiplied.
#[inline]
#[target_feature(enable = "neon,dotprod")]
pub fn int8_dot<const M: usize>(tile: Tile<Int8>, acc: &mut AccTile) {
    let Int8 { x, stride, quantization, params, params_stride, panel, words, sums: negative, .. } = tile.operands;
    let groups = words.div_ceil(GROUP_WORDS);
    assert!(x.len() >= (M - 1) * stride + words && params.len() > (M - 1) * params_stride);
    assert!(panel.len() == (words + groups) * NR && acc.len() == M && quantization.shift == 128);
    let (rows, panel) = (rows_of::<M, u32>(x, stride), panel.as_ptr().cast::<i32>());
    let mut prefetcher = Prefetcher::new(tile.prefetch, NARROW_PIECES * words.div_ceil(4));
    for piece in 0..NARROW_PIECES {
        let mut sums = [[vdupq_n_s32(0); VECTORS]; M];
        for group in 0..groups {
            let first = group * GROUP_WORDS;
            let count = GROUP_WORDS.min(words - first);
            // SAFETY: a group has 64 sums and 64 words for each of its own, all of them before the end that is asserted
            // above, as is that each of M rows has its words.
            unsafe {
                let at = panel.add((group * (GROUP_WORDS + 1) + 1) * NR + piece * NARROW_NR);
                let whole = count / 4 * 4;
                for s in (0..whole).step_by(4) {
                    let mut x = [vdupq_n_s32(0); M];
                    for i in 0..M {
                        x[i] = vld1q_s32(rows[i].add(first + s).cast());
                    }
                    multiply!(sums, x, at.add(s * NR), 0 1 2 3);
                    prefetcher.fetch();
                }
                for s in whole..count {
                    let mut x = [vdupq_n_s32(0); M];
                    for i in 0..M {
                        x[i] = vld1q_dup_s32(rows[i].add(first + s).cast());
                    }
                    multiply!(sums, x, at.add(s * NR), 0);
                }
            }
        }
        let mut totals = start::<M>(tile.accumulate, acc, piece);
        for i in 0..M {
            let RowParams { scale, zero } = params[i * params_stride];
            for j in 0..VECTORS {
                let sum = vmlaq_n_s32(sums[i][j], four(negative, piece, j), zero);
                totals[i][j] = vfmaq_n_f32(totals[i][j], vcvtq_f32_s32(sum), scale);
            }
        }
        store(&totals, acc, piece);
    }
}
