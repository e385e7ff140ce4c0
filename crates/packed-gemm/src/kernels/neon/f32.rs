//! Sixteen columns at a time, by FMLA with a value of a row from a register of four.

use std::arch::aarch64::*;

use super::registers::{Prefetcher, VECTORS, rows_of, start, store};
use crate::geometry::{AccTile, NARROW_NR, NARROW_PIECES, NR};
use crate::kernels::block::{Floats, Tile};

/// `sums += x[lane] * w` for each row, where `w` is the vector of weights that `$w` makes for each `j`.
macro_rules! multiply {
    ($sums:ident, $x:ident, $lane:literal, |$j:ident| $w:expr) => {
        for $j in 0..VECTORS {
            let w = $w;
            for i in 0..M {
                $sums[i][$j] = vfmaq_laneq_f32::<$lane>($sums[i][$j], w, $x[i]);
            }
        }
    };
}

/// Rows of f32 and weights of f32.
pub fn f32_neon<const M: usize>(tile: Tile<Floats<f32, f32>>, acc: &mut AccTile) {
    let Floats { x, stride, panel, .. } = tile.operands;
    let (steps, width) = (panel.words(), panel.width);
    assert!(x.len() >= (M - 1) * stride + steps && acc.len() == M);
    assert!(width == NARROW_NR || width == NR);
    let rows = rows_of::<M, f32>(x, stride);
    let mut prefetcher = Prefetcher::new(tile.prefetch, NARROW_PIECES * steps.div_ceil(4));
    for piece in 0..NARROW_PIECES {
        let column = piece * NARROW_NR;
        // SAFETY: inside the panel, which is `[64 / width, steps, width]`.
        let weights = unsafe { panel.values.as_ptr().add(column / width * width * steps + column % width) };
        let mut sums = start::<M>(tile.accumulate, acc, piece);
        let whole = steps / 4 * 4;
        for s in (0..whole).step_by(4) {
            // SAFETY: s + 3 < steps, and by the assertions above there are 16 weights for each step, and for each of M
            // rows its values.
            unsafe {
                let w = weights.add(s * width);
                let mut x = [vdupq_n_f32(0.0); M];
                for i in 0..M {
                    x[i] = vld1q_f32(rows[i].add(s));
                }
                multiply!(sums, x, 0, |j| vld1q_f32(w.add(4 * j)));
                multiply!(sums, x, 1, |j| vld1q_f32(w.add(width + 4 * j)));
                multiply!(sums, x, 2, |j| vld1q_f32(w.add(2 * width + 4 * j)));
                multiply!(sums, x, 3, |j| vld1q_f32(w.add(3 * width + 4 * j)));
            }
            prefetcher.fetch();
        }
        for s in whole..steps {
            // SAFETY: the same for one step.
            unsafe {
                let mut x = [vdupq_n_f32(0.0); M];
                for i in 0..M {
                    x[i] = vld1q_dup_f32(rows[i].add(s));
                }
                multiply!(sums, x, 0, |j| vld1q_f32(weights.add(s * width + 4 * j)));
            }
        }
        store(&sums, acc, piece);
    }
}

/// Rows of f32 and weights in pairs of bf16, which become f32 step by step: for so few rows that it would not pay to
/// unpack the panel.
pub fn weights_bf16_neon<const M: usize>(tile: Tile<Floats<f32, u32>>, acc: &mut AccTile) {
    let Floats { x, stride, panel, .. } = tile.operands;
    let steps = panel.words();
    assert!(x.len() >= (M - 1) * stride + 2 * steps && acc.len() == M && panel.width == NR);
    let rows = rows_of::<M, f32>(x, stride);
    let mut prefetcher = Prefetcher::new(tile.prefetch, NARROW_PIECES * steps);
    for piece in 0..NARROW_PIECES {
        // SAFETY: inside the panel, which is `[steps, 64]`.
        let weights = unsafe { panel.values.as_ptr().add(piece * NARROW_NR) };
        let mut sums = start::<M>(tile.accumulate, acc, piece);
        for s in 0..steps {
            // SAFETY: s < steps, and by the assertion above there are 16 words for each step, and two values for each of
            // M rows.
            unsafe {
                let mut x = [vdupq_n_f32(0.0); M];
                for i in 0..M {
                    let pair = vld1_f32(rows[i].add(2 * s));
                    x[i] = vcombine_f32(pair, pair);
                }
                for j in 0..VECTORS {
                    let w = vld1q_u32(weights.add(s * NR + 4 * j));
                    let first = vreinterpretq_f32_u32(vshlq_n_u32::<16>(w));
                    let second = vreinterpretq_f32_u32(vandq_u32(w, vdupq_n_u32(0xffff_0000)));
                    for i in 0..M {
                        let sum = vfmaq_laneq_f32::<0>(sums[i][j], first, x[i]);
                        sums[i][j] = vfmaq_laneq_f32::<1>(sum, second, x[i]);
                    }
                }
            }
            prefetcher.fetch();
        }
        store(&sums, acc, piece);
    }
}
