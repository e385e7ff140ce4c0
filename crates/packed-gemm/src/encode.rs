//! Rounding of f32 to the formats that products take.

use std::cell::RefCell;

use pulp::{Arch, Simd};

use crate::rows::{Aligned, BLOCK, LINE_BYTES};
use crate::watch::reserved;

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

/// What stands between values and integers.
pub struct Scales {
    /// From a value to its integer.
    pub inverse: f32,
    /// What an integer stands for.
    pub one: f32,
}

impl Scales {
    /// `largest`: the bits of the largest value without its sign.
    #[inline(always)]
    pub fn new(largest: u32, levels: i32) -> Self {
        let (largest, levels) = (f32::from_bits(largest), levels as f32);
        Self { inverse: if largest > 0.0 { levels / largest } else { 0.0 }, one: largest / levels }
    }
}

/// Integers of 8 bits, four in one word, for some values that have a scale in common: `x = scale * (q - zero)`, where
/// `q - zero` is in `-levels..=levels`. Returns the scale.
///
/// A scale for a block of 64 values instead of one for a row: transformers have channels with values far above all others,
/// which so cost the precision of their block alone.
#[pulp::with_simd(int8 = Arch::new())]
#[inline(always)]
pub fn int8_with<'a, S: Simd>(_: S, x: &'a [f32], levels: i32, zero: i32, out: &'a mut [u32]) -> f32 {
    int8_inline(x, levels, zero, out)
}

/// Integers as [`int8_with`] makes them, with the instructions of the caller.
#[inline(always)]
pub fn int8_inline(x: &[f32], levels: i32, zero: i32, out: &mut [u32]) -> f32 {
    let scales = scales(x, levels);
    integers_inline(x, &scales, zero, out);
    scales.one
}

/// The scale of all values of a row. `levels`: the largest integer.
#[pulp::with_simd(row_scales = Arch::new())]
#[inline(always)]
pub fn row_scales_with<S: Simd>(_: S, x: &[f32], levels: i32) -> Scales {
    scales(x, levels)
}

/// Integers of some values with scales that are given.
#[pulp::with_simd(integers = Arch::new())]
#[inline(always)]
pub fn integers_with<'a, S: Simd>(_: S, x: &'a [f32], scales: &'a Scales, zero: i32, out: &'a mut [u32]) {
    integers_inline(x, scales, zero, out);
}

#[inline(always)]
fn scales(x: &[f32], levels: i32) -> Scales {
    let (blocks, rest) = x.as_chunks();
    let mut bits = blocks.iter().fold(0, |bits, block| largest(block).max(bits));
    if !rest.is_empty() {
        bits = bits.max(largest(&filled(rest)));
    }
    Scales::new(bits, levels)
}

/// Up to a whole block.
#[inline(always)]
fn filled(x: &[f32]) -> [f32; BLOCK] {
    let mut filled = [0.0; BLOCK];
    filled[..x.len()].copy_from_slice(x);
    filled
}

/// The bits of the largest one. As integers: bits of positive floats are ordered as the floats are, and a NaN is the
/// largest of all, so that it ends in the scale and is not lost.
#[inline(always)]
fn largest(x: &[f32; BLOCK]) -> u32 {
    x.iter().map(|x| x.to_bits() & 0x7fff_ffff).fold(0, u32::max)
}

#[inline(always)]
fn integers_inline(x: &[f32], scales: &Scales, zero: i32, out: &mut [u32]) {
    let ((blocks, rest), (words, rest_words)) = (x.as_chunks(), out.as_chunks_mut());
    for (x, out) in blocks.iter().zip(words) {
        block(x, scales.inverse, zero, out);
    }
    if !rest.is_empty() {
        let mut words = [0; BLOCK / 4];
        block(&filled(rest), scales.inverse, zero, &mut words);
        rest_words.copy_from_slice(&words[..rest_words.len()]);
    }
}

#[inline(always)]
fn block(x: &[f32; BLOCK], inverse: f32, zero: i32, out: &mut [u32; BLOCK / 4]) {
    // Adding 1.5 * 2^23 rounds to an integer, which then stands in the low bits of the sum.
    const ROUND: f32 = 12_582_912.0;
    let mut bytes = [0u8; BLOCK];
    for (byte, x) in bytes.iter_mut().zip(x) {
        *byte = ((x * inverse + ROUND).to_bits() as i32 - ROUND.to_bits() as i32 + zero) as u8;
    }
    for (word, bytes) in out.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *word = u32::from_le_bytes(*bytes);
    }
}

/// Lends a buffer of this thread that begins at a cache line, contents undefined.
pub fn scratch<R>(len: usize, f: impl FnOnce(&mut [f32]) -> R) -> R {
    /// Larger ones are not kept.
    const KEPT: usize = 3 << 15;
    thread_local!(static BUFFER: RefCell<Aligned<f32>> = RefCell::new(Aligned::new(LINE_BYTES)));
    BUFFER.with(|buffer| {
        // Taken out, as `f` may ask for one, too.
        let mut values = buffer.replace(Aligned::new(LINE_BYTES));
        if values.len() < len {
            reserved(values.try_reserve_exact(len - values.len()), 4 * len);
            values.resize(len, 0.0);
        }
        let result = f(&mut values[..len]);
        if values.len() <= KEPT {
            buffer.replace(values);
        }
        result
    })
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

    #[test]
    fn integers_are_the_nearest() {
        for (levels, zero) in [(63, 64), (127, 128), (127, 0)] {
            let x: Vec<f32> = (0..200).map(|i| ((i * 37 % 101) as f32 - 50.0) * 0.37).collect();
            let row = x[70..].chunks(BLOCK);
            for x in row.chain([&x[..1], &x[..5]]) {
                let mut words = vec![0; x.len().div_ceil(4)];
                let scale = int8(x, levels, zero, &mut words);
                for (i, x) in x.iter().enumerate() {
                    let byte = words[i / 4].to_le_bytes()[i % 4];
                    let q = if zero == 0 { i32::from(byte.cast_signed()) } else { i32::from(byte) - zero };
                    assert!(q.abs() <= levels);
                    let error = (q as f32 * scale - x).abs();
                    assert!(error <= scale * 0.5001, "{x} became {q} of {scale}");
                }
            }
        }
    }

    #[test]
    fn what_is_not_finite_stays_visible() {
        for bad in [f32::NAN, f32::INFINITY, -f32::NAN] {
            let mut x = [1.0; 70];
            x[66] = bad;
            assert!(!row_scales(&x, 127).one.is_finite());
            assert!(row_scales(&x[..66], 127).one.is_finite());
            assert!(!int8(&x[64..], 127, 128, &mut [0; 2]).is_finite());
            assert!(int8(&x[..64], 127, 128, &mut [0; 16]).is_finite());
        }
        let mut words = [0; 1];
        assert_eq!(int8(&[0.0; 4], 127, 128, &mut words), 0.0);
        assert_eq!(words, [0x8080_8080]);
    }
}
