//! Integers by AVX-512: the transform needs shuffles that the compiler does not find.

#![allow(unsafe_code)]
// Plain loops over indices: closures are functions without the instructions.
#![allow(clippy::needless_range_loop)]

use std::arch::x86_64::*;

use super::{Lines, Quantization, Range, RowParams, round_rest};
use crate::geometry::{GROUP_WORDS, QUANT_GROUP};
use crate::rotate::rotate_rest;

/// As [`quantize`](super::quantize).
#[target_feature(enable = "avx512f,avx512bw,avx512dq")]
pub fn quantize(x: &mut [f32], to: Quantization, out: &mut Lines) -> RowParams {
    let (groups, rest) = x.as_chunks_mut::<QUANT_GROUP>();
    rotate_rest(rest);
    let mut range = Range::of(rest);
    let (mut low, mut high) = (_mm512_set1_ps(range.low), _mm512_set1_ps(range.high));
    let (mut bad, none) = (_mm512_setzero_ps(), _mm512_setzero_ps());
    for group in groups.iter_mut() {
        let rotated = rotate(load(group));
        for i in 0..4 {
            (low, high) = (_mm512_min_ps(low, rotated[i]), _mm512_max_ps(high, rotated[i]));
            // Minima lose what is no number.
            bad = _mm512_fmadd_ps(rotated[i], none, bad);
            // SAFETY: a group is four vectors.
            unsafe { _mm512_storeu_ps(group.as_mut_ptr().add(16 * i), rotated[i]) };
        }
    }
    (range.low, range.high) = (_mm512_reduce_min_ps(low), _mm512_reduce_max_ps(high));
    range.bad += _mm512_reduce_add_ps(bad);
    let quantizer = range.quantizer(to);

    let (inv_scale, first) = (_mm512_set1_ps(quantizer.inv_scale), _mm512_set1_epi32(quantizer.first));
    let (most, shift) = (_mm512_set1_epi8(to.qmax as i8), _mm512_set1_epi8(to.shift as i8));
    let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    for (i, group) in groups.iter().enumerate() {
        let out = out.line(i).as_mut_array::<GROUP_WORDS>().expect("lines of groups are whole");
        let values = load(group);
        let mut q = [_mm512_setzero_si512(); 4];
        for i in 0..4 {
            q[i] = _mm512_add_epi32(_mm512_cvtps_epi32(_mm512_mul_ps(values[i], inv_scale)), first);
        }
        // To 8 bits, none below zero, in an order that the last instruction undoes.
        let bytes = _mm512_packus_epi16(_mm512_packs_epi32(q[0], q[1]), _mm512_packs_epi32(q[2], q[3]));
        let bytes = _mm512_sub_epi8(_mm512_min_epu8(_mm512_permutexvar_epi32(order, bytes), most), shift);
        // SAFETY: sixteen words.
        unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), bytes) };
    }
    round_rest(rest, &quantizer, to, out, groups.len());
    quantizer.params(to)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(group: &[f32; QUANT_GROUP]) -> [__m512; 4] {
    let mut values = [_mm512_setzero_ps(); 4];
    for i in 0..4 {
        // SAFETY: a group is four vectors.
        values[i] = unsafe { _mm512_loadu_ps(group.as_ptr().add(16 * i)) };
    }
    values
}

/// As [`rotate_group`](crate::rotate::rotate_group). A value times minus one plus its neighbour is their difference, to the bit.
#[inline]
#[target_feature(enable = "avx512f")]
fn rotate(mut x: [__m512; 4]) -> [__m512; 4] {
    let (one, minus) = (_mm512_set1_ps(1.0), _mm512_set1_ps(-1.0));
    for i in 0..4 {
        let (v, sign) = (x[i], _mm512_mask_blend_ps(0xaaaa, one, minus));
        let v = _mm512_fmadd_ps(v, sign, _mm512_permute_ps::<0b10_11_00_01>(v));
        let sign = _mm512_mask_blend_ps(0xcccc, one, minus);
        let v = _mm512_fmadd_ps(v, sign, _mm512_permute_ps::<0b01_00_11_10>(v));
        let sign = _mm512_mask_blend_ps(0xf0f0, one, minus);
        let v = _mm512_fmadd_ps(v, sign, _mm512_shuffle_f32x4::<0b10_11_00_01>(v, v));
        let sign = _mm512_mask_blend_ps(0xff00, one, minus);
        x[i] = _mm512_fmadd_ps(v, sign, _mm512_shuffle_f32x4::<0b01_00_11_10>(v, v));
    }
    let [a, b, c, d] = x;
    let (p, q, r, s) = (_mm512_add_ps(a, b), _mm512_sub_ps(a, b), _mm512_add_ps(c, d), _mm512_sub_ps(c, d));
    [_mm512_add_ps(p, r), _mm512_add_ps(q, s), _mm512_sub_ps(p, r), _mm512_sub_ps(q, s)]
}
