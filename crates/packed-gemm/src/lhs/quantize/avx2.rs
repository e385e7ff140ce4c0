//! Integers by AVX2: the transform needs shuffles that the compiler does not find.

#![allow(unsafe_code)]
// Plain loops over indices: closures are functions without the instructions.
#![allow(clippy::needless_range_loop)]

use std::arch::x86_64::*;

use super::{Lines, Quantization, Range, RowParams, round_rest};
use crate::geometry::{GROUP_WORDS, QUANT_GROUP};
use crate::rotate::rotate_rest;

/// Vectors of a group.
const VECTORS: usize = QUANT_GROUP / 8;

/// As [`quantize`](super::quantize).
#[target_feature(enable = "avx2,fma")]
pub fn quantize(x: &mut [f32], to: Quantization, out: &mut Lines) -> RowParams {
    let (groups, rest) = x.as_chunks_mut::<QUANT_GROUP>();
    rotate_rest(rest);
    let mut range = Range::of(rest);
    let (mut low, mut high) = ([_mm256_set1_ps(range.low); 2], [_mm256_set1_ps(range.high); 2]);
    let (mut bad, none) = ([_mm256_setzero_ps(); 2], _mm256_setzero_ps());
    for group in groups.iter_mut() {
        let rotated = rotate(load(group));
        for i in 0..VECTORS {
            (low[i % 2], high[i % 2]) = (_mm256_min_ps(low[i % 2], rotated[i]), _mm256_max_ps(high[i % 2], rotated[i]));
            // Minima lose what is no number.
            bad[i % 2] = _mm256_fmadd_ps(rotated[i], none, bad[i % 2]);
            // SAFETY: a group is eight vectors.
            unsafe { _mm256_storeu_ps(group.as_mut_ptr().add(8 * i), rotated[i]) };
        }
    }
    for value in values(_mm256_min_ps(low[0], low[1])) {
        range.low = range.low.min(value);
    }
    for value in values(_mm256_max_ps(high[0], high[1])) {
        range.high = range.high.max(value);
    }
    for value in values(_mm256_add_ps(bad[0], bad[1])) {
        range.bad += value;
    }
    let quantizer = range.quantizer(to);

    let (inv_scale, first) = (_mm256_set1_ps(quantizer.inv_scale), _mm256_set1_epi32(quantizer.first));
    let (most, shift) = (_mm256_set1_epi8(to.qmax as i8), _mm256_set1_epi8(to.shift as i8));
    let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    for (i, group) in groups.iter().enumerate() {
        let out = out.line(i).as_mut_array::<GROUP_WORDS>().expect("lines of groups are whole");
        let values = load(group);
        for half in 0..2 {
            let mut q = [_mm256_setzero_si256(); 4];
            for i in 0..4 {
                let value = _mm256_mul_ps(values[4 * half + i], inv_scale);
                q[i] = _mm256_add_epi32(_mm256_cvtps_epi32(value), first);
            }
            // To 8 bits, none below zero, in an order that the last instruction undoes.
            let bytes = _mm256_packus_epi16(_mm256_packs_epi32(q[0], q[1]), _mm256_packs_epi32(q[2], q[3]));
            let bytes = _mm256_min_epu8(_mm256_permutevar8x32_epi32(bytes, order), most);
            // SAFETY: eight words of sixteen.
            unsafe { _mm256_storeu_si256(out.as_mut_ptr().add(8 * half).cast(), _mm256_sub_epi8(bytes, shift)) };
        }
    }
    round_rest(rest, &quantizer, to, out, groups.len());
    quantizer.params(to)
}

#[inline]
#[target_feature(enable = "avx2")]
fn values(vector: __m256) -> [f32; 8] {
    let mut values = [0.0; 8];
    // SAFETY: eight values.
    unsafe { _mm256_storeu_ps(values.as_mut_ptr(), vector) };
    values
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(group: &[f32; QUANT_GROUP]) -> [__m256; VECTORS] {
    let mut values = [_mm256_setzero_ps(); VECTORS];
    for i in 0..VECTORS {
        // SAFETY: a group is eight vectors.
        values[i] = unsafe { _mm256_loadu_ps(group.as_ptr().add(8 * i)) };
    }
    values
}

/// As [`rotate_group`](crate::rotate::rotate_group). A value times minus one plus its neighbour is their difference, to the bit.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn rotate(mut x: [__m256; VECTORS]) -> [__m256; VECTORS] {
    let (one, minus) = (_mm256_set1_ps(1.0), _mm256_set1_ps(-1.0));
    for i in 0..VECTORS {
        let (v, sign) = (x[i], _mm256_blend_ps::<0xaa>(one, minus));
        let v = _mm256_fmadd_ps(v, sign, _mm256_permute_ps::<0b10_11_00_01>(v));
        let sign = _mm256_blend_ps::<0xcc>(one, minus);
        let v = _mm256_fmadd_ps(v, sign, _mm256_permute_ps::<0b01_00_11_10>(v));
        let sign = _mm256_blend_ps::<0xf0>(one, minus);
        x[i] = _mm256_fmadd_ps(v, sign, _mm256_permute2f128_ps::<1>(v, v));
    }
    let mut distance = 1;
    while distance < VECTORS {
        for i in 0..VECTORS {
            if i & distance == 0 {
                let (low, high) = (x[i], x[i + distance]);
                (x[i], x[i + distance]) = (_mm256_add_ps(low, high), _mm256_sub_ps(low, high));
            }
        }
        distance *= 2;
    }
    x
}
