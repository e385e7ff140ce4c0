//! Integers of 8 bits by what every processor has: products of two words are added in 16 bits, which hold
//! `2 * 128 * 127`, and widened in pairs.

use std::arch::aarch64::*;

use super::registers::{Prefetcher, rows_of};
use crate::geometry::{AccTile, GROUP_WORDS, NR};
use crate::kernels::block::{Int8, Tile};
use crate::lhs::quantize::RowParams;

/// Columns at a time. Two sums for each take 24 registers.
const COLUMNS: usize = 8;
/// Vectors of words of these.
const VECTORS: usize = COLUMNS / 4;

/// Adds the products of a word of each row, or of two, to pairs of sums.
macro_rules! multiply {
    ($sums:ident, $rows:ident, $at:expr, $w:expr $(, $second:literal)?) => {
        for i in 0..M {
            let word = $rows[i].add($at).cast::<i32>();
            let x = vreinterpretq_s8_s32(vld1q_dup_s32(word));
            $(let next = vreinterpretq_s8_s32(vld1q_dup_s32(word.add($second)));)?
            for j in 0..VECTORS {
                let w = vreinterpretq_s8_s32(vld1q_s32($w.add(4 * j)));
                let (low, high) = (vmull_s8(vget_low_s8(w), vget_low_s8(x)), vmull_high_s8(w, x));
                $(
                    let w = vreinterpretq_s8_s32(vld1q_s32($w.add($second * NR + 4 * j)));
                    let low = vmlal_s8(low, vget_low_s8(w), vget_low_s8(next));
                    let high = vmlal_high_s8(high, w, next);
                )?
                $sums[i][2 * j] = vpadalq_s16($sums[i][2 * j], low);
                $sums[i][2 * j + 1] = vpadalq_s16($sums[i][2 * j + 1], high);
            }
        }
    };
}

/// Integers are summed up exactly. In the end the row's zero point is taken off, and its scale multiplied.
pub fn int8_neon<const M: usize>(tile: Tile<Int8>, acc: &mut AccTile) {
    let Int8 { x, stride, quantization, params, params_stride, panel, words, sums: negative, .. } = tile.operands;
    let groups = words.div_ceil(GROUP_WORDS);
    assert!(x.len() >= (M - 1) * stride + words && params.len() > (M - 1) * params_stride);
    assert!(panel.len() == (words + groups) * NR && acc.len() == M && quantization.shift == 128);
    let (rows, panel) = (rows_of::<M, u32>(x, stride), panel.as_ptr().cast::<i32>());
    let mut prefetcher = Prefetcher::new(tile.prefetch, NR / COLUMNS * words.div_ceil(2));
    for column in (0..NR).step_by(COLUMNS) {
        // SAFETY: a group has 64 sums and 64 words for each of its own, all of them before the end that is asserted above,
        // as is that each of M rows has its words. Every processor of this target has NEON.
        unsafe {
            let mut sums = [[vdupq_n_s32(0); 2 * VECTORS]; M];
            for group in 0..groups {
                let first = group * GROUP_WORDS;
                let count = GROUP_WORDS.min(words - first);
                let at = panel.add((group * (GROUP_WORDS + 1) + 1) * NR + column);
                for s in (0..count / 2 * 2).step_by(2) {
                    multiply!(sums, rows, first + s, at.add(s * NR), 1);
                    prefetcher.fetch();
                }
                if count % 2 == 1 {
                    multiply!(sums, rows, first + count - 1, at.add((count - 1) * NR));
                }
            }
            for i in 0..M {
                let RowParams { scale, zero } = params[i * params_stride];
                for j in 0..VECTORS {
                    let values = &mut acc[i][column + 4 * j..][..4];
                    let total = if tile.accumulate { vld1q_f32(values.as_ptr()) } else { vdupq_n_f32(0.0) };
                    let sum = vpaddq_s32(sums[i][2 * j], sums[i][2 * j + 1]);
                    let sum = vmlaq_n_s32(sum, vld1q_s32(negative.as_ptr().add(column + 4 * j)), zero);
                    vst1q_f32(values.as_mut_ptr(), vfmaq_n_f32(total, vcvtq_f32_s32(sum), scale));
                }
            }
        }
    }
}
