//! Whole panels at a time: 24 of the 32 registers of AVX-512 are sums.

use std::arch::x86_64::*;

use super::avx2::Ahead;
use crate::encode::{Scales, bf16};
use crate::format::LINE;
use crate::rows::LINE_BYTES;
use crate::tile::{COLUMNS, Int8, Panel, QUADS, Sums};

macro_rules! wide {
    ($name:ident, $features:literal, $operand:ty, |$x:ident, $w:ident, $sum:ident| $step:expr) => {
        #[inline]
        #[target_feature(enable = $features)]
        pub fn $name<const M: usize>(
            x: &[$operand],
            stride: usize,
            panel: Panel<$operand>,
            ahead: &[u32],
            add: bool,
            tile: &mut Sums,
        ) {
            let steps = panel.steps();
            assert!(x.len() >= (M - 1) * stride + steps && tile.len() == M && panel.width == COLUMNS);
            let (x, panel) = (x.as_ptr().cast::<i32>(), panel.values.as_ptr().cast::<i32>());
            let mut sums = start_512::<M>(add, tile);
            let mut ahead = Lines::new(ahead, steps);
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
                ahead.fetch();
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

/// Pairs of bf16 become f32 step by step: for so few rows that it would not pay to unpack the panel.
#[inline]
#[target_feature(enable = "avx512f")]
pub fn weights_bf16_avx512<const M: usize>(
    x: &[f32],
    stride: usize,
    panel: Panel<u32>,
    ahead: &[u32],
    add: bool,
    tile: &mut Sums,
) {
    let steps = panel.steps();
    assert!(x.len() >= (M - 1) * stride + 2 * steps && tile.len() == M && panel.width == COLUMNS);
    let (x, panel) = (x.as_ptr(), panel.values.as_ptr().cast::<i32>());
    let (mut sums, mut ahead) = (start_512::<M>(add, tile), Lines::new(ahead, steps));
    let high = _mm512_set1_epi32(i32::MIN >> 15);
    for s in 0..steps {
        // SAFETY: s < steps, and by the assertion above `panel` has 64 words for each s and `x` two values for each of M
        // rows. A prefetch may point anywhere.
        unsafe {
            let w = load_512(panel.add(s * COLUMNS));
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
        ahead.fetch();
    }
    store_512(&sums, tile);
}

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

/// [`Ahead`] with up to two lines a step. Both are asked for in any case, the same one twice where one is enough: in the
/// inner loop a branch costs more.
struct Lines {
    ahead: Ahead,
    second: usize,
}

impl Lines {
    #[inline]
    #[target_feature(enable = "avx2")]
    fn new(ahead: &[u32], steps: usize) -> Self {
        let ahead = Ahead::new(&ahead[..ahead.len().min(2 * LINE * steps)], steps);
        Self { second: if ahead.bytes > LINE_BYTES { LINE_BYTES } else { 0 }, ahead }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn fetch(&mut self) {
        _mm_prefetch::<_MM_HINT_T1>(self.ahead.at.wrapping_add(self.second));
        self.ahead.fetch();
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

/// Adds the products of a block of a panel. No function: in some callers it would not be inlined, and the sums not stay in
/// registers.
macro_rules! add_block {
    ($sums:ident, $x:ident, $stride:ident, $panel:ident, $quads:ident, $block:ident, $ahead:ident) => {
        let first = $block * QUADS;
        let at = $panel.add($block * (QUADS + 1) * COLUMNS);
        for s in 0..QUADS.min($quads - first) {
            let w = load_512(at.add((1 + s) * COLUMNS));
            for i in 0..M {
                let x = _mm512_set1_epi32(*$x.add(i * $stride + first + s));
                for j in 0..4 {
                    $sums[i][j] = _mm512_dpbusd_epi32($sums[i][j], x, w[j]);
                }
            }
            $ahead.fetch();
        }
    };
}

/// Integers are summed up exactly: those of a row that has one scale to the end, others within a block, and the tile adds
/// up blocks, each times its scale.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
pub fn int8_avx512<const M: usize>(
    x: &[u32],
    scales: &[f32],
    operands: &Int8,
    ahead: &[u32],
    add: bool,
    tile: &mut Sums,
) {
    let (quads, blocks) = (operands.quads, operands.quads.div_ceil(QUADS));
    let (stride, scale_stride) = (operands.stride, operands.scale_stride);
    let by_row = scale_stride == 1;
    assert!(x.len() >= (M - 1) * stride + quads);
    assert!(scales.len() >= (M - 1) * scale_stride + if by_row { 1 } else { blocks });
    assert!(operands.panel.len() == (quads + blocks) * COLUMNS && tile.len() == M);
    let (x, panel) = (x.as_ptr().cast::<i32>(), operands.panel.as_ptr().cast::<i32>());
    let mut ahead = Lines::new(ahead, quads);
    // SAFETY: as in `wide`: a block has 64 sums and 64 words for each of its quads, all of them before the end that is
    // asserted above, as is that each of M rows has its scales.
    unsafe {
        let mut totals;
        if by_row {
            let mut starts = [_mm512_setzero_si512(); 4];
            for j in 0..4 {
                starts[j] = _mm512_loadu_si512(operands.starts.as_ptr().add(16 * j).cast());
            }
            let mut sums = [starts; M];
            for block in 0..blocks {
                add_block!(sums, x, stride, panel, quads, block, ahead);
            }
            totals = start_512::<M>(add, tile);
            add_scaled(&mut totals, &sums, scales.as_ptr(), scale_stride);
        } else {
            totals = start_512::<M>(add, tile);
            let zero = _mm512_set1_epi32(operands.levels + 1);
            for block in 0..blocks {
                let mut start = load_512(panel.add(block * (QUADS + 1) * COLUMNS));
                for j in 0..4 {
                    start[j] = _mm512_mullo_epi32(start[j], zero);
                }
                let mut sums = [start; M];
                add_block!(sums, x, stride, panel, quads, block, ahead);
                add_scaled(&mut totals, &sums, scales.as_ptr().add(block), scale_stride);
            }
        }
        store_512(&totals, tile);
    }
}

/// # Safety
/// There is a scale for each of M rows, `stride` apart.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn add_scaled<const M: usize>(
    totals: &mut [[__m512; 4]; M],
    sums: &[[__m512i; 4]; M],
    scales: *const f32,
    stride: usize,
) {
    for i in 0..M {
        // SAFETY: as the caller promised.
        let scale = _mm512_set1_ps(unsafe { *scales.add(i * stride) });
        for j in 0..4 {
            totals[i][j] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums[i][j]), scale, totals[i][j]);
        }
    }
}

/// Pairs of bf16, as [`bf16`] makes them, but for values below the smallest normal one, which become zero.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
pub fn to_bf16(values: &[f32], out: &mut [u32]) {
    let (values, rest) = values.as_chunks::<32>();
    let (words, rest_words) = out.split_at_mut(16 * values.len());
    for (out, values) in words.as_chunks_mut::<16>().0.iter_mut().zip(values) {
        // SAFETY: 32 values and 16 words.
        unsafe {
            let [low, high] = [0, 16].map(|at| _mm512_loadu_ps(values.as_ptr().add(at)));
            let pairs: __m512i = std::mem::transmute(_mm512_cvtne2ps_pbh(high, low));
            _mm512_storeu_si512(out.as_mut_ptr().cast(), pairs);
        }
    }
    bf16(rest, rest_words);
}

/// Pairs of bf16 as f32.
#[inline]
#[target_feature(enable = "avx512f")]
pub fn from_bf16(pairs: &[u32; 16], out: &mut [f32; 32]) {
    for (i, out) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
        // SAFETY: eight words and sixteen values.
        unsafe {
            let halves = _mm256_loadu_si256(pairs.as_ptr().add(8 * i).cast());
            let values = _mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(halves));
            _mm512_storeu_si512(out.as_mut_ptr().cast(), values);
        }
    }
}

/// Lines of a row, `step` words apart.
#[derive(Clone, Copy)]
pub struct RowLines<T> {
    /// Its first line.
    pub first: T,
    /// Words from one line to the next: more than a line where rows are tiles.
    pub step: usize,
}

/// A row of pairs of bf16 as integers around `zero`, whose scale it returns: the same as by way of f32 and
/// [`encode`](crate::encode).
///
/// # Safety
/// `to` has so many lines, each of 64 integers, and `from` twice as many.
#[target_feature(enable = "avx512f,avx512bw")]
pub unsafe fn integers_of_bf16(
    from: RowLines<*const u32>,
    to: RowLines<*mut u32>,
    lines: usize,
    levels: i32,
    zero: i32,
) -> f32 {
    // SAFETY: of `from`, as the caller promised.
    let pairs = |line: usize| unsafe { _mm512_loadu_si512(from.first.add(line * from.step).cast()) };
    // As integers: their bits are ordered as they are.
    let mut largest = _mm512_setzero_si512();
    for line in 0..2 * lines {
        largest = _mm512_max_epu16(largest, _mm512_and_si512(pairs(line), _mm512_set1_epi16(i16::MAX)));
    }
    let largest = _mm512_max_epu32(_mm512_slli_epi32::<16>(largest), largest);
    let scales = Scales::new(_mm512_reduce_max_epu32(largest) & 0x7fff_0000, levels);

    let inverse = _mm512_set1_ps(scales.inverse);
    let integers = |bits| _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_castsi512_ps(bits), inverse));
    // 16 bits each, in their order: the first ones of pairs, and beside them the second ones.
    let words = |line: usize| {
        let pairs = pairs(line);
        let first = integers(_mm512_slli_epi32::<16>(pairs));
        let second = integers(_mm512_and_si512(pairs, _mm512_set1_epi32(i32::MIN >> 15)));
        _mm512_mask_blend_epi16(0xaaaa_aaaa, first, _mm512_slli_epi32::<16>(second))
    };
    let (order, zero) = (_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7), _mm512_set1_epi8(zero as i8));
    for line in 0..lines {
        let bytes = _mm512_packs_epi16(words(2 * line), words(2 * line + 1));
        let bytes = _mm512_add_epi8(_mm512_permutexvar_epi64(order, bytes), zero);
        // SAFETY: of `to`, as the caller promised.
        unsafe { _mm512_storeu_si512(to.first.add(line * to.step).cast(), bytes) };
    }
    scales.one
}
