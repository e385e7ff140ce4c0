//! The inner loops in x86-64's vector instructions.

#![allow(unsafe_code)]

use std::arch::x86_64::*;

use crate::tile::{COLUMNS, Int8Panel, Job, Operands, QUADS, ROWS, Tile, product, rows};

#[target_feature(enable = "avx512f,avx512bf16,avx512vnni,avx2,fma")]
pub fn avx512_bf16(job: &Job) {
    product!(job, true, f32_avx512, weights_bf16_avx2, bf16_avx512, int8_avx512);
}

#[target_feature(enable = "avx512f,avx512vnni,avx2,fma")]
pub fn avx512_vnni(job: &Job) {
    product!(job, true, f32_avx512, weights_bf16_avx2, no_bf16, int8_avx512);
}

#[target_feature(enable = "avx512f,avx2,fma")]
pub fn avx512(job: &Job) {
    product!(job, true, f32_avx512, weights_bf16_avx2, no_bf16, int8_avx2);
}

#[target_feature(enable = "avx2,fma")]
pub fn avx2(job: &Job) {
    product!(job, true, f32_avx2, weights_bf16_avx2, no_bf16, int8_avx2);
}

/// Rows are pairs of bf16 only for kernels that multiply them: see `rows::Format`.
fn no_bf16<const M: usize>(_: &[u32], _: usize, _: &[u32], _: &mut Tile) {
    unreachable!("pairs of bf16 for a kernel without them");
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

/// Integers are summed up exactly within a block; the tile adds up blocks, each times its row's scale.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
fn int8_avx512<const M: usize>(x: &[u32], scales: &[f32], panel: Int8Panel, tile: &mut Tile) {
    let (quads, blocks) = (panel.quads, panel.quads.div_ceil(QUADS));
    assert!(x.len() == M * quads && scales.len() == M * blocks && M <= ROWS);
    assert!(panel.blocks.len() == (quads + blocks) * COLUMNS);
    let (x, words) = (x.as_ptr().cast::<i32>(), panel.blocks.as_ptr().cast::<i32>());
    let zero = _mm512_set1_epi32(panel.levels + 1);
    tile[..M].iter_mut().for_each(|row| row.fill(0.0));
    for block in 0..blocks {
        let first = block * QUADS;
        // SAFETY: as in `wide`: a block has 64 sums and 64 words for each of its quads, all of them before the end that
        // is asserted above.
        unsafe {
            let at = words.add(block * (QUADS + 1) * COLUMNS);
            let start: [__m512i; 4] =
                std::array::from_fn(|j| _mm512_mullo_epi32(_mm512_loadu_si512(at.add(16 * j).cast()), zero));
            let mut sums = [start; M];
            for s in 0..QUADS.min(quads - first) {
                let step = at.add((1 + s) * COLUMNS);
                let w: [__m512i; 4] = std::array::from_fn(|j| _mm512_loadu_si512(step.add(16 * j).cast()));
                for j in 0..4 {
                    _mm_prefetch::<_MM_HINT_T0>(step.wrapping_add(512 + 16 * j).cast());
                }
                for (i, sums) in sums.iter_mut().enumerate() {
                    let x = _mm512_set1_epi32(*x.add(i * quads + first + s));
                    for (sum, w) in sums.iter_mut().zip(w) {
                        *sum = _mm512_dpbusd_epi32(*sum, x, w);
                    }
                }
            }
            for (i, (row, sums)) in tile.iter_mut().zip(sums).enumerate() {
                let scale = _mm512_set1_ps(scales[i * blocks + block]);
                for (out, sum) in row.as_chunks_mut::<16>().0.iter_mut().zip(sums) {
                    let before = _mm512_loadu_ps(out.as_ptr());
                    _mm512_storeu_ps(out.as_mut_ptr(), _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), scale, before));
                }
            }
        }
    }
}

/// Sixteen columns at a time: 12 of the 16 registers are sums. `$words`: of `x` in a step.
macro_rules! narrow {
    ($name:ident, $x:ty, $panel:ty, $words:literal, |$row:ident, $w:ident, $sum:ident| $step:expr) => {
        #[inline]
        #[target_feature(enable = "avx2,fma")]
        fn $name<const M: usize>(x: &[$x], steps: usize, panel: &[$panel], tile: &mut Tile) {
            assert!(x.len() == M * steps * $words && panel.len() == steps * COLUMNS && M <= ROWS);
            let (x, panel) = (x.as_ptr(), panel.as_ptr().cast::<i32>());
            for first in (0..COLUMNS).step_by(16) {
                let mut sums = [[_mm256_setzero_ps(); 2]; M];
                for s in 0..steps {
                    // SAFETY: as in `wide`; first + 16 <= 64.
                    unsafe {
                        let step = panel.add(s * COLUMNS + first);
                        if first == 0 {
                            // All columns of a later step: the first pass is the one that waits for memory.
                            for j in 0..4 {
                                _mm_prefetch::<_MM_HINT_T0>(step.wrapping_add(512 + 16 * j).cast());
                            }
                        }
                        let w = [_mm256_loadu_si256(step.cast()), _mm256_loadu_si256(step.add(8).cast())];
                        for (i, sums) in sums.iter_mut().enumerate() {
                            let $row = x.add((i * steps + s) * $words);
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

narrow!(f32_avx2, f32, f32, 1, |x, w, sum| _mm256_fmadd_ps(_mm256_set1_ps(*x), _mm256_castsi256_ps(w), *sum));
narrow!(weights_bf16_avx2, f32, u32, 2, |x, w, sum| _mm256_fmadd_ps(
    _mm256_set1_ps(*x.add(1)),
    high(w),
    _mm256_fmadd_ps(_mm256_set1_ps(*x), low(w), *sum)
));

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

/// As `int8_avx512`. Two products are added in 16 bits, which `Kernel::levels` keeps from overflowing.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn int8_avx2<const M: usize>(x: &[u32], scales: &[f32], panel: Int8Panel, tile: &mut Tile) {
    let (quads, blocks) = (panel.quads, panel.quads.div_ceil(QUADS));
    assert!(x.len() == M * quads && scales.len() == M * blocks && M <= ROWS && panel.levels <= 63);
    assert!(panel.blocks.len() == (quads + blocks) * COLUMNS);
    let (x, words) = (x.as_ptr().cast::<i32>(), panel.blocks.as_ptr().cast::<i32>());
    let (zero, ones) = (_mm256_set1_epi32(panel.levels + 1), _mm256_set1_epi16(1));
    tile[..M].iter_mut().for_each(|row| row.fill(0.0));
    for block in 0..blocks {
        let first_quad = block * QUADS;
        let steps = QUADS.min(quads - first_quad);
        for first in (0..COLUMNS).step_by(16) {
            // SAFETY: as in `int8_avx512`; first + 16 <= 64.
            unsafe {
                let at = words.add(block * (QUADS + 1) * COLUMNS + first);
                let start: [__m256i; 2] =
                    std::array::from_fn(|j| _mm256_mullo_epi32(_mm256_loadu_si256(at.add(8 * j).cast()), zero));
                let mut sums = [start; M];
                for s in 0..steps {
                    let step = at.add((1 + s) * COLUMNS);
                    if first == 0 {
                        for j in 0..4 {
                            _mm_prefetch::<_MM_HINT_T0>(step.wrapping_add((QUADS + 1) * COLUMNS + 16 * j).cast());
                        }
                    }
                    let w = [_mm256_loadu_si256(step.cast()), _mm256_loadu_si256(step.add(8).cast())];
                    for (i, sums) in sums.iter_mut().enumerate() {
                        let x = _mm256_set1_epi32(*x.add(i * quads + first_quad + s));
                        for (sum, w) in sums.iter_mut().zip(w) {
                            *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(_mm256_maddubs_epi16(x, w), ones));
                        }
                    }
                }
                for (i, (row, sums)) in tile.iter_mut().zip(sums).enumerate() {
                    let scale = _mm256_set1_ps(scales[i * blocks + block]);
                    for (out, sum) in row[first..first + 16].as_chunks_mut::<8>().0.iter_mut().zip(sums) {
                        let before = _mm256_loadu_ps(out.as_ptr());
                        _mm256_storeu_ps(out.as_mut_ptr(), _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum), scale, before));
                    }
                }
            }
        }
    }
}
