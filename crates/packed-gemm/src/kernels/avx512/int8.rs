//! Integers of 8 bits by VNNI, which sums up products of four.

use std::arch::x86_64::*;

use super::registers::{TwoLines, load_512, start_512, store_512};
use crate::geometry::{AccTile, GROUP_WORDS, NR};
use crate::kernels::block::{Int8, Tile};
use crate::lhs::quantize::ScaleScope;

/// Integers are summed up exactly, and the sums of a row multiplied by its scale in the end.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
pub fn int8_avx512<const M: usize>(tile: Tile<Int8>, acc: &mut AccTile) {
    let Int8 { x, stride, quantization, params, params_stride, panel, words, starts, .. } = tile.operands;
    let groups = words.div_ceil(GROUP_WORDS);
    assert!(x.len() >= (M - 1) * stride + words && params.len() > (M - 1) * params_stride);
    assert!(panel.len() == (words + groups) * NR && acc.len() == M && quantization.scope == ScaleScope::Row);
    let (x, panel) = (x.as_ptr().cast::<i32>(), panel.as_ptr().cast::<i32>());
    let mut prefetcher = TwoLines::new(tile.prefetch, words);
    // SAFETY: as in `wide`: a group has 64 sums and 64 words for each of its own, all of them before the end that is
    // asserted above, as is that each of M rows has its scale.
    unsafe {
        let mut first = [_mm512_setzero_si512(); 4];
        for j in 0..4 {
            first[j] = _mm512_loadu_si512(starts.as_ptr().add(16 * j).cast());
        }
        let mut sums = [first; M];
        for group in 0..groups {
            let first = group * GROUP_WORDS;
            let at = panel.add(group * (GROUP_WORDS + 1) * NR);
            for s in 0..GROUP_WORDS.min(words - first) {
                let w = load_512(at.add((1 + s) * NR));
                for i in 0..M {
                    let x = _mm512_set1_epi32(*x.add(i * stride + first + s));
                    for j in 0..4 {
                        sums[i][j] = _mm512_dpbusd_epi32(sums[i][j], x, w[j]);
                    }
                }
                prefetcher.fetch();
            }
        }
        let mut totals = start_512::<M>(tile.accumulate, acc);
        for i in 0..M {
            let scale = _mm512_set1_ps((*params.as_ptr().add(i * params_stride)).scale);
            for j in 0..4 {
                totals[i][j] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums[i][j]), scale, totals[i][j]);
            }
        }
        store_512(&totals, acc);
    }
}
