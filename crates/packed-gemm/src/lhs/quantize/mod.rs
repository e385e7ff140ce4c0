//! Rounding of f32 to integers of 8 bits.
//!
//! Values are [transformed](crate::rotate) first. Their integers have a scale and a zero point: activations lie on one side of
//! zero, as GELU's outputs do, and levels on the other side would be lost.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;

use std::marker::PhantomData;
use std::slice;

use crate::geometry::{GROUP_WORDS, QUANT_GROUP};
use crate::rotate::rotate;

/// Which values of a row share their [`RowParams`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScaleScope {
    /// All of them. Sums stay integers to the end, so that a row has to be known whole when it is written.
    Row,
    /// Each 64.
    Group,
}

/// What the integers of a kernel's left-hand sides are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantization {
    /// Integers are in `0..=qmax`.
    pub qmax: i32,
    /// What is stored is an integer less this: half of all for a kernel that multiplies signed bytes.
    pub shift: i32,
    /// What the kernel itself takes off each byte that it reads.
    pub bias: i32,
    /// Which values share a scale and a zero point.
    pub scope: ScaleScope,
}

impl Quantization {
    /// For rows of `k` values. Where parameters are a row's, a kernel may keep the sum of all its products in 32 bits, which
    /// takes fewer levels from 66,000 values on.
    pub fn of_rows(self, k: usize) -> Self {
        let most = i32::MAX as usize / (127 * k.max(1));
        match self.scope {
            ScaleScope::Row => Self { qmax: self.qmax.min(most as i32), ..self },
            ScaleScope::Group => self,
        }
    }
}

/// What a product has to know of the integers of a row, or of a group of them: the byte `b` stands for
/// `scale * (b - bias - zero)`.
#[derive(Clone, Copy, Debug, Default)]
pub struct RowParams {
    /// From one integer to the next.
    pub scale: f32,
    /// What stands for zero, less what the kernel takes off.
    pub zero: i32,
}

impl RowParams {
    /// The values that some bytes stand for, transformed as they are.
    pub fn values(self, bytes: &[u8], of: Quantization) -> impl Iterator<Item = f32> {
        let zero = (self.zero + of.bias + of.shift) as u8;
        bytes.iter().map(move |byte| {
            let q = byte.wrapping_add(of.shift as u8);
            (i32::from(q) - i32::from(zero)) as f32 * self.scale
        })
    }
}

/// The memory of some values' integers: a line for each group, which need not lie one after the other.
pub struct Lines<'a> {
    first: *mut u32,
    step: usize,
    words: usize,
    lifetime: PhantomData<&'a mut [u32]>,
}

#[allow(unsafe_code)]
impl Lines<'_> {
    /// Lines that are `step` words apart, `words` in all.
    ///
    /// # Safety
    /// They are there, for the lifetime of this, and nobody else uses them.
    pub unsafe fn new(first: *mut u32, step: usize, words: usize) -> Self {
        assert!(step >= GROUP_WORDS);
        Self { first, step, words, lifetime: PhantomData }
    }

    /// The line of a group: sixteen words, or fewer of the last one.
    #[inline(always)]
    pub fn line(&mut self, group: usize) -> &mut [u32] {
        let before = group * GROUP_WORDS;
        assert!(before < self.words);
        // SAFETY: inside the lines, as asserted, which are this one's alone.
        unsafe { slice::from_raw_parts_mut(self.first.add(group * self.step), GROUP_WORDS.min(self.words - before)) }
    }
}

/// What stands between values and integers.
struct Quantizer {
    scale: f32,
    inv_scale: f32,
    /// The integer of zero.
    first: i32,
}

impl Quantizer {
    fn params(&self, to: Quantization) -> RowParams {
        RowParams { scale: self.scale, zero: self.first - to.shift - to.bias }
    }
}

/// Where some values lie, zero among them.
struct Range {
    low: f32,
    high: f32,
    /// No number, where one of them is none or infinite. Else zero.
    bad: f32,
}

impl Range {
    #[inline(always)]
    fn of(values: &[f32]) -> Self {
        let mut range = Self { low: 0.0, high: 0.0, bad: 0.0 };
        for value in values {
            (range.low, range.high) = (range.low.min(*value), range.high.max(*value));
            range.bad += value * 0.0;
        }
        range
    }

    /// Zero is an integer, so that a row of zeros, or what fills one up, is exact. What is not finite ends in the scale.
    #[inline(always)]
    fn quantizer(&self, to: Quantization) -> Quantizer {
        let (range, qmax) = (self.high - self.low, to.qmax as f32);
        let inv_scale = if (qmax / range).is_finite() { qmax / range } else { 0.0 };
        let first = (-self.low * inv_scale).round_ties_even() as i32;
        Quantizer { scale: range / qmax + self.bad, inv_scale, first }
    }
}

/// Transforms values that have a scale in common, and makes integers of them, four in one word. A row's begin at a group.
pub type Quantize = fn(&mut [f32], Quantization, &mut Lines) -> RowParams;

/// [`quantize`] by the fastest instructions of this machine. All give the same integers.
#[allow(unsafe_code)]
pub fn fastest() -> Quantize {
    #[cfg(target_arch = "x86_64")]
    if pulp::x86::V4::is_available() {
        // SAFETY: the machine has the instructions.
        return |x, to, out| unsafe { avx512::quantize(x, to, out) };
    }
    #[cfg(target_arch = "x86_64")]
    if pulp::x86::V3::is_available() {
        // SAFETY: the machine has the instructions.
        return |x, to, out| unsafe { avx2::quantize(x, to, out) };
    }
    quantize
}

/// In plain Rust.
pub fn quantize(x: &mut [f32], to: Quantization, out: &mut Lines) -> RowParams {
    rotate(x);
    let (mut range, mut bad) = ([[0.0f32; 8]; 2], [0.0f32; 8]);
    let (chunks, rest) = x.as_chunks::<8>();
    for chunk in chunks {
        for (i, x) in chunk.iter().enumerate() {
            range[0][i] = if *x < range[0][i] { *x } else { range[0][i] };
            range[1][i] = if *x > range[1][i] { *x } else { range[1][i] };
            bad[i] += x * 0.0;
        }
    }
    let rest = Range::of(rest);
    let range = Range {
        low: range[0].iter().fold(rest.low, |low, x| low.min(*x)),
        high: range[1].iter().fold(rest.high, |high, x| high.max(*x)),
        bad: bad.iter().sum::<f32>() + rest.bad,
    };
    let quantizer = range.quantizer(to);
    let (groups, rest) = x.as_chunks();
    for (i, x) in groups.iter().enumerate() {
        let mut words = [0; GROUP_WORDS];
        round(x, &quantizer, to, &mut words);
        out.line(i).copy_from_slice(&words);
    }
    round_rest(rest, &quantizer, to, out, groups.len());
    quantizer.params(to)
}

/// Less than a group, at the end of a row. What fills up its line are integers of zero.
fn round_rest(x: &[f32], quantizer: &Quantizer, to: Quantization, out: &mut Lines, line: usize) {
    if !x.is_empty() {
        let (mut filled, mut words) = ([0.0; QUANT_GROUP], [0; GROUP_WORDS]);
        filled[..x.len()].copy_from_slice(x);
        round(&filled, quantizer, to, &mut words);
        let out = out.line(line);
        out.copy_from_slice(&words[..out.len()]);
    }
}

#[inline(always)]
fn round(x: &[f32; QUANT_GROUP], quantizer: &Quantizer, to: Quantization, out: &mut [u32; GROUP_WORDS]) {
    // Adding 1.5 * 2^23 rounds to an integer, which then stands in the low bits of the sum.
    const ROUND: f32 = 12_582_912.0;
    let mut bytes = [0u8; QUANT_GROUP];
    for (byte, x) in bytes.iter_mut().zip(x) {
        let q = (x * quantizer.inv_scale + ROUND).to_bits() as i32 - ROUND.to_bits() as i32 + quantizer.first;
        *byte = (q.clamp(0, to.qmax) - to.shift) as u8;
    }
    for (word, bytes) in out.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *word = u32::from_le_bytes(*bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: Quantization = Quantization { qmax: 255, shift: 0, bias: 0, scope: ScaleScope::Row };
    const KINDS: [Quantization; 3] = [
        ROW,
        Quantization { qmax: 127, shift: 0, bias: 64, scope: ScaleScope::Group },
        Quantization { qmax: 255, shift: 128, bias: 0, scope: ScaleScope::Row },
    ];

    /// Integers of values, and what they become on the way.
    fn integers(quantize: Quantize, x: &[f32], to: Quantization) -> (Vec<f32>, Vec<u32>, RowParams) {
        let (mut x, mut words) = (x.to_vec(), vec![0; x.len().div_ceil(4)]);
        // SAFETY: a slice of its own.
        #[allow(unsafe_code)]
        let mut lines = unsafe { Lines::new(words.as_mut_ptr(), GROUP_WORDS, words.len()) };
        let params = quantize(&mut x, to, &mut lines);
        (x, words, params)
    }

    #[test]
    fn integers_are_the_nearest() {
        for to in KINDS {
            for (count, at) in [(1, 0.0), (5, 30.0), (64, -3.0), (70, 0.0), (200, 100.0), (128, -1e4)] {
                let x: Vec<f32> = (0..count).map(|i| ((i * 37 % 101) as f32 - 50.0) * 0.37 + at).collect();
                let (rotated, words, params) = integers(quantize, &x, to);
                let read = params.values(&bytemuck::cast_slice(&words)[..count], to);
                for (x, read) in rotated.iter().zip(read) {
                    // Half a step, and half of one more at an end.
                    let step = params.scale;
                    assert!((x - read).abs() <= step * 1.0001, "{x} became {read} in steps of {step}");
                }
                let largest = rotated.iter().fold(0f32, |largest, x| largest.max(x.abs()));
                assert!(params.scale * to.qmax as f32 <= 2.0001 * largest);
            }
        }
    }

    /// Activations on one side of zero use all levels.
    #[test]
    fn one_side_of_zero() {
        let mut x = [0.0; 64];
        x[0] = 1.0; // all transforms are one
        let (_, words, params) = integers(quantize, &x, ROW);
        assert_eq!((params.scale, params.zero, words), (1.0 / 255.0, 0, vec![u32::MAX; GROUP_WORDS]));
    }

    #[test]
    fn all_instructions_give_the_same_integers() {
        for to in KINDS {
            for count in [1, 63, 64, 65, 200, 768, 1000] {
                let x: Vec<f32> = (0..count).map(|i| ((i * i * 37 % 1013) as f32 - 300.0) * 0.013).collect();
                let by = |quantize| {
                    let (x, words, params) = integers(quantize, &x, to);
                    (x, words, params.scale, params.zero)
                };
                let expected = by(quantize);
                assert_eq!(by(fastest()), expected);
                #[cfg(target_arch = "x86_64")]
                if pulp::x86::V3::is_available() {
                    // SAFETY: the machine has the instructions.
                    #[allow(unsafe_code)]
                    let given = by(|x, to, out| unsafe { avx2::quantize(x, to, out) });
                    assert_eq!(given, expected);
                }
            }
        }
    }

    #[test]
    fn what_is_not_finite_stays_visible() {
        for quantize in [quantize, fastest()] {
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -f32::NAN] {
                for at in [3, 66] {
                    let mut x = [1.0; 70];
                    x[at] = bad;
                    assert!(!integers(quantize, &x, ROW).2.scale.is_finite());
                }
            }
            let (_, words, params) = integers(quantize, &[0.0; 64], ROW);
            assert_eq!((params.scale, params.zero, words), (0.0, 0, vec![0; 16]));
            let (_, _, params) = integers(quantize, &[-1e-44; 64], ROW);
            assert_eq!(params.zero, 0, "too small to be told from zero");
        }
    }

    #[test]
    fn the_sum_of_a_row_fits() {
        for k in [1, 64, 1 << 16, (1 << 16) + 4096, 1 << 20, 1 << 23] {
            let qmax = ROW.of_rows(k).qmax;
            assert!(qmax as usize * 127 * k <= i32::MAX as usize && (1..=255).contains(&qmax));
            assert_eq!(qmax == 255, k <= 1 << 16);
        }
    }
}
