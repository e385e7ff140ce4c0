//! From predictions of 14 bits to samples: means and weights (clause 8.5.3.3.4).

use lanes::NullaryFnOnce;

use crate::weights::Weight;

/// How a row of samples is made of one or two predictions.
#[derive(Clone, Copy, Debug)]
pub enum Way {
    /// One, rounded; or the mean of two.
    Plain,
    /// By weights, whose denominators have this logarithm.
    Weighted(u32, [Weight; 2]),
}

/// A row.
pub struct Row<'a> {
    /// The samples.
    pub out: &'a mut [u16],
    /// A prediction.
    pub first: &'a [i16],
    /// Another, where there are two.
    pub second: Option<&'a [i16]>,
    /// How they become samples.
    pub way: Way,
    /// Bits of a sample, 8 to 12.
    pub depth: u32,
}

impl NullaryFnOnce for Row<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { out, first, second, way, depth } = self;
        let most = (1i32 << depth) - 1;
        let shift = 14 - depth.clamp(8, 12);
        let clip = |level: i32| level.clamp(0, most) as u16;
        match (way, second) {
            (Way::Plain, None) => {
                let half = 1 << (shift - 1);
                for (out, &first) in out.iter_mut().zip(first) {
                    *out = clip((i32::from(first) + half) >> shift);
                }
            }
            (Way::Plain, Some(second)) => {
                let half = 1 << shift;
                for ((out, &first), &second) in out.iter_mut().zip(first).zip(second) {
                    *out = clip((i32::from(first) + i32::from(second) + half) >> (shift + 1));
                }
            }
            (Way::Weighted(log2, [weight, _]), None) => {
                let shift = shift + log2;
                let half = 1 << (shift - 1);
                for (out, &first) in out.iter_mut().zip(first) {
                    *out = clip(((i32::from(first) * weight.factor + half) >> shift) + weight.offset);
                }
            }
            (Way::Weighted(log2, [a, b]), Some(second)) => {
                let shift = shift + log2;
                let offset = (a.offset + b.offset + 1) << shift;
                for ((out, &first), &second) in out.iter_mut().zip(first).zip(second) {
                    let sum = i32::from(first) * a.factor + i32::from(second) * b.factor;
                    *out = clip((sum + offset) >> (shift + 1));
                }
            }
        }
    }
}
