//! From places as coded to places as shown: turns, mirrors and crops, one after the other.

use isobmff::{Meta, Property};

use crate::error::{Error, Result};

/// `x' = x·across.0 + y·across.1 + across.2`, and `y'` likewise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    across: [i64; 3],
    down: [i64; 3],
    /// As shown.
    pub width: usize,
    pub height: usize,
    /// Where chroma samples would not lie over the luma samples any more, libheif first makes as many of them as there are luma
    /// samples: of this part of the picture, as coded.
    pub upsampled: Option<Part>,
}

/// A rectangle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    pub left: usize,
    pub top: usize,
    pub width: usize,
    pub height: usize,
}

impl Turn {
    pub fn new(width: usize, height: usize) -> Self {
        Self { across: [1, 0, 0], down: [0, 1, 0], width, height, upsampled: None }
    }

    /// `shifts`: from luma to chroma places, across and down. Properties that turn nothing do not matter.
    pub fn apply(&mut self, property: &Property, shifts: (u32, u32)) -> Result<()> {
        let odd = |shift: u32, side: usize| shift > 0 && side % 2 == 1;
        let (odd_width, odd_height) = (odd(shifts.0, self.width), odd(shifts.1, self.height));
        let narrow = shifts == (1, 0);
        match property {
            Property::Rotation(quarters) => {
                self.upsample(match quarters {
                    1 => narrow || odd_width,
                    2 if narrow => self.height % 2 == 1,
                    2 => odd_width || odd_height,
                    3 => narrow || odd_height,
                    _ => false,
                });
                for _ in 0..*quarters {
                    self.quarter();
                }
            }
            Property::Mirror(0) => {
                self.upsample(!narrow && (odd_width || odd_height));
                self.down = flipped(self.down, self.height);
            }
            Property::Mirror(_) => {
                self.upsample(odd_width || odd_height);
                self.across = flipped(self.across, self.width);
            }
            Property::Crop(aperture) => {
                let (left, right) = span(aperture.width, aperture.horizontal, self.width, true)?;
                let (top, bottom) = span(aperture.height, aperture.vertical, self.height, false)?;
                self.upsample(odd(shifts.0, left) || odd(shifts.1, top));
                self.across[2] -= left as i64;
                self.down[2] -= top as i64;
                (self.width, self.height) = (right - left + 1, bottom - top + 1);
            }
            _ => {}
        }
        Ok(())
    }

    /// All that is said of an item, in its order.
    pub fn apply_all(&mut self, meta: &Meta, id: u32, shifts: (u32, u32)) -> Result<()> {
        meta.properties(id).try_for_each(|associated| self.apply(&associated?.property, shifts))
    }

    /// From here on, if not before.
    fn upsample(&mut self, needed: bool) {
        if !needed || self.upsampled.is_some() {
            return;
        }
        // The way back is the same turn with columns for rows.
        let back = |x: i64, y: i64| {
            let (x, y) = (x - self.across[2], y - self.down[2]);
            (self.across[0] * x + self.down[0] * y, self.across[1] * x + self.down[1] * y)
        };
        let (a, b) = (back(0, 0), back(self.width as i64 - 1, self.height as i64 - 1));
        let side = |a: i64, b: i64| (a.min(b) as usize, a.abs_diff(b) as usize + 1);
        let ((left, width), (top, height)) = (side(a.0, b.0), side(a.1, b.1));
        self.upsampled = Some(Part { left, top, width, height });
    }

    /// To the left.
    fn quarter(&mut self) {
        (self.across, self.down) = (self.down, flipped(self.across, self.width));
        (self.width, self.height) = (self.height, self.width);
    }

    /// Of a row's pixels from one on those that are shown: the first and the one behind the last, the place of the first, and the
    /// step from one to the next, in pixels.
    pub fn row(&self, x: usize, y: usize, count: usize) -> Option<(usize, usize, usize, isize)> {
        let (mut from, mut to) = (0i64, count as i64);
        for ([a, b, c], side) in [(self.across, self.width), (self.down, self.height)] {
            let first = a * x as i64 + b * y as i64 + c;
            // Steps are -1, 0 or 1.
            let (least, most) = match a {
                0 if first < 0 || first >= side as i64 => return None,
                0 => (from, to),
                1 => (-first, side as i64 - first),
                _ => (first - side as i64 + 1, first + 1),
            };
            (from, to) = (from.max(least), to.min(most));
        }
        if from >= to {
            return None;
        }
        let at = |[a, b, c]: [i64; 3]| a * (x as i64 + from) + b * y as i64 + c;
        let width = self.width as i64;
        let place = at(self.down) * width + at(self.across);
        let step = self.down[0] * width + self.across[0];
        Some((from as usize, to as usize, place as usize, step as isize))
    }
}

fn flipped([a, b, c]: [i64; 3], side: usize) -> [i64; 3] {
    [-a, -b, side as i64 - 1 - c]
}

/// The first and the last place of a clean aperture, as libheif rounds them.
fn span(size: (u32, u32), offset: (i32, u32), side: usize, down: bool) -> Result<(usize, usize)> {
    const BAD: Error = Error::Damaged("a clean aperture has no pixels");
    let (n, d, p, q) = (i128::from(size.0), i128::from(size.1), i128::from(offset.0), i128::from(offset.1));
    if d == 0 || q == 0 {
        return Err(BAD);
    }
    // p/q + (side - 1)/2 - (n/d - 1)/2
    let (numerator, denominator) = (2 * p * d + (side as i128 - 1) * q * d - (n - d) * q, 2 * q * d);
    // Both round towards 0.
    let rounded = |n: i128, d: i128| (2 * n + d) / (2 * d);
    let first = if down { numerator / denominator } else { rounded(numerator, denominator) };
    let last = rounded(n - d + first * d, d);
    let (first, last) = (first.max(0), last.min(side as i128 - 1));
    if first > last { Err(BAD) } else { Ok((first as usize, last as usize)) }
}

/// A picture's turns that are one property each.
pub fn is_turn(property: &Property) -> bool {
    matches!(property, Property::Rotation(1..) | Property::Mirror(_) | Property::Crop(_))
}

#[cfg(test)]
mod tests {
    use isobmff::CleanAperture;

    use super::*;

    fn crop(width: u32, height: u32, left: i32, top: i32) -> CleanAperture {
        CleanAperture { width: (width, 1), height: (height, 1), horizontal: (left, 2), vertical: (top, 2) }
    }

    /// The pixels of a picture of 4 x 3, numbered by rows, as shown.
    fn shown(properties: &[Property]) -> (usize, Vec<u8>) {
        let mut turn = Turn::new(4, 3);
        for property in properties {
            turn.apply(property, (0, 0)).unwrap();
        }
        let mut out = vec![99; turn.width * turn.height];
        for y in 0..3 {
            if let Some((from, to, place, step)) = turn.row(0, y, 4) {
                for (i, x) in (from..to).enumerate() {
                    out[place.wrapping_add_signed(step * i as isize)] = (4 * y + x) as u8;
                }
            }
        }
        (turn.width, out)
    }

    #[test]
    fn quarters_and_mirrors() {
        use Property::{Mirror, Rotation};
        assert_eq!(shown(&[Rotation(1)]), (3, vec![3, 7, 11, 2, 6, 10, 1, 5, 9, 0, 4, 8]));
        assert_eq!(shown(&[Rotation(2)]), (4, (0..12).rev().collect()));
        assert_eq!(shown(&[Rotation(3)]), (3, vec![8, 4, 0, 9, 5, 1, 10, 6, 2, 11, 7, 3]));
        assert_eq!(shown(&[Mirror(1)]), (4, vec![3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8]));
        assert_eq!(shown(&[Mirror(0)]), (4, vec![8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3]));
        assert_eq!(shown(&[Rotation(1), Mirror(1), Rotation(1)]), shown(&[Mirror(1)]));
    }

    #[test]
    fn the_part_that_is_upsampled() {
        let part = |properties: &[Property]| {
            let mut turn = Turn::new(8, 6);
            properties.iter().for_each(|property| turn.apply(property, (1, 1)).unwrap());
            turn.upsampled
        };
        // From an odd column on.
        let odd = Property::Crop(crop(6, 4, 0, 0));
        assert_eq!(part(&[odd, Property::Rotation(1)]), Some(Part { left: 0, top: 0, width: 8, height: 6 }));
        // From column 2 and row 2 on, of odd width.
        let even = Property::Crop(crop(5, 4, 1, 2));
        assert_eq!(part(&[even]), None);
        assert_eq!(
            part(&[even, Property::Rotation(3), Property::Mirror(1)]),
            Some(Part { left: 2, top: 2, width: 5, height: 4 })
        );
    }

    #[test]
    fn crops_after_turns() {
        let inner = Property::Crop(crop(2, 1, 0, 0));
        assert_eq!(shown(&[inner]), (2, vec![5, 6]));
        assert_eq!(shown(&[Property::Rotation(1), Property::Crop(crop(1, 2, 0, 0))]), (1, vec![6, 5]));
        let mut turn = Turn::new(4, 3);
        assert!(turn.apply(&Property::Crop(crop(0, 1, 0, 0)), (0, 0)).is_err());
        assert!(turn.apply(&Property::Crop(crop(1, 1, 90, 0)), (0, 0)).is_err());
    }
}
