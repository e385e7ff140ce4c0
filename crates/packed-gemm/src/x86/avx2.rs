//! Sixteen columns at a time: 12 of the 16 registers of AVX2 are sums.

use std::arch::x86_64::*;

use crate::tile::{COLUMNS, NARROW, PARTS, Panel, Sums};

/// `$words`: of `x` in a step.
macro_rules! narrow {
    ($name:ident, $x:ty, $panel:ty, $words:literal, |$row:ident, $w:ident, $sum:ident| $step:expr) => {
        #[inline]
        #[target_feature(enable = "avx2,fma")]
        pub fn $name<const M: usize>(
            x: &[$x],
            stride: usize,
            panel: Panel<$panel>,
            ahead: &[u32],
            add: bool,
            tile: &mut Sums,
        ) {
            let (steps, width) = (panel.steps(), panel.width);
            assert!(x.len() >= (M - 1) * stride + steps * $words && tile.len() == M);
            assert!(width == NARROW || width == COLUMNS);
            let rows = rows_of::<M, $x>(x, stride);
            let mut ahead = Ahead::new(ahead, PARTS * steps);
            for part in 0..PARTS {
                let column = part * NARROW;
                // SAFETY: inside the panel, which is `[64 / width, steps, width]`.
                let piece = unsafe { panel.values.as_ptr().add(column / width * width * steps + column % width) };
                let mut sums = start_256::<M>(add, tile, part);
                for s in 0..steps {
                    // SAFETY: s < steps, and by the assertions above the piece has 16 words for each s and `x` its
                    // words for each of M rows.
                    unsafe {
                        let w = load_256(piece.add(s * width).cast());
                        for i in 0..M {
                            let $row = rows[i].add(s * $words);
                            for j in 0..2 {
                                let ($sum, $w) = (sums[i][j], w[j]);
                                sums[i][j] = $step;
                            }
                        }
                    }
                    ahead.fetch();
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

/// Sums of 16 columns of `M` rows to go on with, or zeros.
#[inline]
#[target_feature(enable = "avx2")]
pub fn start_256<const M: usize>(add: bool, tile: &Sums, part: usize) -> [[__m256; 2]; M] {
    let mut sums = [[_mm256_setzero_ps(); 2]; M];
    if add {
        for i in 0..M {
            for j in 0..2 {
                let values = &tile[i][NARROW * part + 8 * j..][..8];
                // SAFETY: eight values.
                sums[i][j] = unsafe { _mm256_loadu_ps(values.as_ptr()) };
            }
        }
    }
    sums
}

/// Writes sums of 16 columns of `M` rows back.
#[inline]
#[target_feature(enable = "avx2")]
pub fn store_256<const M: usize>(sums: &[[__m256; 2]; M], tile: &mut Sums, part: usize) {
    for i in 0..M {
        for j in 0..2 {
            let values = &mut tile[i][NARROW * part + 8 * j..][..8];
            // SAFETY: eight values.
            unsafe { _mm256_storeu_ps(values.as_mut_ptr(), sums[i][j]) };
        }
    }
}

/// Where the rows of a tile begin.
#[inline]
#[target_feature(enable = "avx2")]
pub fn rows_of<const M: usize, T>(x: &[T], stride: usize) -> [*const T; M] {
    let mut rows = [x.as_ptr(); M];
    for i in 0..M {
        rows[i] = rows[i].wrapping_add(i * stride);
    }
    // So that they are kept, and not computed anew in each step.
    std::hint::black_box(rows)
}

/// Asks for memory, evenly spread over the steps of a tile: so it comes while the processor multiplies.
pub struct Ahead {
    /// Where the next step asks, which may be any address.
    pub at: *const i8,
    /// From one step to the next.
    pub bytes: usize,
}

impl Ahead {
    /// All of `words` within so many steps.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub fn new(words: &[u32], steps: usize) -> Self {
        Self { at: words.as_ptr().cast(), bytes: size_of_val(words).div_ceil(steps.max(1)) }
    }

    /// One step: asks for one cache line.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub fn fetch(&mut self) {
        _mm_prefetch::<_MM_HINT_T1>(self.at);
        self.at = self.at.wrapping_add(self.bytes);
    }
}

/// Sixteen columns of a step.
///
/// # Safety
/// 16 words must be readable.
#[inline]
#[target_feature(enable = "avx2")]
pub unsafe fn load_256(words: *const i32) -> [__m256i; 2] {
    // SAFETY: as the caller promised.
    unsafe { [_mm256_loadu_si256(words.cast()), _mm256_loadu_si256(words.add(8).cast())] }
}

/// `[steps, 64]` pairs of bf16 to `[4, 2 * steps, 16]` of f32.
#[target_feature(enable = "avx2")]
pub fn unpack_narrow(panel: &[u32], out: &mut [f32]) {
    let steps = panel.len() / COLUMNS;
    assert!(out.len() == 2 * steps * COLUMNS);
    let (panel, out) = (panel.as_ptr().cast::<i32>(), out.as_mut_ptr());
    for s in 0..steps {
        for part in 0..PARTS {
            // SAFETY: the panel has 64 words for each step and, by the assertion, `out` 32 for each of each part.
            unsafe {
                let w = load_256(panel.add(s * COLUMNS + part * NARROW));
                let to = out.add((part * steps + s) * 2 * NARROW);
                for j in 0..2 {
                    _mm256_storeu_ps(to.add(8 * j), low(w[j]));
                    _mm256_storeu_ps(to.add(NARROW + 8 * j), high(w[j]));
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
