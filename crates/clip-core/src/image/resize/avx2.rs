//! The two passes with AVX2: the portable ones' sums in another order, which changes nothing, as integers wrap.

use std::arch::x86_64::__m256i;

use pulp::cast;
use pulp::x86::V3;

use super::horizontal::Loops;
use super::kernels::{CHUNK, Chunk, HALF, Kernels, LOW_BITS, PRECISION_BITS, pairs};
use super::line::Line;

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

/// Samples side by side that the vertical pass takes at once.
pub(super) const COLUMNS: usize = 32;

/// AVX2, known to be there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Avx2(V3);

impl Avx2 {
    pub fn try_new() -> Option<Self> {
        V3::try_new().map(Self)
    }

    /// Runs what is inlined into `f` with the instructions.
    #[inline(always)]
    pub fn vectorize<R>(self, f: impl FnOnce() -> R) -> R {
        self.0.vectorize(f)
    }

    /// The vertical pass, for rows of at least [`COLUMNS`] samples.
    pub fn columns(self, narrow: &[u8], kernels: &Kernels, first_row: usize, stride: usize) -> Vec<u8> {
        self.vectorize(
            #[inline(always)]
            || self.columns_here(narrow, kernels, first_row, stride),
        )
    }

    #[inline(always)]
    fn columns_here(self, narrow: &[u8], kernels: &Kernels, first_row: usize, stride: usize) -> Vec<u8> {
        let mut out = vec![0u8; kernels.taps.len() * stride];
        for ((start, weights), out_row) in kernels.taps.iter().zip(out.chunks_exact_mut(stride)) {
            let pairs = pairs(&kernels.weights[weights.clone()]);
            let rows = &narrow[(start - first_row) * stride..][..weights.len() * stride];
            let mut at = 0;
            while at < stride {
                // the last ones overlap those before, and give the same
                at = at.min(stride - COLUMNS);
                let levels = some_columns(self.0, &rows[at..], &pairs, stride);
                out_row[at..at + COLUMNS].copy_from_slice(&levels);
                at += COLUMNS;
            }
        }
        out
    }
}

impl Loops for Avx2 {
    #[inline(always)]
    fn split(self, pixels: &[u8; 3 * CHUNK]) -> [[i16; CHUNK]; 3] {
        let simd = self.0;
        let thirds: [[u8; 16]; 3] = cast(*pixels);
        // Loops in place of closures, here and below: what is not inlined does without the instructions.
        let mut channels = [[0; CHUNK]; 3];
        for (channel, places) in channels.iter_mut().zip(PLACES) {
            let mut bytes = simd.sse2._mm_setzero_si128();
            for (third, places) in thirds.iter().zip(places) {
                let part = simd.ssse3._mm_shuffle_epi8(cast(*third), cast(places));
                bytes = simd.sse2._mm_or_si128(bytes, part);
            }
            *channel = cast(simd.avx2._mm256_cvtepu8_epi16(bytes));
        }
        channels
    }

    #[inline(always)]
    fn two_pixels(self, lines: &[Line; 2], at: usize, weights: &[Chunk]) -> [[u8; 3]; 2] {
        let (avx, avx2) = (self.0.avx, self.0.avx2);
        let [top, bottom] = lines;
        let planes = [
            top.chunks(0, at, weights.len()),
            top.chunks(1, at, weights.len()),
            top.chunks(2, at, weights.len()),
            bottom.chunks(0, at, weights.len()),
            bottom.chunks(1, at, weights.len()),
            bottom.chunks(2, at, weights.len()),
        ];
        let mut high = [avx._mm256_setzero_si256(); 6];
        let mut low = high;
        for (i, [w_high, w_low]) in weights.iter().enumerate() {
            let (w_high, w_low): (__m256i, __m256i) = (cast(*w_high), cast(*w_low));
            for (channel, plane) in planes.iter().enumerate() {
                let samples = cast(plane[i]);
                high[channel] = avx2._mm256_add_epi32(high[channel], avx2._mm256_madd_epi16(samples, w_high));
                low[channel] = avx2._mm256_add_epi32(low[channel], avx2._mm256_madd_epi16(samples, w_low));
            }
        }
        let mut sums = low;
        for (sum, high) in sums.iter_mut().zip(high) {
            *sum = avx2._mm256_add_epi32(avx2._mm256_slli_epi32::<SHIFT>(high), *sum);
        }
        // of each row: red, green, blue, blue in either half
        let mut halves = [sums[0]; 2];
        for (half, row) in halves.iter_mut().zip([0, 3]) {
            let red_green = avx2._mm256_hadd_epi32(sums[row], sums[row + 1]);
            let blue = avx2._mm256_hadd_epi32(sums[row + 2], sums[row + 2]);
            *half = avx2._mm256_hadd_epi32(red_green, blue);
        }
        let first = avx2._mm256_permute2x128_si256::<0x20>(halves[0], halves[1]);
        let second = avx2._mm256_permute2x128_si256::<0x31>(halves[0], halves[1]);
        let sum = avx2._mm256_add_epi32(avx2._mm256_add_epi32(first, second), avx._mm256_set1_epi32(HALF));
        let words = avx2._mm256_packs_epi32(avx2._mm256_srai_epi32::<FRACTION>(sum), sum);
        let bytes: [u8; 32] = cast(avx2._mm256_packus_epi16(words, words));
        [[bytes[0], bytes[1], bytes[2]], [bytes[16], bytes[17], bytes[18]]]
    }
}

#[inline(always)]
fn some_columns(simd: V3, rows: &[u8], pairs: &[[[i16; 2]; 2]], stride: usize) -> [u8; COLUMNS] {
    let (avx, avx2) = (simd.avx, simd.avx2);
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
    let half = avx._mm256_set1_epi32(HALF);
    let mut sums = low;
    for (sum, high) in sums.iter_mut().zip(high) {
        let whole = avx2._mm256_add_epi32(avx2._mm256_slli_epi32::<SHIFT>(high), *sum);
        *sum = avx2._mm256_srai_epi32::<FRACTION>(avx2._mm256_add_epi32(whole, half));
    }
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
