//! Rounding of bf16 to integers of 8 bits by AVX-512.

#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::quantize::{Quantization, Quantizer, RowParams};

/// Lines of a row, `step` words apart.
#[derive(Clone, Copy)]
pub struct RowLines<T> {
    /// Its first line.
    pub first: T,
    /// Words from one line to the next: more than a line where rows are tiles.
    pub step: usize,
}

/// A row of pairs of bf16 as integers, whose scale it returns: the same as by way of f32 and
/// [`quantize`](super::quantize).
///
/// # Safety
/// `to` has so many lines, each of 64 integers, and `from` twice as many.
#[target_feature(enable = "avx512f,avx512bw")]
pub unsafe fn integers_of_bf16(
    from: RowLines<*const u32>,
    to: RowLines<*mut u32>,
    lines: usize,
    quantization: Quantization,
) -> RowParams {
    // SAFETY: of `from`, as the caller promised.
    let pairs = |line: usize| unsafe { _mm512_loadu_si512(from.first.add(line * from.step).cast()) };
    // As integers: their bits are ordered as they are.
    let mut largest = _mm512_setzero_si512();
    for line in 0..2 * lines {
        largest = _mm512_max_epu16(largest, _mm512_and_si512(pairs(line), _mm512_set1_epi16(i16::MAX)));
    }
    let largest = _mm512_max_epu32(_mm512_slli_epi32::<16>(largest), largest);
    let quantizer = Quantizer::new(_mm512_reduce_max_epu32(largest) & 0x7fff_0000, quantization.qmax);

    let inv_scale = _mm512_set1_ps(quantizer.inv_scale);
    let integers = |bits| _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_castsi512_ps(bits), inv_scale));
    // 16 bits each, in their order: the first ones of pairs, and beside them the second ones.
    let words = |line: usize| {
        let pairs = pairs(line);
        let first = integers(_mm512_slli_epi32::<16>(pairs));
        let second = integers(_mm512_and_si512(pairs, _mm512_set1_epi32(i32::MIN >> 15)));
        _mm512_mask_blend_epi16(0xaaaa_aaaa, first, _mm512_slli_epi32::<16>(second))
    };
    let order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
    let zero_point = _mm512_set1_epi8(quantization.zero_point as i8);
    for line in 0..lines {
        let bytes = _mm512_packs_epi16(words(2 * line), words(2 * line + 1));
        let bytes = _mm512_add_epi8(_mm512_permutexvar_epi64(order, bytes), zero_point);
        // SAFETY: of `to`, as the caller promised.
        unsafe { _mm512_storeu_si512(to.first.add(line * to.step).cast(), bytes) };
    }
    quantizer.params()
}
