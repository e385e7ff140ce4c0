//! Integers of 8 bits by AVX2, which has no sum of four products: two are added in 16 bits, and more where they fit.

use std::arch::x86_64::*;

use super::avx2::{Ahead, load_256, rows_of, start_256, store_256};
use crate::tile::{COLUMNS, GROUP, Groups, Int8, NARROW, PARTS, QUADS, Sums};

/// As `int8_avx512`.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub fn int8_avx2<const M: usize>(
    x: &[u32],
    scales: &[f32],
    operands: &Int8,
    ahead: &[u32],
    add: bool,
    tile: &mut Sums,
) {
    match &operands.groups {
        None => int8_stored::<M>(x, scales, operands, ahead, add, tile),
        Some(groups) => int8_groups::<M>(x, scales, operands, groups, ahead, add, tile),
    }
}

/// A panel as it is stored. Two products are added in 16 bits, which `Kernel::levels` keeps from overflowing.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn int8_stored<const M: usize>(x: &[u32], scales: &[f32], operands: &Int8, ahead: &[u32], add: bool, tile: &mut Sums) {
    let (quads, blocks) = (operands.quads, operands.quads.div_ceil(QUADS));
    let (stride, scale_stride) = (operands.stride, operands.scale_stride);
    assert!(x.len() >= (M - 1) * stride + quads && scales.len() >= (M - 1) * scale_stride + blocks);
    assert!(operands.panel.len() == (quads + blocks) * COLUMNS && tile.len() == M && operands.levels <= 63);
    let (x, words) = (x.as_ptr().cast::<i32>(), operands.panel.as_ptr().cast::<i32>());
    let (zero, ones) = (_mm256_set1_epi32(operands.levels + 1), _mm256_set1_epi16(1));
    let mut ahead = Ahead::new(ahead, PARTS * quads);
    for part in 0..PARTS {
        let mut totals = start_256::<M>(add, tile, part);
        for block in 0..blocks {
            let first = block * QUADS;
            // SAFETY: as in `int8_avx512`; the last part ends at 64.
            unsafe {
                let at = words.add(block * (QUADS + 1) * COLUMNS + part * NARROW);
                let start = load_256(at);
                let mut sums = [[_mm256_mullo_epi32(start[0], zero), _mm256_mullo_epi32(start[1], zero)]; M];
                for s in 0..QUADS.min(quads - first) {
                    let w = load_256(at.add((1 + s) * COLUMNS));
                    for i in 0..M {
                        let x = _mm256_set1_epi32(*x.add(i * stride + first + s));
                        for j in 0..2 {
                            let pairs = _mm256_maddubs_epi16(x, w[j]);
                            sums[i][j] = _mm256_add_epi32(sums[i][j], _mm256_madd_epi16(pairs, ones));
                        }
                    }
                    ahead.fetch();
                }
                add_256(&sums, &scales[block..], scale_stride, &mut totals);
            }
        }
        store_256(&totals, tile, part);
    }
}

/// A panel in groups: the products of a group are added in 16 bits, and widened once.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn int8_groups<const M: usize>(
    x: &[u32],
    scales: &[f32],
    operands: &Int8,
    groups: &Groups,
    ahead: &[u32],
    add: bool,
    tile: &mut Sums,
) {
    let (quads, blocks) = (operands.quads, operands.quads.div_ceil(QUADS));
    let (stride, scale_stride) = (operands.stride, operands.scale_stride);
    assert!(x.len() >= (M - 1) * stride + quads && tile.len() == M && operands.levels <= 63);
    let (rows, ones) = (rows_of::<M, u32>(x, stride), _mm256_set1_epi16(1));
    // Unknown to the compiler, which else has the sums of all quads side by side, for which there are no registers.
    let size = std::hint::black_box(GROUP).min(GROUP);
    let mut ahead = Ahead::new(ahead, groups.first.len());
    let mut from = 0;
    for part in 0..PARTS {
        let mut totals = start_256::<M>(add, tile, part);
        for block in 0..blocks {
            let mut sums = [[_mm256_setzero_si256(); 2]; M];
            let to = groups.ends[part * blocks + block];
            for group in from..to {
                let (words, first) = (&groups.words[group], groups.first[group]);
                assert!(first + GROUP <= quads);
                let words = words.as_ptr().cast::<i32>();
                // SAFETY: a group has 16 words and 16 for each of its quads; by the assertions each of M rows has a word
                // for each of them.
                unsafe {
                    let mut pairs = [load_256(words); M];
                    for s in 0..size {
                        let w = load_256(words.add((1 + s) * NARROW));
                        for i in 0..M {
                            let x = _mm256_set1_epi32(rows[i].add(first + s).read().cast_signed());
                            for j in 0..2 {
                                pairs[i][j] = _mm256_add_epi16(pairs[i][j], _mm256_maddubs_epi16(x, w[j]));
                            }
                        }
                    }
                    ahead.fetch();
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
            add_256(&sums, &scales[block..], scale_stride, &mut totals);
        }
        store_256(&totals, tile, part);
    }
}

/// Adds a block's sums, each times its row's scale.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn add_256<const M: usize>(sums: &[[__m256i; 2]; M], scales: &[f32], stride: usize, totals: &mut [[__m256; 2]; M]) {
    for i in 0..M {
        let scale = _mm256_set1_ps(scales[i * stride]);
        for j in 0..2 {
            totals[i][j] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums[i][j]), scale, totals[i][j]);
        }
    }
}

/// Lays out a panel as [`Groups`]; nothing where more of them than a quarter would have to be split.
///
/// A left-hand side's integer is `q + zero` with `q` in `-levels..=levels`, and what counts is the sum of `q * w`; so a
/// group's sums start with that of `-zero * w`. In between they may wrap around: in the end they fit into 16 bits, as long
/// as `levels * sum(|w|)` does. A group where it does not becomes two, each with the half of its quads: `63 * 4 * 128` fits.
#[target_feature(enable = "avx2")]
pub fn lay_out<'a>(operands: &Int8, room: &'a mut [u32], places: &'a mut [usize]) -> Option<Groups<'a>> {
    let (quads, blocks, levels) = (operands.quads, operands.quads.div_ceil(QUADS), operands.levels);
    assert!(operands.panel.len() == (quads + blocks) * COLUMNS && quads.is_multiple_of(GROUP));
    let panel = operands.panel.as_ptr().cast::<i32>();
    let (ends, places) = places.split_at_mut(PARTS * blocks);
    let most = Groups::most(quads);
    let (room, places) = (&mut room.as_chunks_mut().0[..most], &mut places[..most]);
    let mut count = 0;
    for part in 0..PARTS {
        for block in 0..blocks {
            for quad in (block * QUADS..quads.min((block + 1) * QUADS)).step_by(GROUP) {
                let first = (quad + block + 1) * COLUMNS + part * NARROW;
                // SAFETY: by the assertion above the panel has 64 words for each quad, and for each block up to it.
                unsafe {
                    let from = panel.add(first);
                    if !store_group::<0, GROUP>(from, levels, room.get_mut(count)?) {
                        store_group::<0, { GROUP / 2 }>(from, levels, &mut room[count]);
                        *places.get_mut(count)? = quad;
                        count += 1;
                        store_group::<{ GROUP / 2 }, GROUP>(from, levels, room.get_mut(count)?);
                    }
                }
                *places.get_mut(count)? = quad;
                count += 1;
            }
            ends[part * blocks + block] = count;
        }
    }
    Some(Groups { words: &room[..count], first: &places[..count], ends })
}

/// A group with the quads `FROM..TO` of four, the others being zero. Do its sums fit?
///
/// # Safety
/// 16 words must be readable for each quad, 64 after those of the one before.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn store_group<const FROM: usize, const TO: usize>(
    from: *const i32,
    levels: i32,
    to: &mut [u32; Groups::WORDS],
) -> bool {
    let (ones, minus_zero) = (_mm256_set1_epi8(1), _mm256_set1_epi16(-(levels as i16) - 1));
    let mut largest = _mm256_setzero_si256();
    for j in 0..2 {
        let (mut sum, mut size) = (_mm256_setzero_si256(), _mm256_setzero_si256());
        for s in 0..GROUP {
            let mut w = _mm256_setzero_si256();
            // SAFETY: as the caller promised; the group has 16 words for each quad after the first 16.
            unsafe {
                if (FROM..TO).contains(&s) {
                    w = _mm256_loadu_si256(from.add(s * COLUMNS + 8 * j).cast());
                }
                _mm256_storeu_si256(to.as_mut_ptr().add((1 + s) * NARROW + 8 * j).cast(), w);
            }
            sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(ones, w));
            size = _mm256_add_epi16(size, _mm256_maddubs_epi16(_mm256_abs_epi8(w), ones));
        }
        largest = _mm256_max_epi16(largest, size);
        // SAFETY: the first 16 words.
        unsafe { _mm256_storeu_si256(to.as_mut_ptr().add(8 * j).cast(), _mm256_mullo_epi16(sum, minus_zero)) };
    }
    let most = _mm256_set1_epi16((i32::from(i16::MAX) / levels) as i16);
    _mm256_movemask_epi8(_mm256_cmpgt_epi16(largest, most)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Kernel;
    use crate::{PackedMatrix, Precision};

    /// How many groups a panel of 64 times 64 weights becomes.
    fn groups_of(weight: impl Fn(usize) -> f32) -> Option<usize> {
        let weights: Vec<f32> = (0..64 * 64).map(|i| weight(i % 64)).collect();
        let packed = PackedMatrix::pack(Precision::Int8, &weights, 64, 64).unwrap();
        let panel: &[u32] = &bytemuck::cast_slice(packed.as_bytes())[COLUMNS..];
        let operands = Int8 {
            x: &[],
            stride: 16,
            levels: 63,
            scales: &[],
            scale_stride: 1,
            column_scales: &[0.0; COLUMNS],
            panel,
            quads: 16,
            starts: &[0; COLUMNS],
            groups: None,
        };
        let (mut room, mut places) = ([0; 20 * Groups::WORDS], [0; 24]);
        // SAFETY: the test returns where the machine lacks the instructions.
        let groups = unsafe { lay_out(&operands, &mut room, &mut places) };
        groups.map(|groups| groups.first.len())
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
        assert_eq!(groups_of(with(65.0, 0..16)), Some(16));
        assert_eq!(groups_of(with(66.0, 0..16)), Some(20));
        assert_eq!(groups_of(with(-66.0, 16..32)), Some(20));
        assert_eq!(groups_of(with(66.0, 0..32)), None);
    }
}
