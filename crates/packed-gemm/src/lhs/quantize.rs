//! Rounding of f32 to integers of 8 bits.

use pulp::{Arch, Simd};

use crate::geometry::{GROUP_WORDS, QUANT_GROUP};

/// Which values of a row share their [`RowParams`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScaleScope {
    /// All of them. Sums stay integers to the end, so that a row has to be known whole when it is written.
    Row,
    /// Each 64: transformers have channels with values far above all others, which so cost the precision of their
    /// group alone.
    Group,
}

/// What the integers of a kernel's left-hand sides are: `x = scale * (q - zero_point)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantization {
    /// `q - zero_point` is in `-qmax..=qmax`.
    pub qmax: i32,
    /// What an integer has for zero.
    pub zero_point: i32,
    /// Which values share a scale.
    pub scope: ScaleScope,
}

impl Quantization {
    /// For rows of `k` values. Where a scale is a row's, a kernel may keep the sum of all its integers in 32 bits, which
    /// takes fewer levels from 131,072 values on.
    pub fn of_rows(self, k: usize) -> Self {
        let most = i32::MAX as usize / (127 * k.max(1));
        match self.scope {
            ScaleScope::Row => Self { qmax: self.qmax.min(most as i32), ..self },
            ScaleScope::Group => self,
        }
    }
}

/// What a product has to know of the integers of a row, or of a group of them.
#[derive(Clone, Copy, Debug, Default)]
pub struct RowParams {
    /// What an integer stands for.
    pub scale: f32,
}

/// What stands between values and integers.
pub struct Quantizer {
    /// From a value to its integer.
    pub inv_scale: f32,
    /// What an integer stands for.
    pub scale: f32,
}

impl Quantizer {
    /// `largest`: the bits of the largest value without its sign.
    #[inline(always)]
    pub fn new(largest: u32, qmax: i32) -> Self {
        let (largest, qmax) = (f32::from_bits(largest), qmax as f32);
        Self { inv_scale: if largest > 0.0 { qmax / largest } else { 0.0 }, scale: largest / qmax }
    }

    /// What is kept of it.
    #[inline(always)]
    pub fn params(&self) -> RowParams {
        RowParams { scale: self.scale }
    }
}

/// Integers of 8 bits, four in one word, for some values that have a scale in common. Returns that.
#[pulp::with_simd(quantize = Arch::new())]
#[inline(always)]
pub fn quantize_with<'a, S: Simd>(_: S, x: &'a [f32], to: Quantization, out: &'a mut [u32]) -> RowParams {
    quantize_inline(x, to, out)
}

/// Integers as [`quantize_with`] makes them, with the instructions of the caller.
#[inline(always)]
pub fn quantize_inline(x: &[f32], to: Quantization, out: &mut [u32]) -> RowParams {
    let quantizer = quantizer_inline(x, to.qmax);
    integers_inline(x, &quantizer, to.zero_point, out);
    quantizer.params()
}

/// The scale of all values of a row.
#[pulp::with_simd(quantizer = Arch::new())]
#[inline(always)]
pub fn quantizer_with<S: Simd>(_: S, x: &[f32], qmax: i32) -> Quantizer {
    quantizer_inline(x, qmax)
}

/// Integers of some values with a scale that is given.
#[pulp::with_simd(integers = Arch::new())]
#[inline(always)]
pub fn integers_with<'a, S: Simd>(_: S, x: &'a [f32], quantizer: &'a Quantizer, zero_point: i32, out: &'a mut [u32]) {
    integers_inline(x, quantizer, zero_point, out);
}

#[inline(always)]
fn quantizer_inline(x: &[f32], qmax: i32) -> Quantizer {
    let (groups, rest) = x.as_chunks();
    let mut bits = groups.iter().fold(0, |bits, group| largest(group).max(bits));
    if !rest.is_empty() {
        bits = bits.max(largest(&filled(rest)));
    }
    Quantizer::new(bits, qmax)
}

/// Up to a whole group.
#[inline(always)]
fn filled(x: &[f32]) -> [f32; QUANT_GROUP] {
    let mut filled = [0.0; QUANT_GROUP];
    filled[..x.len()].copy_from_slice(x);
    filled
}

/// The bits of the largest one. As integers: bits of positive floats are ordered as the floats are, and a NaN is the
/// largest of all, so that it ends in the scale and is not lost.
#[inline(always)]
fn largest(x: &[f32; QUANT_GROUP]) -> u32 {
    x.iter().map(|x| x.to_bits() & 0x7fff_ffff).fold(0, u32::max)
}

#[inline(always)]
fn integers_inline(x: &[f32], quantizer: &Quantizer, zero_point: i32, out: &mut [u32]) {
    let ((groups, rest), (words, rest_words)) = (x.as_chunks(), out.as_chunks_mut());
    for (x, out) in groups.iter().zip(words) {
        group(x, quantizer.inv_scale, zero_point, out);
    }
    if !rest.is_empty() {
        let mut words = [0; GROUP_WORDS];
        group(&filled(rest), quantizer.inv_scale, zero_point, &mut words);
        rest_words.copy_from_slice(&words[..rest_words.len()]);
    }
}

#[inline(always)]
fn group(x: &[f32; QUANT_GROUP], inv_scale: f32, zero_point: i32, out: &mut [u32; GROUP_WORDS]) {
    // Adding 1.5 * 2^23 rounds to an integer, which then stands in the low bits of the sum.
    const ROUND: f32 = 12_582_912.0;
    let mut bytes = [0u8; QUANT_GROUP];
    for (byte, x) in bytes.iter_mut().zip(x) {
        *byte = ((x * inv_scale + ROUND).to_bits() as i32 - ROUND.to_bits() as i32 + zero_point) as u8;
    }
    for (word, bytes) in out.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *word = u32::from_le_bytes(*bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_the_nearest() {
        for (qmax, zero_point) in [(63, 64), (127, 128), (127, 0)] {
            let to = Quantization { qmax, zero_point, scope: ScaleScope::Group };
            let x: Vec<f32> = (0..200).map(|i| ((i * 37 % 101) as f32 - 50.0) * 0.37).collect();
            let row = x[70..].chunks(QUANT_GROUP);
            for x in row.chain([&x[..1], &x[..5]]) {
                let mut words = vec![0; x.len().div_ceil(4)];
                let scale = quantize(x, to, &mut words).scale;
                for (i, x) in x.iter().enumerate() {
                    let byte = words[i / 4].to_le_bytes()[i % 4];
                    let q = if zero_point == 0 { i32::from(byte.cast_signed()) } else { i32::from(byte) - zero_point };
                    assert!(q.abs() <= qmax);
                    let error = (q as f32 * scale - x).abs();
                    assert!(error <= scale * 0.5001, "{x} became {q} of {scale}");
                }
            }
        }
    }

    #[test]
    fn what_is_not_finite_stays_visible() {
        let to = Quantization { qmax: 127, zero_point: 128, scope: ScaleScope::Group };
        for bad in [f32::NAN, f32::INFINITY, -f32::NAN] {
            let mut x = [1.0; 70];
            x[66] = bad;
            assert!(!quantizer(&x, 127).scale.is_finite());
            assert!(quantizer(&x[..66], 127).scale.is_finite());
            assert!(!quantize(&x[64..], to, &mut [0; 2]).scale.is_finite());
            assert!(quantize(&x[..64], to, &mut [0; 16]).scale.is_finite());
        }
        let mut words = [0; 1];
        assert_eq!(quantize(&[0.0; 4], to, &mut words).scale, 0.0);
        assert_eq!(words, [0x8080_8080]);
    }

    #[test]
    fn the_sum_of_a_row_fits() {
        let to = Quantization { qmax: 127, zero_point: 0, scope: ScaleScope::Row };
        for k in [1, 64, 1 << 17, (1 << 17) + 4096, 1 << 20, 1 << 24] {
            let qmax = to.of_rows(k).qmax;
            assert!(qmax as usize * 127 * k <= i32::MAX as usize && (1..=127).contains(&qmax));
            assert_eq!(qmax == 127, k <= 1 << 17);
        }
        // No integers at all: the product is no number, and not a wrong one.
        assert!(quantizer(&[1.0], to.of_rows(1 << 25).qmax).scale.is_infinite());
    }
}
