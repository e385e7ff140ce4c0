//! Products of two rows by two columns: by SMMLA of eight integers of each, by BFMMLA of four bf16. Both are two words.
//!
//! A column's two words have to lie side by side, as they do not in a panel: two vectors of words are interleaved. The
//! intrinsics are not stable yet. What is written out keeps weights from more registers than there are beside the sums.

use std::arch::aarch64::*;
use std::arch::asm;

use super::registers::{Prefetcher, VECTORS, four, rows_of, start, store};
use crate::geometry::{AccTile, GROUP_WORDS, NARROW_NR, NARROW_PIECES, NR};
use crate::kernels::block::{Floats, Int8, Tile};
use crate::lhs::quantize::RowParams;

/// Pairs of rows of a tile, at most. Of an odd number the last row is its own neighbour.
const PAIRS: usize = 3;

/// What is behind the last word of 16 columns.
static ZEROS: [i32; NARROW_NR] = [0; NARROW_NR];

/// Adds the products of pairs of rows and four columns, whose words are so many bytes from `$w` and `$next` on, to
/// `sums[pair][2 j..]`.
macro_rules! four_columns {
    (
        $mmla:literal, $of:literal, $sums:ident, $x:ident, $w:ident, $next:ident, $j:literal $at:literal,
        $($p:literal $low:ident $high:ident $rows:ident)*
    ) => {
        asm!(
            concat!("ldr {first:q}, [{w}, #", $at, "]"),
            concat!("ldr {second:q}, [{next}, #", $at, "]"),
            "zip1 {low:v}.4s, {first:v}.4s, {second:v}.4s",
            "zip2 {first:v}.4s, {first:v}.4s, {second:v}.4s",
            $(concat!($mmla, " {", stringify!($low), ":v}.4s, {", stringify!($rows), ":v}.", $of, ", {low:v}.", $of),)*
            $(concat!($mmla, " {", stringify!($high), ":v}.4s, {", stringify!($rows), ":v}.", $of, ", {first:v}.", $of),)*
            w = in(reg) $w,
            next = in(reg) $next,
            first = out(vreg) _,
            second = out(vreg) _,
            low = out(vreg) _,
            $($low = inout(vreg) $sums[$p][2 * $j],)*
            $($high = inout(vreg) $sums[$p][2 * $j + 1],)*
            $($rows = in(vreg) $x[$p],)*
            options(pure, readonly, nostack, preserves_flags)
        )
    };
}

macro_rules! sixteen_columns {
    ($mmla:literal, $of:literal, $sums:ident, $x:ident, $w:ident, $next:ident, $($pairs:tt)*) => {{
        four_columns!($mmla, $of, $sums, $x, $w, $next, 0 0, $($pairs)*);
        four_columns!($mmla, $of, $sums, $x, $w, $next, 1 16, $($pairs)*);
        four_columns!($mmla, $of, $sums, $x, $w, $next, 2 32, $($pairs)*);
        four_columns!($mmla, $of, $sums, $x, $w, $next, 3 48, $($pairs)*);
    }};
}

/// Adds the products of two words of each row, `$x` being those of pairs of rows.
macro_rules! two_words {
    ($mmla:literal, $of:literal, $sums:ident, $x:ident, $w:expr, $next:expr) => {
        let (w, next): (*const i32, *const i32) = ($w, $next);
        match M {
            1 | 2 => sixteen_columns!($mmla, $of, $sums, $x, w, next, 0 a b x),
            3 | 4 => sixteen_columns!($mmla, $of, $sums, $x, w, next, 0 a b x 1 c d y),
            _ => sixteen_columns!($mmla, $of, $sums, $x, w, next, 0 a b x 1 c d y 2 e f z),
        }
    };
}

/// Two words of each of two rows.
macro_rules! pairs {
    ($rows:ident, $at:expr) => {{
        let mut x = [vdupq_n_s32(0); PAIRS];
        for p in 0..M.div_ceil(2) {
            let first = vld1_s64($rows[2 * p].add($at).cast());
            let both = vcombine_s64(first, first);
            let both = vld1q_lane_s64::<1>($rows[(2 * p + 1).min(M - 1)].add($at).cast(), both);
            x[p] = vreinterpretq_s32_s64(both);
        }
        x
    }};
}

/// The last word of each of two rows, and zeros.
macro_rules! last_pairs {
    ($rows:ident, $at:expr) => {{
        let mut x = [vdupq_n_s32(0); PAIRS];
        for p in 0..M.div_ceil(2) {
            let first = vld1q_lane_s32::<0>($rows[2 * p].add($at).cast(), x[p]);
            x[p] = vld1q_lane_s32::<2>($rows[(2 * p + 1).min(M - 1)].add($at).cast(), first);
        }
        x
    }};
}

/// Integers are summed up exactly. In the end the row's zero point is taken off, and its scale multiplied.
#[inline]
#[target_feature(enable = "neon,i8mm")]
pub fn int8_mmla<const M: usize>(tile: Tile<Int8>, acc: &mut AccTile) {
    let Int8 { x, stride, quantization, params, params_stride, panel, words, sums: negative, .. } = tile.operands;
    let groups = words.div_ceil(GROUP_WORDS);
    assert!(x.len() >= (M - 1) * stride + words && params.len() > (M - 1) * params_stride);
    assert!(panel.len() == (words + groups) * NR && acc.len() == M && quantization.shift == 128);
    let (rows, panel) = (rows_of::<M, u32>(x, stride), panel.as_ptr().cast::<i32>());
    let mut prefetcher = Prefetcher::new(tile.prefetch, NARROW_PIECES * words.div_ceil(2));
    for piece in 0..NARROW_PIECES {
        let mut sums = [[vdupq_n_s32(0); 2 * VECTORS]; PAIRS];
        for group in 0..groups {
            let first = group * GROUP_WORDS;
            let count = GROUP_WORDS.min(words - first);
            // SAFETY: a group has 64 sums and 64 words for each of its own, all of them before the end that is asserted
            // above, as is that each of M rows has its words.
            unsafe {
                let at = panel.add((group * (GROUP_WORDS + 1) + 1) * NR + piece * NARROW_NR);
                for s in (0..count / 2 * 2).step_by(2) {
                    let x = pairs!(rows, first + s);
                    two_words!("smmla", "16b", sums, x, at.add(s * NR), at.add((s + 1) * NR));
                    prefetcher.fetch();
                }
                if count % 2 == 1 {
                    let x = last_pairs!(rows, first + count - 1);
                    two_words!("smmla", "16b", sums, x, at.add((count - 1) * NR), ZEROS.as_ptr());
                }
            }
        }
        let mut totals = start::<M>(tile.accumulate, acc, piece);
        for i in 0..M {
            let RowParams { scale, zero } = params[i * params_stride];
            for j in 0..VECTORS {
                let low = vreinterpretq_s64_s32(sums[i / 2][2 * j]);
                let high = vreinterpretq_s64_s32(sums[i / 2][2 * j + 1]);
                let row = if i % 2 == 0 { vzip1q_s64(low, high) } else { vzip2q_s64(low, high) };
                let sum = vmlaq_n_s32(vreinterpretq_s32_s64(row), four(negative, piece, j), zero);
                totals[i][j] = vfmaq_n_f32(totals[i][j], vcvtq_f32_s32(sum), scale);
            }
        }
        store(&totals, acc, piece);
    }
}

/// Pairs of bf16 on both sides.
#[inline]
#[target_feature(enable = "neon,bf16")]
pub fn bf16_mmla<const M: usize>(tile: Tile<Floats<u32, u32>>, acc: &mut AccTile) {
    let Floats { x, stride, panel, .. } = tile.operands;
    let words = panel.words();
    assert!(x.len() >= (M - 1) * stride + words && acc.len() == M && panel.width == NR);
    let (rows, panel) = (rows_of::<M, u32>(x, stride), panel.values.as_ptr().cast::<i32>());
    let mut prefetcher = Prefetcher::new(tile.prefetch, NARROW_PIECES * words.div_ceil(2));
    for piece in 0..NARROW_PIECES {
        let mut totals = start::<M>(tile.accumulate, acc, piece);
        let mut sums = [[vdupq_n_f32(0.0); 2 * VECTORS]; PAIRS];
        for p in 0..M.div_ceil(2) {
            for j in 0..VECTORS {
                let first = vreinterpretq_f64_f32(totals[2 * p][j]);
                let second = vreinterpretq_f64_f32(totals[(2 * p + 1).min(M - 1)][j]);
                sums[p][2 * j] = vreinterpretq_f32_f64(vzip1q_f64(first, second));
                sums[p][2 * j + 1] = vreinterpretq_f32_f64(vzip2q_f64(first, second));
            }
        }
        // SAFETY: the panel has 64 words for each word of a row, as asserted above, and each of M rows has its words.
        unsafe {
            let at = panel.add(piece * NARROW_NR);
            for s in (0..words / 2 * 2).step_by(2) {
                let x = pairs!(rows, s);
                two_words!("bfmmla", "8h", sums, x, at.add(s * NR), at.add((s + 1) * NR));
                prefetcher.fetch();
            }
            if words % 2 == 1 {
                let x = last_pairs!(rows, words - 1);
                two_words!("bfmmla", "8h", sums, x, at.add((words - 1) * NR), ZEROS.as_ptr());
            }
        }
        for i in 0..M {
            for j in 0..VECTORS {
                let low = vreinterpretq_f64_f32(sums[i / 2][2 * j]);
                let high = vreinterpretq_f64_f32(sums[i / 2][2 * j + 1]);
                let row = if i % 2 == 0 { vzip1q_f64(low, high) } else { vzip2q_f64(low, high) };
                totals[i][j] = vreinterpretq_f32_f64(row);
            }
        }
        store(&totals, acc, piece);
    }
}
