//! The inner loops in x86-64's vector instructions.

#![allow(unsafe_code)]

use std::arch::x86_64::*;

use crate::tile::{COLUMNS, Job, Operands, ROWS, Tile, product, rows};

#[target_feature(enable = "avx512f,avx512bf16")]
pub fn avx512_bf16(job: &Job) {
    product!(job, f32_avx512, bf16_avx512);
}

#[target_feature(enable = "avx512f,avx2,fma")]
pub fn avx512(job: &Job) {
    product!(job, f32_avx512, bf16_avx2);
}

#[target_feature(enable = "avx2,fma")]
pub fn avx2(job: &Job) {
    product!(job, f32_avx2, bf16_avx2);
}

/// The whole width of a panel at once: 24 of the 32 registers are sums.
macro_rules! wide {
    ($name:ident, $features:literal, $operand:ty, |$x:ident, $w:ident, $sum:ident| $step:expr) => {
        #[inline]
        #[target_feature(enable = $features)]
        fn $name<const M: usize>(x: &[$operand], k: usize, panel: &[$operand], tile: &mut Tile) {
            assert!(x.len() == M * k && panel.len() == k * COLUMNS && M <= ROWS);
            let (x, panel) = (x.as_ptr().cast::<i32>(), panel.as_ptr().cast::<i32>());
            let mut sums = [[_mm512_setzero_ps(); 4]; M];
            for s in 0..k {
                // SAFETY: s < k, and by the assertion above `panel` has 64 words for each s and `x` k for each of M
                // rows. A prefetch may point anywhere.
                unsafe {
                    let step = panel.add(s * COLUMNS);
                    let w: [__m512i; 4] = std::array::from_fn(|j| _mm512_loadu_si512(step.add(16 * j).cast()));
                    for j in 0..4 {
                        _mm_prefetch::<_MM_HINT_T0>(step.wrapping_add(512 + 16 * j).cast());
                    }
                    for (i, sums) in sums.iter_mut().enumerate() {
                        let $x = _mm512_set1_epi32(*x.add(i * k + s));
                        for ($sum, $w) in sums.iter_mut().zip(w) {
                            *$sum = $step;
                        }
                    }
                }
            }
            for (row, sums) in tile.iter_mut().zip(sums) {
                for (out, sum) in row.as_chunks_mut::<16>().0.iter_mut().zip(sums) {
                    // SAFETY: `out` is 16 values.
                    unsafe { _mm512_storeu_ps(out.as_mut_ptr(), sum) };
                }
            }
        }
    };
}

wide!(f32_avx512, "avx512f", f32, |x, w, sum| _mm512_fmadd_ps(_mm512_castsi512_ps(x), _mm512_castsi512_ps(w), *sum));
// The intrinsic's own type for 32 bf16 has no cast: the bits are the same.
wide!(bf16_avx512, "avx512f,avx512bf16", u32, |x, w, sum| _mm512_dpbf16_ps(
    *sum,
    std::mem::transmute::<__m512i, __m512bh>(x),
    std::mem::transmute::<__m512i, __m512bh>(w)
));

/// Sixteen columns at a time: 12 of the 16 registers are sums.
macro_rules! narrow {
    ($name:ident, $operand:ty, |$x:ident, $w:ident, $sum:ident| $step:expr) => {
        #[inline]
        #[target_feature(enable = "avx2,fma")]
        fn $name<const M: usize>(x: &[$operand], k: usize, panel: &[$operand], tile: &mut Tile) {
            assert!(x.len() == M * k && panel.len() == k * COLUMNS && M <= ROWS);
            let (x, panel) = (x.as_ptr().cast::<i32>(), panel.as_ptr().cast::<i32>());
            for first in (0..COLUMNS).step_by(16) {
                let mut sums = [[_mm256_setzero_ps(); 2]; M];
                for s in 0..k {
                    // SAFETY: as in `wide`; first + 16 <= 64.
                    unsafe {
                        let step = panel.add(s * COLUMNS + first);
                        let w = [_mm256_loadu_si256(step.cast()), _mm256_loadu_si256(step.add(8).cast())];
                        for (i, sums) in sums.iter_mut().enumerate() {
                            let $x = _mm256_set1_epi32(*x.add(i * k + s));
                            for ($sum, $w) in sums.iter_mut().zip(w) {
                                *$sum = $step;
                            }
                        }
                    }
                }
                for (row, sums) in tile.iter_mut().zip(sums) {
                    for (out, sum) in row[first..first + 16].as_chunks_mut::<8>().0.iter_mut().zip(sums) {
                        // SAFETY: `out` is 8 values.
                        unsafe { _mm256_storeu_ps(out.as_mut_ptr(), sum) };
                    }
                }
            }
        }
    };
}

narrow!(f32_avx2, f32, |x, w, sum| _mm256_fmadd_ps(_mm256_castsi256_ps(x), _mm256_castsi256_ps(w), *sum));
narrow!(bf16_avx2, u32, |x, w, sum| _mm256_fmadd_ps(high(x), high(w), _mm256_fmadd_ps(low(x), low(w), *sum)));

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
