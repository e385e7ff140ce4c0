//! Rounding of f32 to the formats that products take.

use std::cell::RefCell;

use pulp::{Arch, Simd};

use crate::rows::{Aligned, BLOCK, LINE_BYTES};

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

/// Integers of 8 bits, four in one word, with a scale for each block of 64: `x = scale * (q - zero)`, where
/// `q - zero` is in `-levels..=levels`.
///
/// A scale for a few values instead of one for a row: transformers have channels with values far above all others,
/// which so cost the precision of their block alone.
#[pulp::with_simd(int8 = Arch::new())]
#[inline(always)]
pub fn int8_with<'a, S: Simd>(_: S, x: &'a [f32], levels: i32, zero: i32, out: &'a mut [u32], scales: &'a mut [f32]) {
    int8_inline(x, levels, zero, out, scales);
}

/// The same with the instructions of the caller.
#[inline(always)]
pub fn int8_inline(x: &[f32], levels: i32, zero: i32, out: &mut [u32], scales: &mut [f32]) {
    for ((x, out), scale) in x.chunks(BLOCK).zip(out.chunks_mut(BLOCK / 4)).zip(scales) {
        if let (Some(x), Some(out)) = (x.as_array(), out.as_mut_array()) {
            *scale = block(x, levels, zero, out);
        } else {
            let (mut filled, mut words) = ([0.0; BLOCK], [0; BLOCK / 4]);
            filled[..x.len()].copy_from_slice(x);
            *scale = block(&filled, levels, zero, &mut words);
            out.copy_from_slice(&words[..out.len()]);
        }
    }
}

/// The same with one scale for all of them, which is returned.
#[pulp::with_simd(int8_row = Arch::new())]
#[inline(always)]
pub fn int8_row_with<'a, S: Simd>(_: S, x: &'a [f32], levels: i32, zero: i32, out: &'a mut [u32]) -> f32 {
    let ((blocks, rest), (words, rest_words)) = (x.as_chunks(), out.as_chunks_mut());
    let mut filled = [0.0; BLOCK];
    filled[..rest.len()].copy_from_slice(rest);
    let largest = blocks.iter().chain([&filled]).map(largest).fold(0, u32::max);
    let (inverse, scale) = scales(largest, levels);
    for (x, out) in blocks.iter().zip(words) {
        integers(x, inverse, zero, out);
    }
    if !rest.is_empty() {
        let mut words = [0; BLOCK / 4];
        integers(&filled, inverse, zero, &mut words);
        rest_words.copy_from_slice(&words[..rest_words.len()]);
    }
    scale
}

#[inline(always)]
fn block(x: &[f32; BLOCK], levels: i32, zero: i32, out: &mut [u32; BLOCK / 4]) -> f32 {
    let (inverse, scale) = scales(largest(x), levels);
    integers(x, inverse, zero, out);
    scale
}

/// The bits of the largest one. As integers: bits of positive floats are ordered as the floats are, and a NaN is the
/// largest of all, so that it ends in the scale and is not lost.
#[inline(always)]
fn largest(x: &[f32; BLOCK]) -> u32 {
    x.iter().map(|x| x.to_bits() & 0x7fff_ffff).fold(0, u32::max)
}

/// From values to integers and back.
#[inline(always)]
fn scales(largest: u32, levels: i32) -> (f32, f32) {
    let (largest, levels) = (f32::from_bits(largest), levels as f32);
    (if largest > 0.0 { levels / largest } else { 0.0 }, largest / levels)
}

#[inline(always)]
fn integers(x: &[f32; BLOCK], inverse: f32, zero: i32, out: &mut [u32; BLOCK / 4]) {
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
            for k in [1usize, 5, 64, 130] {
                let x: Vec<f32> = (0..k).map(|i| ((i * 37 % 101) as f32 - 50.0) * 0.37).collect();
                let (mut words, mut scales) = (vec![0; k.div_ceil(4)], vec![0.0; k.div_ceil(BLOCK)]);
                int8(&x, levels, zero, &mut words, &mut scales);
                for (i, x) in x.iter().enumerate() {
                    let byte = words[i / 4].to_le_bytes()[i % 4];
                    let q = if zero == 0 { i32::from(byte.cast_signed()) } else { i32::from(byte) - zero };
                    assert!(q.abs() <= levels);
                    let error = (q as f32 * scales[i / BLOCK] - x).abs();
                    assert!(error <= scales[i / BLOCK] * 0.5001, "{x} became {q} of {}", scales[i / BLOCK]);
                }
            }
        }
    }

    #[test]
    fn what_is_not_finite_stays_visible() {
        for bad in [f32::NAN, f32::INFINITY, -f32::NAN] {
            let (mut x, mut words, mut scales) = ([1.0; 70], [0; 18], [0.0; 2]);
            x[66] = bad;
            int8(&x, 127, 128, &mut words, &mut scales);
            assert!(scales[0].is_finite() && !scales[1].is_finite());
        }
        let (mut words, mut scales) = ([0; 1], [1.0]);
        int8(&[0.0; 4], 127, 128, &mut words, &mut scales);
        assert_eq!((words, scales), ([0x8080_8080], [0.0]));
    }
}
