//! The self-guided filter (sections 7.17.2 and 7.17.3).

use lanes::within;
use oxideav_av1::loop_restoration::SGR_PARAMS;

use crate::error::{Result, filled};
use crate::frame::Plane;
use crate::stripe::{AROUND, Place, Stripe};

const HIGH: usize = 64;

pub struct SelfGuided {
    /// Of each sample and those one around: how much it counts, and what counts else.
    own: Vec<u32>,
    others: Vec<u32>,
    /// What both passes give.
    passes: [Vec<i32>; 2],
    stride: usize,
}

#[pulp::with_simd(filter = pulp::Arch::new())]
#[inline(always)]
pub fn filter_with<S: pulp::Simd>(
    _: S,
    scratch: &mut SelfGuided,
    stripe: &Stripe,
    target: &mut Plane,
    place: Place,
    (set, weights): (usize, [i32; 2]),
    depth: u32,
) {
    scratch.filter(stripe, target, place, set, weights, depth);
}

impl SelfGuided {
    pub fn new(wide: usize) -> Result<Self> {
        let stride = wide + 2;
        let around = stride * (HIGH + 2);
        Ok(Self {
            own: filled(around, 0)?,
            others: filled(around, 0)?,
            passes: [filled(wide * HIGH, 0)?, filled(wide * HIGH, 0)?],
            stride,
        })
    }

    #[inline(always)]
    fn filter(&mut self, stripe: &Stripe, target: &mut Plane, place: Place, set: usize, weights: [i32; 2], depth: u32) {
        let [first, first_scale, second, second_scale] = SGR_PARAMS[set & 15];
        if first != 0 {
            self.boxes::<2>(stripe, place, first_scale as u32, depth, true);
            self.pass(stripe, place, true);
        }
        if second != 0 {
            self.boxes::<1>(stripe, place, second_scale as u32, depth, false);
            self.pass(stripe, place, false);
        }
        let last = 128 - weights[0] - weights[1];
        let most = (1 << depth) - 1;
        let wide = place.wide;
        for y in 0..place.high {
            let from = stripe.row(y + AROUND, place.left + AROUND);
            let to = target.row_mut(place.top + y, place.left);
            for (x, (to, &level)) in to.iter_mut().zip(from).enumerate().take(wide) {
                let level = i32::from(level) << 4;
                let of = |used: i32, pass: &[i32]| if used != 0 { pass[y * wide + x] } else { level };
                let sum =
                    weights[1] * level + weights[0] * of(first, &self.passes[0]) + last * of(second, &self.passes[1]);
                *to = within((sum + (1 << 10)) >> 11, 0, most) as u16;
            }
        }
    }

    /// Means and variances of squares of the side `2 * R + 1` around each sample, in every other row where `odd`.
    #[inline(always)]
    fn boxes<const R: usize>(&mut self, stripe: &Stripe, place: Place, scale: u32, depth: u32, odd: bool) {
        let many = ((2 * R + 1) * (2 * R + 1)) as u32;
        let divisor = many * many * scale;
        let factor = ((1 << 20) + divisor / 2) / divisor;
        let share = ((1 << 12) + many / 2) / many;
        let bits = depth - 8;
        let round = |sum: u32, bits: u32| (sum + (1 << bits >> 1)) >> bits;
        for y in (0..place.high + 2).step_by(if odd { 2 } else { 1 }) {
            let start = y * self.stride;
            let own = &mut self.own[start..start + place.wide + 2];
            let others = &mut self.others[start..start + place.wide + 2];
            for (x, (own, other)) in own.iter_mut().zip(others).enumerate() {
                let (mut squares, mut sum) = (0u32, 0u32);
                for down in 0..2 * R + 1 {
                    // The stripe begins three rows and columns before, of which the first is one before.
                    let line = stripe.row(y + 2 - R + down, place.left + x + 2 - R);
                    for &level in line.iter().take(2 * R + 1) {
                        squares += u32::from(level) * u32::from(level);
                        sum += u32::from(level);
                    }
                }
                let mean = round(sum, bits);
                let spread = (round(squares, 2 * bits) * many).saturating_sub(mean * mean);
                let z = ((u64::from(spread) * u64::from(factor) + (1 << 19)) >> 20) as u32;
                let a = match z {
                    255.. => 256,
                    0 => 1,
                    z => ((z << 8) + z / 2) / (z + 1),
                };
                let b = u64::from(256 - a) * u64::from(sum) * u64::from(share);
                *own = a;
                *other = ((b + (1 << 11)) >> 12) as u32;
            }
        }
    }

    #[inline(always)]
    fn pass(&mut self, stripe: &Stripe, place: Place, odd: bool) {
        let (stride, wide) = (self.stride, place.wide);
        let to = &mut self.passes[usize::from(!odd)];
        for y in 0..place.high {
            let from = stripe.row(y + AROUND, place.left + AROUND);
            // Rows are relative to the one above.
            let weights: [(usize, u32, u32); 3] = match (odd, y & 1) {
                (true, 0) => [(y, 6, 5), (y + 1, 0, 0), (y + 2, 6, 5)],
                (true, _) => [(y, 0, 0), (y + 1, 6, 5), (y + 2, 0, 0)],
                (false, _) => [(y, 4, 3), (y + 1, 4, 4), (y + 2, 4, 3)],
            };
            let shift = if odd && y & 1 == 1 { 8 } else { 9 };
            for (x, &level) in from.iter().enumerate().take(wide) {
                let (mut a, mut b) = (0, 0);
                for (row, middle, side) in weights {
                    if middle == 0 {
                        continue;
                    }
                    let at = row * stride + x;
                    let sum = |all: &[u32]| middle * all[at + 1] + side * (all[at] + all[at + 2]);
                    a += sum(&self.own);
                    b += sum(&self.others);
                }
                let value = a * u32::from(level) + b;
                to[y * wide + x] = ((value + (1 << (shift - 1))) >> shift) as i32;
            }
        }
    }
}
