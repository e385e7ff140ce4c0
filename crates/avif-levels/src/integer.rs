//! libyuv's conversion: chroma filtered to whole size with one rounding, then a matrix of integers.

use lanes::pixels::{self, BLOCK, Block, Blocks, samples};
use lanes::{NullaryFnOnce, run, within};

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
pub struct Rows {
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

impl Rows {
    pub fn new(planes: &Planes, integers: Integers, way: Way) -> Result<Self> {
        let chroma = planes.kind.chroma.unwrap_or(Subsampling { across: false, down: false });
        let (width, half) = (planes.width, planes.kind.size(1, planes.width, 1).0);
        let (luma, u, v) = (row(width)?, row(width)?, row(width)?);
        Ok(Self { integers, way, chroma, luma, near: row(half)?, far: row(half)?, u, v })
    }

    pub fn row(&mut self, planes: &Planes, y: usize, out: &mut [[u8; 3]]) {
        run(Chroma { rows: self, planes, y });
        pixels::convert(self, out);
    }
}

/// Fills the rows of all three planes.
struct Chroma<'r> {
    rows: &'r mut Rows,
    planes: &'r Planes,
    y: usize,
}

impl NullaryFnOnce for Chroma<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { rows, planes, y } = self;
        let Rows { way, chroma, .. } = *rows;
        let shift = planes.kind.depth - way.depth;
        planes.row(0, y).with(&mut rows.luma, |to, level| *to = level >> shift);
        let (low, high) = (16 - way.depth, 2 * way.depth - 16);
        for level in &mut rows.luma {
            *level = (*level << low) | (*level >> high);
        }
        for plane in [1, 2] {
            let whole = if plane == 1 { &mut rows.u } else { &mut rows.v };
            let near = if chroma.down { y / 2 } else { y };
            planes.row(plane, near).with(&mut rows.near, |to, level| *to = level >> shift);
            if way.nearest {
                spread(&rows.near, whole, chroma.across);
            } else if chroma.down {
                let last = planes.height.div_ceil(2) - 1;
                let far = if y % 2 == 1 { (near + 1).min(last) } else { near.saturating_sub(1) };
                planes.row(plane, far).with(&mut rows.far, |to, level| *to = level >> shift);
                for (near, far) in rows.near.iter_mut().zip(&rows.far) {
                    *near = 3 * *near + *far;
                }
                widen::<4>(&rows.near, whole);
            } else if chroma.across {
                widen::<2>(&rows.near, whole);
            } else {
                whole.copy_from_slice(&rows.near);
            }
            for level in whole {
                *level >>= way.depth - 8;
            }
        }
    }
}

impl Blocks for Rows {
    #[inline(always)]
    fn block(&self, from: usize) -> [Block<u8>; 3] {
        let Integers { luma, offset, blue_by_u, green_by_u, green_by_v, red_by_v } = self.integers;
        let [ys, us, vs]: [Block<u16>; 3] = [samples(&self.luma, from), samples(&self.u, from), samples(&self.v, from)];
        let (mut red, mut green, mut blue) = ([0; BLOCK], [0; BLOCK], [0; BLOCK]);
        for i in 0..BLOCK {
            let (u, v) = (i32::from(us[i]) - 128, i32::from(vs[i]) - 128);
            let y = ((u32::from(ys[i]) * luma) >> 16) as i32 + offset;
            red[i] = level(y + red_by_v * v);
            green[i] = level(y - green_by_u * u - green_by_v * v);
            blue[i] = level(y + blue_by_u * u);
        }
        [red, green, blue]
    }
}

#[inline(always)]
fn level(sum: i32) -> u8 {
    within(sum >> 6, 0, 255) as u8
}

/// Grey by the part of the matrix that is luma's.
pub fn grey_row(planes: &Planes, integers: Integers, y: usize, out: &mut [[u8; 3]]) {
    let shift = planes.kind.depth - 8;
    planes.row(0, y).with(out, |out, sample| {
        let luma = ((u32::from(sample >> shift) * 0x101 * integers.luma) >> 16) as i32 + integers.offset;
        *out = [level(luma); 3];
    });
}

#[inline(always)]
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
#[inline(always)]
fn widen<const SHIFT: u32>(half: &[u16], whole: &mut [u16]) {
    let Some((&first, &last)) = half.first().zip(half.last()) else { return };
    if let Some(level) = whole.first_mut() {
        *level = blend::<SHIFT>(first, first);
    }
    let inner = whole.get_mut(1..).unwrap_or_default();
    let pairs = inner.as_chunks_mut::<2>().0;
    for ([left, right], pair) in pairs.iter_mut().zip(half.array_windows::<2>()) {
        let [a, b] = *pair;
        *left = blend::<SHIFT>(a, b);
        *right = blend::<SHIFT>(b, a);
    }
    // Of an even width the last level, of an odd one that of a pair has a far one in libyuv's loop, and then none.
    if let Some(level) = whole.last_mut() {
        *level = blend::<SHIFT>(last, last);
    }
}

/// Sums of 10 bits and their halves on both sides fit.
#[inline(always)]
fn blend<const SHIFT: u32>(near: u16, far: u16) -> u16 {
    (3 * near + far + (1 << (SHIFT - 1))) >> SHIFT
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
