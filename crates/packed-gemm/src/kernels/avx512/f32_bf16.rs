//! Whole panels at a time: 24 of the 32 registers of AVX-512 are sums.

use std::arch::x86_64::*;

use super::registers::{TwoLines, load_512, start_512, store_512};
use crate::geometry::{AccTile, NR};
use crate::kernels::block::{Floats, Tile};

macro_rules! wide {
    ($name:ident, $features:literal, $operand:ty, |$x:ident, $w:ident, $sum:ident| $step:expr) => {
        #[inline]
        #[target_feature(enable = $features)]
        pub fn $name<const M: usize>(tile: Tile<Floats<$operand, $operand>>, acc: &mut AccTile) {
            let Floats { x, stride, panel, .. } = tile.operands;
            let steps = panel.words();
            assert!(x.len() >= (M - 1) * stride + steps && acc.len() == M && panel.width == NR);
            let (x, panel) = (x.as_ptr().cast::<i32>(), panel.values.as_ptr().cast::<i32>());
            let mut sums = start_512::<M>(tile.accumulate, acc);
            let mut prefetcher = TwoLines::new(tile.prefetch, steps);
            for s in 0..steps {
                // SAFETY: s < steps, and by the assertion above `panel` has 64 words for each s and `x` one for each of
                // M rows. A prefetch may point anywhere.
                unsafe {
                    let w = load_512(panel.add(s * NR));
                    for i in 0..M {
                        let $x = _mm512_set1_epi32(*x.add(i * stride + s));
                        for j in 0..4 {
                            let ($sum, $w) = (sums[i][j], w[j]);
                            sums[i][j] = $step;
                        }
                    }
                }
                prefetcher.fetch();
            }
            store_512(&sums, acc);
        }
    };
}

wide!(f32_avx512, "avx512f", f32, |x, w, sum| _mm512_fmadd_ps(_mm512_castsi512_ps(x), _mm512_castsi512_ps(w), sum));
// The intrinsic's own type for 32 bf16 has no cast: the bits are the same.
wide!(bf16_avx512, "avx512f,avx512bf16", u32, |x, w, sum| _mm512_dpbf16_ps(
    sum,
    std::mem::transmute::<__m512i, __m512bh>(x),
    std::mem::transmute::<__m512i, __m512bh>(w)
));

/// Pairs of bf16 become f32 step by step: for so few rows that it would not pay to unpack the panel.
#[inline]
#[target_feature(enable = "avx512f")]
pub fn weights_bf16_avx512<const M: usize>(tile: Tile<Floats<f32, u32>>, acc: &mut AccTile) {
    let Floats { x, stride, panel, .. } = tile.operands;
    let steps = panel.words();
    assert!(x.len() >= (M - 1) * stride + 2 * steps && acc.len() == M && panel.width == NR);
    let (x, panel) = (x.as_ptr(), panel.values.as_ptr().cast::<i32>());
    let (mut sums, mut prefetcher) = (start_512::<M>(tile.accumulate, acc), TwoLines::new(tile.prefetch, steps));
    let high = _mm512_set1_epi32(i32::MIN >> 15);
    for s in 0..steps {
        // SAFETY: s < steps, and by the assertion above `panel` has 64 words for each s and `x` two values for each of M
        // rows. A prefetch may point anywhere.
        unsafe {
            let w = load_512(panel.add(s * NR));
            for j in 0..4 {
                let first = _mm512_castsi512_ps(_mm512_slli_epi32::<16>(w[j]));
                let second = _mm512_castsi512_ps(_mm512_and_si512(w[j], high));
                for i in 0..M {
                    let x = x.add(i * stride + 2 * s);
                    let sum = _mm512_fmadd_ps(_mm512_set1_ps(*x), first, sums[i][j]);
                    sums[i][j] = _mm512_fmadd_ps(_mm512_set1_ps(*x.add(1)), second, sum);
                }
            }
        }
        prefetcher.fetch();
    }
    store_512(&sums, acc);
}
