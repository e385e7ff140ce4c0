//! Rotary positions of patches (timm, `pos_embed_sincos.py`).

use crate::spec::{Rope, RopeOrder};

/// The base of the angles, which timm calls temperature.
const BASE: f64 = 10_000.0;
/// Values that are turned at a time: whole vectors of any processor.
const STEP: usize = 16;

/// What turns queries and keys of an image's patches, whose rows follow `before` others.
///
/// Rows and columns of a square image go by the same table, which so fits the first cache.
pub struct Turns {
    before: usize,
    side: usize,
    /// Values of half a head.
    half: usize,
    order: RopeOrder,
    /// `[side, half]`: the angle of pair `i` belongs to values `2 i` and `2 i + 1`.
    cosines: Vec<f32>,
    /// The same, negative at the first value of each pair.
    sines: Vec<f32>,
}

impl Turns {
    /// For heads of `size` values, a multiple of 4, and images of `side` times `side` patches.
    ///
    /// Every step is rounded to f32, as in timm.
    pub fn new(rope: &Rope, side: usize, before: usize, size: usize) -> Self {
        let half = size / 2;
        let bands = half / 2;
        let rate = |band: usize| 1.0 / BASE.powf(f64::from(band as f32 / bands as f32)) as f32;
        let rates: Vec<f32> = (0..bands).map(rate).collect();
        let place = |i: usize| (i as f32 + f32::from(rope.offset)) / side as f32 * rope.reference as f32;
        let angles = (0..side).flat_map(|i| rates.iter().map(move |rate| f64::from(place(i) * rate)));
        let (cosines, sines) = angles
            .map(|angle| (angle.cos() as f32, angle.sin() as f32))
            .flat_map(|(cosine, sine)| [(cosine, -sine), (cosine, sine)])
            .unzip();
        Self { before, side, half, order: rope.order, cosines, sines }
    }

    /// Turns a query or key of one head of a sequence's row.
    #[inline(always)]
    pub fn turn(&self, row: usize, values: &mut [f32]) {
        let Some(patch) = row.checked_sub(self.before) else { return };
        let (y, x) = (patch / self.side, patch % self.side);
        let (first, second) = match self.order {
            RopeOrder::RowsFirst => (y, x),
            RopeOrder::ColumnsFirst => (x, y),
        };
        let (start, end) = values.split_at_mut(self.half);
        for (values, place) in [(start, first), (end, second)] {
            let range = place * self.half..(place + 1) * self.half;
            turn_half(values, &self.cosines[range.clone()], &self.sines[range]);
        }
    }
}

/// `[x, y]` of each pair becomes `[x cos - y sin, y cos + x sin]`.
#[inline(always)]
fn turn_half(values: &mut [f32], cosines: &[f32], sines: &[f32]) {
    let (values, values_left) = values.as_chunks_mut::<STEP>();
    let ((cosines, cosines_left), (sines, sines_left)) = (cosines.as_chunks::<STEP>(), sines.as_chunks::<STEP>());
    for ((values, cosines), sines) in values.iter_mut().zip(cosines).zip(sines) {
        let old = *values;
        for i in 0..STEP {
            values[i] = old[i] * cosines[i] + old[i ^ 1] * sines[i];
        }
    }
    let left = values_left.as_chunks_mut::<2>().0.iter_mut();
    for (pair, (cosines, sines)) in left.zip(cosines_left.as_chunks::<2>().0.iter().zip(sines_left.as_chunks::<2>().0))
    {
        let [x, y] = *pair;
        *pair = [x * cosines[0] + y * sines[0], y * cosines[1] + x * sines[1]];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each pair by its own angle, in f64.
    #[test]
    fn pairs_are_turned_by_their_angles() {
        for (size, side, reference, offset, before) in [(4, 3, 3, 1, 1), (64, 14, 16, 0, 1), (72, 5, 24, 1, 0)] {
            for order in [RopeOrder::RowsFirst, RopeOrder::ColumnsFirst] {
                let turns = Turns::new(&Rope { reference, offset, order }, side, before, size);
                for row in 0..before + side * side {
                    let values: Vec<f32> = (0..size).map(|i| (i * 7 % 11) as f32 / 5.0 - 1.0).collect();
                    let mut given = values.clone();
                    turns.turn(row, &mut given);
                    let Some(patch) = row.checked_sub(before) else {
                        assert_eq!(given, values);
                        continue;
                    };
                    let mut places = [patch / side, patch % side];
                    if order == RopeOrder::ColumnsFirst {
                        places.reverse();
                    }
                    for pair in 0..size / 2 {
                        let (place, band) = (places[4 * pair / size], pair % (size / 4));
                        let place = (place as f64 + f64::from(offset)) * reference as f64 / side as f64;
                        let angle = place / 10_000f64.powf(4.0 * band as f64 / size as f64);
                        let [x, y] = [values[2 * pair], values[2 * pair + 1]].map(f64::from);
                        let expected = [x * angle.cos() - y * angle.sin(), y * angle.cos() + x * angle.sin()];
                        for (given, expected) in given[2 * pair..].iter().zip(expected) {
                            assert!((f64::from(*given) - expected).abs() < 1e-5, "{given} {expected}");
                        }
                    }
                }
            }
        }
    }
}
