//! Integers of 8 bits by AVX2, which has no sum of four products: two are added in 16 bits, and more where they fit.

use std::arch::x86_64::*;

use super::registers::{load_256, rows_of, start_256, store_256};
use crate::geometry::{AccTile, GROUP_WORDS, NARROW_NR, NARROW_PIECES, NR};
use crate::kernels::block::{Int8, Tile};
use crate::kernels::x86::Prefetcher;
use crate::lhs::quantize::{Quantization, RowParams, ScaleScope};
use crate::rhs::relayout::{I16Groups, PanelRelayout, ROWS_INT8};

/// Integers of 7 bits: pairs of products are added in 16 bits, which must hold `2 * qmax * 127`. They are multiplied
/// unsigned, and [`BIAS`] is taken off them.
pub const QUANTIZATION: Quantization = Quantization { qmax: 127, shift: 0, bias: BIAS, scope: ScaleScope::Group };

/// The middle of all integers: so the sums of more products fit 16 bits.
const BIAS: i32 = 64;

/// Words that are added in 16 bits.
const SIZE: usize = I16Groups::SIZE;

/// In groups for many rows, where all of them are whole.
pub fn relayout(operands: &Int8, rows: usize) -> PanelRelayout {
    let whole = operands.words.is_multiple_of(SIZE);
    if rows >= ROWS_INT8 && whole { PanelRelayout::I16Groups } else { PanelRelayout::Stored }
}

/// As `int8_avx512`, but for scales of groups.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub fn int8_avx2<const M: usize>(tile: Tile<Int8>, acc: &mut AccTile) {
    match &tile.operands.groups {
        None => int8_stored::<M>(tile, acc),
        Some(groups) => int8_groups::<M>(tile, groups, acc),
    }
}

/// A panel as it is stored. Two products are added in 16 bits, which [`QUANTIZATION`] keeps from overflowing.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn int8_stored<const M: usize>(tile: Tile<Int8>, acc: &mut AccTile) {
    let Int8 { x, stride, quantization, params, params_stride, panel, words, .. } = tile.operands;
    let groups = words.div_ceil(GROUP_WORDS);
    assert!(x.len() >= (M - 1) * stride + words && params.len() >= (M - 1) * params_stride + groups);
    assert!(panel.len() == (words + groups) * NR && acc.len() == M && quantization == QUANTIZATION);
    let (x, panel) = (x.as_ptr().cast::<i32>(), panel.as_ptr().cast::<i32>());
    let (bias, ones) = (_mm256_set1_epi32(BIAS), _mm256_set1_epi16(1));
    let mut prefetcher = Prefetcher::new(tile.prefetch, NARROW_PIECES * words);
    for piece in 0..NARROW_PIECES {
        let mut totals = start_256::<M>(tile.accumulate, acc, piece);
        for group in 0..groups {
            let first = group * GROUP_WORDS;
            // SAFETY: as in `int8_avx512`; the last piece ends at 64.
            unsafe {
                let at = panel.add(group * (GROUP_WORDS + 1) * NR + piece * NARROW_NR);
                let negative = load_256(at);
                let start = [_mm256_mullo_epi32(negative[0], bias), _mm256_mullo_epi32(negative[1], bias)];
                let mut sums = [start; M];
                for s in 0..GROUP_WORDS.min(words - first) {
                    let w = load_256(at.add((1 + s) * NR));
                    for i in 0..M {
                        let x = _mm256_set1_epi32(*x.add(i * stride + first + s));
                        for j in 0..2 {
                            let pairs = _mm256_maddubs_epi16(x, w[j]);
                            sums[i][j] = _mm256_add_epi32(sums[i][j], _mm256_madd_epi16(pairs, ones));
                        }
                    }
                    prefetcher.fetch();
                }
                add_256(&sums, negative, &params[group..], params_stride, &mut totals);
            }
        }
        store_256(&totals, acc, piece);
    }
}

/// A panel in groups: the products of a group are added in 16 bits, and widened once.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn int8_groups<const M: usize>(tile: Tile<Int8>, i16_groups: &I16Groups, acc: &mut AccTile) {
    let Int8 { x, stride, quantization, params, params_stride, panel, words: row_words, .. } = tile.operands;
    let groups = row_words.div_ceil(GROUP_WORDS);
    assert!(x.len() >= (M - 1) * stride + row_words && acc.len() == M && quantization == QUANTIZATION);
    assert!(panel.len() == (row_words + groups) * NR);
    let panel = panel.as_ptr().cast::<i32>();
    let (rows, ones) = (rows_of::<M, u32>(x, stride), _mm256_set1_epi16(1));
    // Unknown to the compiler, which else has the sums of all words side by side, for which there are no registers.
    let size = std::hint::black_box(SIZE).min(SIZE);
    let mut prefetcher = Prefetcher::new(tile.prefetch, i16_groups.first.len());
    let mut from = 0;
    for piece in 0..NARROW_PIECES {
        let mut totals = start_256::<M>(tile.accumulate, acc, piece);
        for group in 0..groups {
            let mut sums = [[_mm256_setzero_si256(); 2]; M];
            let to = i16_groups.ends[piece * groups + group];
            for i16_group in from..to {
                let (words, first) = (&i16_groups.words[i16_group], i16_groups.first[i16_group]);
                assert!(first + SIZE <= row_words);
                let words = words.as_ptr().cast::<i32>();
                // SAFETY: a group has 16 words and 16 for each of its own; by the assertions each of M rows has a word
                // for each of them.
                unsafe {
                    let mut pairs = [load_256(words); M];
                    for s in 0..size {
                        let w = load_256(words.add((1 + s) * NARROW_NR));
                        for i in 0..M {
                            let x = _mm256_set1_epi32(rows[i].add(first + s).read().cast_signed());
                            for j in 0..2 {
                                pairs[i][j] = _mm256_add_epi16(pairs[i][j], _mm256_maddubs_epi16(x, w[j]));
                            }
                        }
                    }
                    prefetcher.fetch();
                    // In memory: the registers are taken.
                    let sums = std::hint::black_box(&mut sums);
                    for i in 0..M {
                        for j in 0..2 {
                            sums[i][j] = _mm256_add_epi32(sums[i][j], _mm256_madd_epi16(pairs[i][j], ones));
                        }
                    }
                }
            }
            from = to;
            // SAFETY: the panel has 64 sums before the words of each group, as asserted.
            let negative = unsafe { load_256(panel.add(group * (GROUP_WORDS + 1) * NR + piece * NARROW_NR)) };
            add_256(&sums, negative, &params[group..], params_stride, &mut totals);
        }
        store_256(&totals, acc, piece);
    }
}

/// Adds a group's sums, each less its row's zero point times the weights', and times its row's scale.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn add_256<const M: usize>(
    sums: &[[__m256i; 2]; M],
    negative: [__m256i; 2],
    params: &[RowParams],
    stride: usize,
    totals: &mut [[__m256; 2]; M],
) {
    for i in 0..M {
        let RowParams { scale, zero } = params[i * stride];
        let (scale, zero) = (_mm256_set1_ps(scale), _mm256_set1_epi32(zero));
        for j in 0..2 {
            let sum = _mm256_add_epi32(sums[i][j], _mm256_mullo_epi32(negative[j], zero));
            totals[i][j] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum), scale, totals[i][j]);
        }
    }
}

/// The operands with their panel laid out as [`I16Groups`], or as it is stored where more of them than a quarter would have
/// to be split.
#[target_feature(enable = "avx2")]
pub fn lay_out<'a>(operands: Int8<'a>, room: &'a mut [u32], places: &'a mut [usize]) -> Int8<'a> {
    let groups = i16_groups(&operands, room, places);
    Int8 { groups, ..operands }
}

/// A left-hand side's integer is `q + BIAS` with `q` in `-BIAS..BIAS`, and what counts is the sum of `q * w`; so a
/// group's sums start with that of `-BIAS * w`. In between they may wrap around: in the end they fit into 16 bits, as long
/// as `BIAS * sum(|w|)` does. A group where it does not becomes two, each with the half of its words: `64 * 4 * 127` fits.
#[inline]
#[target_feature(enable = "avx2")]
fn i16_groups<'a>(operands: &Int8, room: &'a mut [u32], places: &'a mut [usize]) -> Option<I16Groups<'a>> {
    let (words, groups) = (operands.words, operands.words.div_ceil(GROUP_WORDS));
    assert!(operands.panel.len() == (words + groups) * NR && words.is_multiple_of(SIZE));
    let panel = operands.panel.as_ptr().cast::<i32>();
    let (ends, places) = places.split_at_mut(NARROW_PIECES * groups);
    let most = I16Groups::most(words);
    let (room, places) = (&mut room.as_chunks_mut().0[..most], &mut places[..most]);
    let mut count = 0;
    for piece in 0..NARROW_PIECES {
        for group in 0..groups {
            for word in (group * GROUP_WORDS..words.min((group + 1) * GROUP_WORDS)).step_by(SIZE) {
                let first = (word + group + 1) * NR + piece * NARROW_NR;
                // SAFETY: by the assertion above the panel has 64 words for each word of a column, and for each group up to it.
                unsafe {
                    let from = panel.add(first);
                    if !store_group::<0, SIZE>(from, room.get_mut(count)?) {
                        store_group::<0, { SIZE / 2 }>(from, &mut room[count]);
                        *places.get_mut(count)? = word;
                        count += 1;
                        store_group::<{ SIZE / 2 }, SIZE>(from, room.get_mut(count)?);
                    }
                }
                *places.get_mut(count)? = word;
                count += 1;
            }
            ends[piece * groups + group] = count;
        }
    }
    Some(I16Groups { words: &room[..count], first: &places[..count], ends })
}

/// A group with the words `FROM..TO` of four, the others being zero. Do its sums fit?
///
/// # Safety
/// 16 words must be readable for each word of a column, 64 after those of the one before.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn store_group<const FROM: usize, const TO: usize>(from: *const i32, to: &mut [u32; I16Groups::WORDS]) -> bool {
    let (ones, minus_bias) = (_mm256_set1_epi8(1), _mm256_set1_epi16(-BIAS as i16));
    let mut largest = _mm256_setzero_si256();
    for j in 0..2 {
        let (mut sum, mut size) = (_mm256_setzero_si256(), _mm256_setzero_si256());
        for s in 0..SIZE {
            let mut w = _mm256_setzero_si256();
            // SAFETY: as the caller promised; the group has 16 words for each word after the first 16.
            unsafe {
                if (FROM..TO).contains(&s) {
                    w = _mm256_loadu_si256(from.add(s * NR + 8 * j).cast());
                }
                _mm256_storeu_si256(to.as_mut_ptr().add((1 + s) * NARROW_NR + 8 * j).cast(), w);
            }
            sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(ones, w));
            size = _mm256_add_epi16(size, _mm256_maddubs_epi16(_mm256_abs_epi8(w), ones));
        }
        largest = _mm256_max_epi16(largest, size);
        // SAFETY: the first 16 words.
        unsafe { _mm256_storeu_si256(to.as_mut_ptr().add(8 * j).cast(), _mm256_mullo_epi16(sum, minus_bias)) };
    }
    let most = _mm256_set1_epi16((i32::from(i16::MAX) / BIAS) as i16);
    _mm256_movemask_epi8(_mm256_cmpgt_epi16(largest, most)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::Kernel;
    use crate::rotate::rotate;
    use crate::{PackedMatrix, Precision};

    /// How many groups a panel of 64 times 64 weights becomes.
    fn groups_of(weight: impl Fn(usize) -> f32) -> Option<usize> {
        // Transformed, as that of a transform is what it was.
        let mut weights: Vec<f32> = (0..64 * 64).map(|i| weight(i % 64)).collect();
        rotate(&mut weights);
        let packed = PackedMatrix::pack(Precision::Int8, &weights, 64, 64).unwrap();
        let panel: &[u32] = &bytemuck::cast_slice(packed.as_bytes())[NR..];
        let operands = Int8 {
            x: &[],
            stride: 16,
            step: 1,
            quantization: QUANTIZATION,
            params: &[],
            params_stride: 1,
            column_scales: &[0.0; NR],
            panel,
            words: 16,
            sums: &[0; NR],
            groups: None,
        };
        let (mut room, mut places) = ([0; 20 * I16Groups::WORDS], [0; 24]);
        // SAFETY: the test returns where the machine lacks the instructions.
        let laid_out = unsafe { lay_out(operands, &mut room, &mut places) };
        laid_out.groups.map(|groups| groups.first.len())
    }

    #[test]
    fn groups_that_could_overflow_are_split() {
        if !Kernel::Avx2.runs_here() {
            return;
        }
        let with = |weight: f32, at: std::ops::Range<usize>| {
            move |i: usize| {
                if i == 63 {
                    127.0
                } else if at.contains(&i) {
                    weight
                } else {
                    1.0
                }
            }
        };
        assert_eq!(groups_of(with(63.0, 0..16)), Some(16));
        assert_eq!(groups_of(with(64.0, 0..16)), Some(20));
        assert_eq!(groups_of(with(-64.0, 16..32)), Some(20));
        assert_eq!(groups_of(with(64.0, 0..32)), None);
    }
}
