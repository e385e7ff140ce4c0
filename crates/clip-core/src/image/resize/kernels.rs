//! Weights of a resize: how much each input sample counts in an output sample.

use std::ops::Range;

use super::Axis;
use crate::guarded::look;
use crate::spec::ResizeFilter;

/// Fractional bits of a weight: `PRECISION_BITS`, 32 less 8 for the level less 2 for the sum's overshoot.
pub(super) const PRECISION_BITS: u32 = 32 - 8 - 2;

/// Weights are made for as many output samples as fit in this many, at least for one. Only extreme pictures need several rounds.
pub(super) const MAX_WEIGHTS: usize = 1 << 20;

/// Weights between two looks.
pub(super) const PIECE: usize = 1 << 16;

/// Half a level: sums start here, so that dropping the fraction rounds.
pub(super) const HALF: i32 = 1 << (PRECISION_BITS - 1);

/// `clip8` of Resample.c.
#[inline(always)]
pub(super) fn to_level(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}

/// The taps of every output sample of a window.
pub(super) struct Kernels {
    /// Per output sample: the first input sample, and where its weights begin and end.
    pub taps: Vec<(usize, Range<usize>)>,
    /// Of all taps, one output sample's after the other's, with 22 fractional bits.
    pub weights: Vec<i32>,
}

impl Kernels {
    /// `precompute_coeffs` and `normalize_coeffs_8bpc` of Resample.c, for the output samples from `from` on, until
    /// the axis ends or the weights fill up.
    pub fn new(axis: Axis, filter: ResizeFilter, from: usize, max_weights: usize) -> Self {
        let inverse = 1.0 / axis.scale().max(1.0);
        let mut kernels = Self { taps: Vec::new(), weights: Vec::new() };
        for i in from..axis.count {
            look();
            let (center, Range { start, end }) = axis.taps(i, filter);
            let begin = kernels.weights.len();
            if begin > 0 && begin + (end - start) > max_weights {
                break;
            }
            let weight = |x: usize| {
                // A single row may be as long as a picture is large.
                if x.is_multiple_of(PIECE) {
                    look();
                }
                filter_at(filter, (x as f64 - center + 0.5) * inverse)
            };
            let sum: f64 = (start..end).map(weight).sum();
            kernels.weights.extend((start..end).map(|x| {
                let w = if sum == 0.0 { weight(x) } else { weight(x) / sum };
                let fixed = w * f64::from(1u32 << PRECISION_BITS);
                (if w < 0.0 { fixed - 0.5 } else { fixed + 0.5 }) as i32
            }));
            kernels.taps.push((start, begin..kernels.weights.len()));
        }
        kernels
    }

    /// The input samples that any of these output samples needs.
    pub fn span(&self) -> Range<usize> {
        let start = self.taps.iter().map(|(start, _)| *start).min().unwrap_or(0);
        let end = self.taps.iter().map(|(start, w)| start + w.len()).max().unwrap_or(0);
        start..end
    }
}

impl Axis {
    /// Input samples for each output sample. Pillow passes the box to resize from as f32.
    fn scale(self) -> f64 {
        f64::from(self.picture.1 - self.picture.0) / self.output as f64
    }

    /// Where the output sample is in the input, and the input samples that it needs.
    fn taps(self, i: usize, filter: ResizeFilter) -> (f64, Range<usize>) {
        let scale = self.scale();
        let support = filter_support(filter) * scale.max(1.0);
        let center = f64::from(self.picture.0) + ((self.first + i as u64) as f64 + 0.5) * scale;
        // Casts truncate towards zero and saturate at zero, as Pillow's do with its check.
        let start = ((center - support + 0.5) as usize).min(self.input);
        (center, start..((center + support + 0.5) as usize).clamp(start, self.input))
    }

    /// The input samples that any output sample of the window needs.
    pub fn span(self, filter: ResizeFilter) -> Range<usize> {
        match self.count.checked_sub(1) {
            Some(last) => self.taps(0, filter).1.start..self.taps(last, filter).1.end,
            None => 0..0,
        }
    }
}

/// Input samples to each side that count, before a reduction widens them: `support` of Resample.c.
fn filter_support(filter: ResizeFilter) -> f64 {
    match filter {
        ResizeFilter::Bilinear => 1.0,
        ResizeFilter::Bicubic => 2.0,
        ResizeFilter::Lanczos => 3.0,
    }
}

/// The filter's weight at a distance of `x` samples, as Resample.c computes it in f64.
fn filter_at(filter: ResizeFilter, x: f64) -> f64 {
    match filter {
        ResizeFilter::Bilinear => (1.0 - x.abs()).max(0.0),
        ResizeFilter::Bicubic => {
            const A: f64 = -0.5;
            let x = x.abs();
            if x < 1.0 {
                ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
            } else if x < 2.0 {
                (((x - 5.0) * x + 8.0) * x - 4.0) * A
            } else {
                0.0
            }
        }
        ResizeFilter::Lanczos if (-3.0..3.0).contains(&x) => sinc(x) * sinc(x / 3.0),
        ResizeFilter::Lanczos => 0.0,
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 {
        return 1.0;
    }
    let x = x * std::f64::consts::PI;
    x.sin() / x
}

/// Weights in two halves of 16 bits, as processors multiply such and add the products in pairs: a weight is
/// `high << LOW_BITS + low`. All arithmetic wraps, so sums of halves, put together, are the sums of wholes.
pub(super) const LOW_BITS: u32 = 11;

/// Puts sums of halves together.
#[inline(always)]
pub(super) fn whole(high: i32, low: i32) -> i32 {
    (high << LOW_BITS).wrapping_add(low)
}

/// The high half, then the low one.
fn halves(weight: i32) -> [i16; 2] {
    [(weight >> LOW_BITS) as i16, (weight & ((1 << LOW_BITS) - 1)) as i16]
}

/// Whether [`halves`] loses nothing, which holds for weights up to 16.
pub(super) fn fit_halves(kernels: &Kernels) -> bool {
    kernels.weights.iter().all(|w| i16::try_from(w >> LOW_BITS).is_ok())
}

/// Weights of two samples side by side: both high halves, both low ones.
pub(super) type Pair = [[i16; 2]; 2];

/// Weights in pairs, filled up with a weight of zero.
pub(super) fn pairs(weights: impl Iterator<Item = i32>) -> impl Iterator<Item = Pair> {
    let mut weights = weights.map(halves).fuse();
    std::iter::from_fn(move || {
        let ([h0, l0], [h1, l1]) = (weights.next()?, weights.next().unwrap_or_default());
        Some([[h0, h1], [l0, l1]])
    })
}

/// The kernels of a horizontal pass, in pairs.
pub(super) struct Paired {
    /// Per output sample: the first pair of input samples, counted from the span's start, and its weights.
    pub taps: Vec<(usize, Range<usize>)>,
    /// Weights of all taps, one output sample's after the other's.
    pub pairs: Vec<Pair>,
}

impl Paired {
    /// Pairs begin at every second sample of the span, so that a tap may begin with a weight of zero.
    pub fn new(kernels: &Kernels) -> Self {
        let from = kernels.span().start;
        let mut all = Self { taps: Vec::with_capacity(kernels.taps.len()), pairs: Vec::new() };
        for (start, weights) in &kernels.taps {
            let begin = all.pairs.len();
            // A kernel that starts with the second sample of a pair gives the first no weight.
            let before = std::iter::repeat_n(0, (start - from) % 2);
            all.pairs.extend(pairs(before.chain(kernels.weights[weights.clone()].iter().copied())));
            all.taps.push(((start - from) / 2, begin..all.pairs.len()));
        }
        all
    }
}
