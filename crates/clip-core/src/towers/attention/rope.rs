//! Rotary positions: of patches (timm, `pos_embed_sincos.py`) and of tokens (flash-attn, `rotary.py`).

use crate::spec::{Rope, RopeOrder};

/// The base of the angles, which timm calls temperature.
const BASE: f64 = 10_000.0;
/// Values that are turned at a time: whole vectors of any processor.
const STEP: usize = 16;

/// What turns queries and keys.
pub struct Turns {
    places: Places,
    /// Values of half a head.
    half: usize,
    /// `[places, half]`
    cosines: Vec<f32>,
    /// `[places, half]`
    sines: Vec<f32>,
}

/// Which rows there are.
enum Places {
    /// An image's patches, which follow `before` other rows. Rows and columns of a square image go by the same table, which
    /// so fits the first cache: the angle of pair `i` belongs to values `2 i` and `2 i + 1` of a half of the head. Sines are
    /// negative at the first value of each pair.
    Grid { before: usize, side: usize, order: RopeOrder },
    /// A text's tokens: angle `i` belongs to values `i` and `i + half`.
    Line,
}

impl Turns {
    /// For heads of `size` values, a multiple of 2, and texts of `context` tokens at most.
    ///
    /// Every step is rounded to f32, as in the reference.
    pub fn of_texts(base: f32, context: usize, size: usize) -> Self {
        let half = size / 2;
        let rate = |i: usize| 1.0 / f64::from(base).powf(f64::from(2.0 * i as f32 / size as f32)) as f32;
        let rates: Vec<f32> = (0..half).map(rate).collect();
        let angles = (0..context).flat_map(|i| rates.iter().map(move |rate| f64::from(i as f32 * rate)));
        let (cosines, sines) = angles.map(|angle| (angle.cos() as f32, angle.sin() as f32)).unzip();
        Self { places: Places::Line, half, cosines, sines }
    }

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
        Self { places: Places::Grid { before, side, order: rope.order }, half, cosines, sines }
    }

    /// Turns a query or key of one head of a sequence's row.
    #[inline(always)]
    pub fn turn(&self, row: usize, values: &mut [f32]) {
        let (start, end) = values.split_at_mut(self.half);
        let angles = |place: usize| {
            let range = place * self.half..(place + 1) * self.half;
            (&self.cosines[range.clone()], &self.sines[range])
        };
        let Places::Grid { before, side, order } = self.places else {
            let (cosines, sines) = angles(row);
            return turn_halves(start, end, cosines, sines);
        };
        let Some(patch) = row.checked_sub(before) else { return };
        let (y, x) = (patch / side, patch % side);
        let (first, second) = match order {
            RopeOrder::RowsFirst => (y, x),
            RopeOrder::ColumnsFirst => (x, y),
        };
        for (values, place) in [(start, first), (end, second)] {
            let (cosines, sines) = angles(place);
            turn_half(values, cosines, sines);
        }
    }
}

/// Each `x` of the first half and `y` of the second become `x cos - y sin` and `y cos + x sin`.
#[inline(always)]
fn turn_halves(first: &mut [f32], second: &mut [f32], cosines: &[f32], sines: &[f32]) {
    for (((x, y), cosine), sine) in first.iter_mut().zip(second).zip(cosines).zip(sines) {
        (*x, *y) = (*x * cosine - *y * sine, *y * cosine + *x * sine);
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

    /// Each value with the one of the other half, in f64.
    #[test]
    fn tokens_are_turned_by_their_places() {
        for (base, size) in [(20_000.0, 64), (10_000.0, 6), (1.0, 2)] {
            let turns = Turns::of_texts(base, 40, size);
            for row in [0, 1, 39] {
                let values: Vec<f32> = (0..size).map(|i| (i * 7 % 11) as f32 / 5.0 - 1.0).collect();
                let mut given = values.clone();
                turns.turn(row, &mut given);
                for i in 0..size / 2 {
                    let angle = row as f64 / f64::from(base).powf(2.0 * i as f64 / size as f64);
                    let [x, y] = [values[i], values[i + size / 2]].map(f64::from);
                    let expected = [x * angle.cos() - y * angle.sin(), y * angle.cos() + x * angle.sin()];
                    for (given, expected) in [given[i], given[i + size / 2]].into_iter().zip(expected) {
                        assert!((f64::from(given) - expected).abs() < 1e-5, "{given} {expected}");
                    }
                }
            }
        }
    }
}
