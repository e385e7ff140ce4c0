//! The inner loops in x86-64's vector instructions.

#![allow(unsafe_code)]
// Loops over indices, see `wide`.
#![allow(clippy::needless_range_loop)]

use std::arch::x86_64::*;

use crate::tile::{COLUMNS, Int8, Operands, Part, QUADS, ROWS, Sums, product, rows};

#[target_feature(enable = "avx512f,avx512bf16,avx512vnni,avx2,fma")]
pub fn avx512_bf16(part: &Part, sums: &mut Sums) {
    product!(part, sums, true, f32_avx512, weights_bf16_avx2, bf16_avx512, int8_avx512);
}

#[target_feature(enable = "avx512f,avx512vnni,avx2,fma")]
pub fn avx512_vnni(part: &Part, sums: &mut Sums) {
    product!(part, sums, true, f32_avx512, weights_bf16_avx2, no_bf16, int8_avx512);
}

#[target_feature(enable = "avx512f,avx2,fma")]
pub fn avx512(part: &Part, sums: &mut Sums) {
    product!(part, sums, true, f32_avx512, weights_bf16_avx2, no_bf16, int8_avx2);
}

#[target_feature(enable = "avx2,fma")]
pub fn avx2(part: &Part, sums: &mut Sums) {
    product!(part, sums, true, f32_avx2, weights_bf16_avx2, no_bf16, int8_avx2);
}

/// Rows are pairs of bf16 only for kernels that multiply them: see `rows::Format`.
fn no_bf16<const M: usize>(_: &[u32], _: usize, _: &[u32], _: bool, _: &mut Sums) {
    unreachable!("pairs of bf16 for a kernel without them");
}

/// The whole width of a panel at once: 24 of the 32 registers are sums.
///
/// Plain loops over indices, here and below: iterators and closures are functions without the kernel's features, which
/// the compiler does not reliably inline into one that has them.
macro_rules! wide {
    ($name:ident, $features:literal, $operand:ty, |$x:ident, $w:ident, $sum:ident| $step:expr) => {
        #[inline]
        #[target_feature(enable = $features)]
        fn $name<const M: usize>(x: &[$operand], stride: usize, panel: &[$operand], add: bool, tile: &mut Sums) {
            let steps = panel.len() / COLUMNS;
            assert!(x.len() >= (M - 1) * stride + steps && tile.len() == M);
            let (x, panel) = (x.as_ptr().cast::<i32>(), panel.as_ptr().cast::<i32>());
            let mut sums = start_512::<M>(add, tile);
            for s in 0..steps {
                // SAFETY: s < steps, and by the assertion above `panel` has 64 words for each s and `x` one for each of
                // M rows. A prefetch may point anywhere.
                unsafe {
                    let w = load_512(panel.add(s * COLUMNS));
                    for i in 0..M {
                        let $x = _mm512_set1_epi32(*x.add(i * stride + s));
                        for j in 0..4 {
                            let ($sum, $w) = (sums[i][j], w[j]);
                            sums[i][j] = $step;
                        }
                    }
                }
            }
            store_512(&sums, tile);
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

#[inline]
#[target_feature(enable = "avx512f")]
fn start_512<const M: usize>(add: bool, tile: &Sums) -> [[__m512; 4]; M] {
    let mut sums = [[_mm512_setzero_ps(); 4]; M];
    if add {
        for i in 0..M {
            for j in 0..4 {
                // SAFETY: a row of the tile is 64 values.
                sums[i][j] = unsafe { _mm512_loadu_ps(tile[i].as_ptr().add(16 * j)) };
            }
        }
    }
    sums
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store_512<const M: usize>(sums: &[[__m512; 4]; M], tile: &mut Sums) {
    for i in 0..M {
        for j in 0..4 {
            // SAFETY: a row of the tile is 64 values.
            unsafe { _mm512_storeu_ps(tile[i].as_mut_ptr().add(16 * j), sums[i][j]) };
        }
    }
}

/// A step of a panel; a later one is asked for.
///
/// # Safety
/// 64 words must be readable.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn load_512(step: *const i32) -> [__m512i; 4] {
    let mut w = [_mm512_setzero_si512(); 4];
    for j in 0..4 {
        // SAFETY: as the caller promised.
        unsafe { w[j] = _mm512_loadu_si512(step.add(16 * j).cast()) };
        _mm_prefetch::<_MM_HINT_T0>(step.wrapping_add(512 + 16 * j).cast());
    }
    w
}

/// Integers are summed up exactly within a block; the tile adds up blocks, each times its row's scale.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
fn int8_avx512<const M: usize>(x: &[u32], scales: &[f32], operands: &Int8, add: bool, tile: &mut Sums) {
    let (quads, blocks) = (operands.quads, operands.quads.div_ceil(QUADS));
    let (stride, scale_stride) = (operands.stride, operands.scale_stride);
    assert!(x.len() >= (M - 1) * stride + quads && scales.len() >= (M - 1) * scale_stride + blocks);
    assert!(operands.panel.len() == (quads + blocks) * COLUMNS && tile.len() == M);
    let (x, words) = (x.as_ptr().cast::<i32>(), operands.panel.as_ptr().cast::<i32>());
    let zero = _mm512_set1_epi32(operands.levels + 1);
    let mut totals = start_512::<M>(add, tile);
    for block in 0..blocks {
        let first = block * QUADS;
        // SAFETY: as in `wide`: a block has 64 sums and 64 words for each of its quads, all of them before the end that
        // is asserted above, and each of M rows has a scale for it.
        unsafe {
            let at = words.add(block * (QUADS + 1) * COLUMNS);
            let mut start = load_512(at);
            for j in 0..4 {
                start[j] = _mm512_mullo_epi32(start[j], zero);
            }
            let mut sums = [start; M];
            for s in 0..QUADS.min(quads - first) {
                let w = load_512(at.add((1 + s) * COLUMNS));
                for i in 0..M {
                    let x = _mm512_set1_epi32(*x.add(i * stride + first + s));
                    for j in 0..4 {
                        sums[i][j] = _mm512_dpbusd_epi32(sums[i][j], x, w[j]);
                    }
                }
            }
            for i in 0..M {
                let scale = _mm512_set1_ps(*scales.as_ptr().add(i * scale_stride + block));
                for j in 0..4 {
                    totals[i][j] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums[i][j]), scale, totals[i][j]);
                }
            }
        }
    }
    store_512(&totals, tile);
}

/// Sixteen columns at a time: 12 of the 16 registers are sums. `$words`: of `x` in a step.
macro_rules! narrow {
    ($name:ident, $x:ty, $panel:ty, $words:literal, |$row:ident, $w:ident, $sum:ident| $step:expr) => {
        #[inline]
        #[target_feature(enable = "avx2,fma")]
        fn $name<const M: usize>(x: &[$x], stride: usize, panel: &[$panel], add: bool, tile: &mut Sums) {
            let steps = panel.len() / COLUMNS;
            assert!(x.len() >= (M - 1) * stride + steps * $words && tile.len() == M);
            let panel = panel.as_ptr().cast::<i32>();
            let mut rows = [x.as_ptr(); M];
            for i in 0..M {
                rows[i] = rows[i].wrapping_add(i * stride);
            }
            // So that they are kept, and not computed anew in each step.
            let rows = std::hint::black_box(rows);
            for part in 0..COLUMNS / 16 {
                let mut sums = start_256::<M>(add, tile, part);
                for s in 0..steps {
                    // SAFETY: as in `wide`; the last part ends at 64.
                    unsafe {
                        let w = load_256(panel.add(s * COLUMNS), part);
                        for i in 0..M {
                            let $row = rows[i].add(s * $words);
                            for j in 0..2 {
                                let ($sum, $w) = (sums[i][j], w[j]);
                                sums[i][j] = $step;
                            }
                        }
                    }
                }
                store_256(&sums, tile, part);
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

#[inline]
#[target_feature(enable = "avx2")]
fn start_256<const M: usize>(add: bool, tile: &Sums, part: usize) -> [[__m256; 2]; M] {
    let mut sums = [[_mm256_setzero_ps(); 2]; M];
    if add {
        for i in 0..M {
            for j in 0..2 {
                let values = &tile[i][16 * part + 8 * j..][..8];
                // SAFETY: eight values.
                sums[i][j] = unsafe { _mm256_loadu_ps(values.as_ptr()) };
            }
        }
    }
    sums
}

#[inline]
#[target_feature(enable = "avx2")]
fn store_256<const M: usize>(sums: &[[__m256; 2]; M], tile: &mut Sums, part: usize) {
    for i in 0..M {
        for j in 0..2 {
            let values = &mut tile[i][16 * part + 8 * j..][..8];
            // SAFETY: eight values.
            unsafe { _mm256_storeu_ps(values.as_mut_ptr(), sums[i][j]) };
        }
    }
}

/// Sixteen columns of a step of a panel. The first part asks for all columns of a later step, as it is the one that
/// would wait for memory.
///
/// # Safety
/// 64 words must be readable, and `part` is below 4.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn load_256(step: *const i32, part: usize) -> [__m256i; 2] {
    if part == 0 {
        for j in 0..4 {
            _mm_prefetch::<_MM_HINT_T0>(step.wrapping_add(512 + 16 * j).cast());
        }
    }
    if part > 0 {
        _mm_prefetch::<_MM_HINT_T0>(step.wrapping_add(512 + 16 * part).cast());
    }
    // SAFETY: as the caller promised.
    unsafe {
        let at = step.add(16 * part);
        [_mm256_loadu_si256(at.cast()), _mm256_loadu_si256(at.add(8).cast())]
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

/// As `int8_avx512`. Two products are added in 16 bits, which `Kernel::levels` keeps from overflowing.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn int8_avx2<const M: usize>(x: &[u32], scales: &[f32], operands: &Int8, add: bool, tile: &mut Sums) {
    let (quads, blocks) = (operands.quads, operands.quads.div_ceil(QUADS));
    let (stride, scale_stride) = (operands.stride, operands.scale_stride);
    assert!(x.len() >= (M - 1) * stride + quads && scales.len() >= (M - 1) * scale_stride + blocks);
    assert!(operands.panel.len() == (quads + blocks) * COLUMNS && tile.len() == M && operands.levels <= 63);
    let (x, words) = (x.as_ptr().cast::<i32>(), operands.panel.as_ptr().cast::<i32>());
    let (zero, ones) = (_mm256_set1_epi32(operands.levels + 1), _mm256_set1_epi16(1));
    for part in 0..COLUMNS / 16 {
        let mut totals = start_256::<M>(add, tile, part);
        for block in 0..blocks {
            let first = block * QUADS;
            // SAFETY: as in `int8_avx512`; the last part ends at 64.
            unsafe {
                let at = words.add(block * (QUADS + 1) * COLUMNS);
                let start = load_256(at, part);
                let mut sums = [[_mm256_mullo_epi32(start[0], zero), _mm256_mullo_epi32(start[1], zero)]; M];
                for s in 0..QUADS.min(quads - first) {
                    let w = load_256(at.add((1 + s) * COLUMNS), part);
                    for i in 0..M {
                        let x = _mm256_set1_epi32(*x.add(i * stride + first + s));
                        for j in 0..2 {
                            let pairs = _mm256_maddubs_epi16(x, w[j]);
                            sums[i][j] = _mm256_add_epi32(sums[i][j], _mm256_madd_epi16(pairs, ones));
                        }
                    }
                }
                for i in 0..M {
                    let scale = _mm256_set1_ps(*scales.as_ptr().add(i * scale_stride + block));
                    for j in 0..2 {
                        totals[i][j] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums[i][j]), scale, totals[i][j]);
                    }
                }
            }
        }
        store_256(&totals, tile, part);
    }
}
