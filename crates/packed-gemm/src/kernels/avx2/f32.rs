//! Sixteen columns at a time: 12 of the 16 registers of AVX2 are sums.

use std::arch::x86_64::*;

use super::registers::{load_256, rows_of, start_256, store_256};
use crate::geometry::{AccTile, NARROW_NR, NARROW_PIECES, NR};
use crate::kernels::block::{Floats, Tile};
use crate::kernels::x86::Prefetcher;

/// `$words`: of `x` in a step.
macro_rules! narrow {
    ($name:ident, $x:ty, $panel:ty, $words:literal, |$row:ident, $w:ident, $sum:ident| $step:expr) => {
        #[inline]
        #[target_feature(enable = "avx2,fma")]
        pub fn $name<const M: usize>(tile: Tile<Floats<$x, $panel>>, acc: &mut AccTile) {
            let Floats { x, stride, panel, .. } = tile.operands;
            let (steps, width) = (panel.words(), panel.width);
            assert!(x.len() >= (M - 1) * stride + steps * $words && acc.len() == M);
            assert!(width == NARROW_NR || width == NR);
            let rows = rows_of::<M, $x>(x, stride);
            let mut prefetcher = Prefetcher::new(tile.prefetch, NARROW_PIECES * steps);
            for piece in 0..NARROW_PIECES {
                let column = piece * NARROW_NR;
                // SAFETY: inside the panel, which is `[64 / width, steps, width]`.
                let weights = unsafe { panel.values.as_ptr().add(column / width * width * steps + column % width) };
                let mut sums = start_256::<M>(tile.accumulate, acc, piece);
                for s in 0..steps {
                    // SAFETY: s < steps, and by the assertions above they have 16 words for each s and `x` its
                    // words for each of M rows.
                    unsafe {
                        let w = load_256(weights.add(s * width).cast());
                        for i in 0..M {
                            let $row = rows[i].add(s * $words);
                            for j in 0..2 {
                                let ($sum, $w) = (sums[i][j], w[j]);
                                sums[i][j] = $step;
                            }
                        }
                    }
                    prefetcher.fetch();
                }
                store_256(&sums, acc, piece);
            }
        }
    };
}

narrow!(f32_avx2, f32, f32, 1, |x, w, sum| _mm256_fmadd_ps(_mm256_set1_ps(*x), _mm256_castsi256_ps(w), sum));
narrow!(weights_bf16_avx2, f32, u32, 2, |x, w, sum| _mm256_fmadd_ps(
    _mm256_set1_ps(*x.add(1)),
    high(w),
    _mm256_fmadd_ps(_mm256_set1_ps(*x), low(w), sum)
));

/// `[steps, 64]` pairs of bf16 to `[4, 2 * steps, 16]` of f32.
#[target_feature(enable = "avx2")]
pub fn unpack_narrow(panel: &[u32], out: &mut [f32]) {
    let steps = panel.len() / NR;
    assert!(out.len() == 2 * steps * NR);
    let (panel, out) = (panel.as_ptr().cast::<i32>(), out.as_mut_ptr());
    for s in 0..steps {
        for piece in 0..NARROW_PIECES {
            // SAFETY: the panel has 64 words for each step and, by the assertion, `out` 32 for each of each piece.
            unsafe {
                let w = load_256(panel.add(s * NR + piece * NARROW_NR));
                let to = out.add((piece * steps + s) * 2 * NARROW_NR);
                for j in 0..2 {
                    _mm256_storeu_ps(to.add(8 * j), low(w[j]));
                    _mm256_storeu_ps(to.add(NARROW_NR + 8 * j), high(w[j]));
                }
            }
        }
    }
}

/// The first bf16 of each pair as an f32.
#[inline]
#[target_feature(enable = "avx2")]
fn low(pairs: __m256i) -> __m256 {
    _mm256_castsi256_ps(_mm256_slli_epi32::<16>(pairs))
}

/// The second one.
#[inline]
#[target_feature(enable = "avx2")]
fn high(pairs: __m256i) -> __m256 {
    _mm256_castsi256_ps(_mm256_and_si256(pairs, _mm256_set1_epi32(0xffff_0000u32.cast_signed())))
}
