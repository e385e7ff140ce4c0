//! The two passes with AVX2: the portable ones' sums in another order, which changes nothing, as integers wrap.

use std::arch::x86_64::__m256i;

use pulp::cast;
use pulp::x86::V3;

use super::block::{ROWS, TILE, Tile, Two};
use super::horizontal::Loops;
use super::kernels::{HALF, Kernels, LOW_BITS, PRECISION_BITS, Pair, pairs};
use crate::guarded::look;

const SHIFT: i32 = LOW_BITS as i32;
const FRACTION: i32 = PRECISION_BITS as i32;

/// For each third of 48 interleaved bytes, where the 16 samples of each channel are; a byte with its top bit set: not here.
const PLACES: [[[u8; 16]; 3]; 3] = {
    let mut places = [[[0x80; 16]; 3]; 3];
    let mut at = 0;
    while at < 48 {
        places[at % 3][at / 16][at / 3] = (at % 16) as u8;
        at += 1;
    }
    places
};

/// Takes four reds, greens and blues to four pixels.
const PIXELS: [u8; 16] = [0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15];

/// Samples side by side that the vertical pass takes at once.
pub(super) const COLUMNS: usize = 32;

/// AVX2, known to be there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Avx2(V3);

impl Avx2 {
    /// `None` where the processor has no AVX2.
    pub fn try_new() -> Option<Self> {
        V3::try_new().map(Self)
    }

    /// Runs what is inlined into `f` with the instructions.
    #[inline(always)]
    pub fn vectorize<R>(self, f: impl FnOnce() -> R) -> R {
        self.0.vectorize(f)
    }

    /// The vertical pass, for rows of at least [`COLUMNS`] samples.
    pub fn columns(self, narrow: &[u8], kernels: &Kernels, first_row: usize, stride: usize, out: &mut [u8]) {
        self.vectorize(
            #[inline(always)]
            || self.columns_here(narrow, kernels, first_row, stride, out),
        )
    }

    /// Sums of halves as levels, not yet clipped.
    #[inline(always)]
    fn levels<const N: usize>(self, high: [__m256i; N], mut low: [__m256i; N]) -> [__m256i; N] {
        let (avx, avx2) = (self.0.avx, self.0.avx2);
        let half = avx._mm256_set1_epi32(HALF);
        for (sum, high) in low.iter_mut().zip(high) {
            let whole = avx2._mm256_add_epi32(avx2._mm256_slli_epi32::<SHIFT>(high), *sum);
            *sum = avx2._mm256_srai_epi32::<FRACTION>(avx2._mm256_add_epi32(whole, half));
        }
        low
    }

    #[inline(always)]
    fn columns_here(self, narrow: &[u8], kernels: &Kernels, first_row: usize, stride: usize, out: &mut [u8]) {
        for ((start, weights), out_row) in kernels.taps.iter().zip(out.chunks_exact_mut(stride)) {
            look();
            let pairs: Vec<Pair> = pairs(kernels.weights[weights.clone()].iter().copied()).collect();
            let rows = &narrow[(start - first_row) * stride..][..weights.len() * stride];
            let mut at = 0;
            while at < stride {
                // the last ones overlap those before, and give the same
                at = at.min(stride - COLUMNS);
                let levels = some_columns(self, &rows[at..], &pairs, stride);
                out_row[at..at + COLUMNS].copy_from_slice(&levels);
                at += COLUMNS;
            }
        }
    }
}

// Loops in place of closures: what is not inlined does without the instructions.
impl Loops for Avx2 {
    #[inline(always)]
    fn split(self, pixels: &[u8; 3 * TILE], tile: &mut Tile, row: usize) {
        let simd = self.0;
        let thirds: [[u8; 16]; 3] = cast(*pixels);
        for (channel, places) in tile.iter_mut().zip(PLACES) {
            let mut bytes = simd.sse2._mm_setzero_si128();
            for (third, places) in thirds.iter().zip(places) {
                bytes = simd.sse2._mm_or_si128(bytes, simd.ssse3._mm_shuffle_epi8(cast(*third), cast(places)));
            }
            channel.as_chunks_mut().0[row] = cast::<_, [i16; TILE]>(simd.avx2._mm256_cvtepu8_epi16(bytes));
        }
    }

    /// Two levels side by side are one number of 32 bits: per channel, an 8 × 8 matrix of such to transpose.
    #[inline(always)]
    fn turn(self, tile: &Tile, out: &mut [Two; TILE / 2]) {
        let avx2 = self.0.avx2;
        for (channel, levels) in tile.iter().enumerate() {
            let rows: &[[i16; TILE]] = levels.as_chunks().0;
            for half in 0..2 {
                // four rows, of which unpacking makes 4 × 4 matrices in either half
                let r: [__m256i; 4] = [
                    cast(rows[4 * half]),
                    cast(rows[4 * half + 1]),
                    cast(rows[4 * half + 2]),
                    cast(rows[4 * half + 3]),
                ];
                let (a, b) = (avx2._mm256_unpacklo_epi32(r[0], r[1]), avx2._mm256_unpackhi_epi32(r[0], r[1]));
                let (c, d) = (avx2._mm256_unpacklo_epi32(r[2], r[3]), avx2._mm256_unpackhi_epi32(r[2], r[3]));
                let columns = [
                    avx2._mm256_unpacklo_epi64(a, c),
                    avx2._mm256_unpackhi_epi64(a, c),
                    avx2._mm256_unpacklo_epi64(b, d),
                    avx2._mm256_unpackhi_epi64(b, d),
                ];
                for (i, column) in columns.into_iter().enumerate() {
                    let column: [[[i16; 2]; 4]; 2] = cast(column);
                    out[i][channel].as_chunks_mut().0[half] = column[0];
                    out[4 + i][channel].as_chunks_mut().0[half] = column[1];
                }
            }
        }
    }

    #[inline(always)]
    fn pixels(self, samples: &[Two], weights: &[Pair]) -> [[u8; 4]; ROWS] {
        let (avx, avx2) = (self.0.avx, self.0.avx2);
        let mut high = [avx._mm256_setzero_si256(); 3];
        let mut low = high;
        for (two, [w_high, w_low]) in samples.iter().zip(weights) {
            let (w_high, w_low) = (avx._mm256_set1_epi32(cast(*w_high)), avx._mm256_set1_epi32(cast(*w_low)));
            for (channel, levels) in two.iter().enumerate() {
                let levels = cast(*levels);
                high[channel] = avx2._mm256_add_epi32(high[channel], avx2._mm256_madd_epi16(levels, w_high));
                low[channel] = avx2._mm256_add_epi32(low[channel], avx2._mm256_madd_epi16(levels, w_low));
            }
        }
        let sums = self.levels(high, low);
        // In either half: four reds, four greens, four blues, four that do not matter.
        let red_green = avx2._mm256_packs_epi32(sums[0], sums[1]);
        let bytes = avx2._mm256_packus_epi16(red_green, avx2._mm256_packs_epi32(sums[2], sums[2]));
        cast(avx2._mm256_shuffle_epi8(bytes, cast([PIXELS; 2])))
    }
}

#[inline(always)]
fn some_columns(code: Avx2, rows: &[u8], pairs: &[Pair], stride: usize) -> [u8; COLUMNS] {
    let (avx, avx2) = (code.0.avx, code.0.avx2);
    let zero = avx._mm256_setzero_si256();
    let (mut high, mut low) = ([zero; 4], [zero; 4]);
    for (i, [w_high, w_low]) in pairs.iter().enumerate() {
        let w_high = avx._mm256_set1_epi32(cast(*w_high));
        let w_low = avx._mm256_set1_epi32(cast(*w_low));
        // The weight of a row after the last is zero.
        let (a, b) = (row(rows, 2 * i * stride, zero), row(rows, (2 * i + 1) * stride, zero));
        let (left, right) = (avx2._mm256_unpacklo_epi8(a, b), avx2._mm256_unpackhi_epi8(a, b));
        // Pairs of 16-bit levels. The order is that in which packing, below, takes them.
        let levels = [
            avx2._mm256_unpacklo_epi8(left, zero),
            avx2._mm256_unpackhi_epi8(left, zero),
            avx2._mm256_unpacklo_epi8(right, zero),
            avx2._mm256_unpackhi_epi8(right, zero),
        ];
        for (j, levels) in levels.into_iter().enumerate() {
            high[j] = avx2._mm256_add_epi32(high[j], avx2._mm256_madd_epi16(levels, w_high));
            low[j] = avx2._mm256_add_epi32(low[j], avx2._mm256_madd_epi16(levels, w_low));
        }
    }
    let sums = code.levels(high, low);
    let left = avx2._mm256_packs_epi32(sums[0], sums[1]);
    let right = avx2._mm256_packs_epi32(sums[2], sums[3]);
    cast(avx2._mm256_packus_epi16(left, right))
}

#[inline(always)]
fn row(rows: &[u8], at: usize, missing: __m256i) -> __m256i {
    match rows.get(at..at + COLUMNS).and_then(|row| row.first_chunk::<COLUMNS>()) {
        Some(row) => cast(*row),
        None => missing,
    }
}
