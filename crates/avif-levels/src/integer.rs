//! libyuv's conversion: chroma filtered to whole size with one rounding, then a matrix of integers.

use crate::colour::Integers;
use crate::error::{Result, row};
use crate::planes::{Planes, Subsampling};

/// Depth at which chroma is filtered, from which levels are cut to 8 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    pub depth: u8,
    /// No filter.
    pub nearest: bool,
}

/// Rows of RGB, and what they need in between.
pub struct Rows<'p> {
    planes: &'p Planes,
    integers: Integers,
    way: Way,
    chroma: Subsampling,
    luma: Vec<u16>,
    /// A row of the plane, the one nearest to it, and both as one.
    near: Vec<u16>,
    far: Vec<u16>,
    /// Of whole width, in 8 bits.
    u: Vec<u16>,
    v: Vec<u16>,
}

impl<'p> Rows<'p> {
    pub fn new(planes: &'p Planes, integers: Integers, way: Way) -> Result<Self> {
        let chroma = planes.kind.chroma.unwrap_or(Subsampling { across: false, down: false });
        let (width, half) = (planes.width, planes.kind.size(1, planes.width, 1).0);
        let (luma, u, v) = (row(width)?, row(width)?, row(width)?);
        Ok(Self { planes, integers, way, chroma, luma, near: row(half)?, far: row(half)?, u, v })
    }

    pub fn row(&mut self, y: usize, out: &mut [[u8; 3]]) {
        let Self { planes, way, chroma, .. } = *self;
        let shift = planes.kind.depth - way.depth;
        load(planes, 0, y, shift, &mut self.luma);
        let (low, high) = (16 - way.depth, 2 * way.depth - 16);
        for level in &mut self.luma {
            *level = (*level << low) | (*level >> high);
        }
        for plane in [1, 2] {
            let whole = if plane == 1 { &mut self.u } else { &mut self.v };
            let near = if chroma.down { y / 2 } else { y };
            load(planes, plane, near, shift, &mut self.near);
            if way.nearest {
                spread(&self.near, whole, chroma.across);
            } else if chroma.down {
                let rows = planes.height.div_ceil(2);
                let far = if y % 2 == 1 { (near + 1).min(rows - 1) } else { near.saturating_sub(1) };
                load(planes, plane, far, shift, &mut self.far);
                for (near, far) in self.near.iter_mut().zip(&self.far) {
                    *near = 3 * *near + *far;
                }
                widen::<4>(&self.near, whole);
            } else if chroma.across {
                widen::<2>(&self.near, whole);
            } else {
                whole.copy_from_slice(&self.near);
            }
            for level in whole {
                *level >>= way.depth - 8;
            }
        }
        let Integers { luma, offset, blue_by_u, green_by_u, green_by_v, red_by_v } = self.integers;
        for (((out, &y), &u), &v) in out.iter_mut().zip(&self.luma).zip(&self.u).zip(&self.v) {
            let (u, v) = (i32::from(u) - 128, i32::from(v) - 128);
            let y = ((u32::from(y) * luma) >> 16) as i32 + offset;
            let level = |sum: i32| (sum >> 6).clamp(0, 255) as u8;
            *out = [level(y + red_by_v * v), level(y - green_by_u * u - green_by_v * v), level(y + blue_by_u * u)];
        }
    }
}

/// Grey by the part of the matrix that is luma's.
pub fn grey_row(planes: &Planes, integers: Integers, y: usize, out: &mut [[u8; 3]]) {
    let levels = planes.row(0, y);
    let shift = planes.kind.depth - 8;
    let grey = |level: u16| {
        let luma = ((u32::from(level >> shift) * 0x101 * integers.luma) >> 16) as i32 + integers.offset;
        [(luma >> 6).clamp(0, 255) as u8; 3]
    };
    if shift == 0 {
        out.iter_mut().zip(levels).for_each(|(out, &level)| *out = grey(level.into()));
    } else {
        let levels = levels.as_chunks().0;
        out.iter_mut().zip(levels).for_each(|(out, &level)| *out = grey(u16::from_le_bytes(level)));
    }
}

/// A row of a plane, cut by `shift` bits.
fn load(planes: &Planes, plane: usize, y: usize, shift: u8, to: &mut [u16]) {
    let bytes = planes.row(plane, y);
    if planes.kind.bytes() == 1 {
        to.iter_mut().zip(bytes).for_each(|(to, &level)| *to = level.into());
    } else {
        to.iter_mut().zip(bytes.as_chunks().0).for_each(|(to, &level)| *to = u16::from_le_bytes(level) >> shift);
    }
}

fn spread(half: &[u16], whole: &mut [u16], across: bool) {
    if across {
        for (pair, &level) in whole.chunks_mut(2).zip(half) {
            pair.fill(level);
        }
    } else {
        whole.copy_from_slice(half);
    }
}

/// To whole width: three parts of the near level, one of the far one, without the `SHIFT` bits behind the point. At both ends there
/// is no far one, at odd widths, too.
fn widen<const SHIFT: u32>(half: &[u16], whole: &mut [u16]) {
    let blend = |near: u16, far: u16| ((3 * u32::from(near) + u32::from(far) + (1 << (SHIFT - 1))) >> SHIFT) as u16;
    let Some((&first, &last)) = half.first().zip(half.last()) else { return };
    if let Some(level) = whole.first_mut() {
        *level = blend(first, first);
    }
    let inner = whole.get_mut(1..).unwrap_or_default();
    let pairs = inner.as_chunks_mut::<2>().0;
    for ([left, right], pair) in pairs.iter_mut().zip(half.array_windows::<2>()) {
        let [a, b] = *pair;
        *left = blend(a, b);
        *right = blend(b, a);
    }
    // Of an even width the last level, of an odd one that of a pair has a far one in libyuv's loop, and then none.
    if let Some(level) = whole.last_mut() {
        *level = blend(last, last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_without_neighbours() {
        let mut whole = [0; 6];
        widen::<2>(&[10, 20, 30], &mut whole);
        assert_eq!(whole, [10, 13, 18, 23, 28, 30]);
        let mut whole = [0; 5];
        widen::<2>(&[10, 20, 30], &mut whole);
        assert_eq!(whole, [10, 13, 18, 23, 30]);
        let mut whole = [0; 1];
        widen::<4>(&[40], &mut whole);
        assert_eq!(whole, [10]);
    }
}
