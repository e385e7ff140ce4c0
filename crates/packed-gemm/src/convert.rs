//! From f32 to bf16 and back.

/// Rows of f32 as pairs of bf16 in one word, the first one in the low half. A zero fills up an odd row.
#[inline(always)]
pub fn bf16(x: &[f32], out: &mut [u32]) {
    let (whole, odd) = x.as_chunks::<2>();
    for ([low, high], out) in whole.iter().zip(out.iter_mut()) {
        *out = round(*low) | round(*high) << 16;
    }
    if let ([last], Some(out)) = (odd, out.last_mut()) {
        *out = round(*last);
    }
}

/// To the nearest bf16, ties to even. Finite values only: a NaN may become an infinity, which ends as a NaN all the same.
#[inline(always)]
fn round(x: f32) -> u32 {
    let bits = x.to_bits();
    bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16
}

/// A bf16 is the upper half of an f32.
#[inline(always)]
pub fn halves(pair: u32) -> (f32, f32) {
    (f32::from_bits(pair << 16), f32::from_bits(pair & 0xffff_0000))
}

#[cfg(target_arch = "x86_64")]
pub use avx512::{from_bf16, to_bf16};

#[cfg(target_arch = "x86_64")]
mod avx512 {
    #![allow(unsafe_code)]

    use std::arch::x86_64::*;

    use super::bf16;

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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_as_the_half_crate_does() {
        let x: Vec<f32> = (0..10_001).map(|i| (i as f32 - 5000.0) * 1.000_31e-3).chain([f32::MAX, -0.0]).collect();
        for k in [1, 3, x.len()] {
            for row in x.chunks_exact(k) {
                let mut pairs = vec![0; k.div_ceil(2)];
                bf16(row, &mut pairs);
                for (i, x) in row.iter().enumerate() {
                    let given = (pairs[i / 2] >> (16 * (i % 2))) as u16;
                    assert_eq!(given, half::bf16::from_f32(*x).to_bits(), "{x}");
                }
            }
        }
    }
}
