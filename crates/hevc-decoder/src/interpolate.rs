//! Blocks of other pictures, between their samples too (clause 8.5.3.3.3).

use lanes::pixels::samples;
use lanes::{NullaryFnOnce, each, run};

use crate::frame::Samples;

/// Samples from row to row: the largest block, with those beside it, in whole lanes.
const STRIDE: usize = 80;
/// Rows of the largest block, with those above and below it.
const ROWS: usize = 64 + 7;
/// Rows of a block that is predicted.
pub const SIDE: usize = 64;

/// Of luma, by quarters of a sample (table 8-11).
const LUMA: [[i16; 8]; 4] = [
    [0, 0, 0, 64, 0, 0, 0, 0],
    [-1, 4, -10, 58, 17, -5, 1, 0],
    [-1, 4, -11, 40, 40, -11, 4, -1],
    [0, 1, -5, 17, 58, -10, 4, -1],
];
/// Of chroma, by eighths of a sample (table 8-12).
const CHROMA: [[i16; 4]; 8] = [
    [0, 64, 0, 0],
    [-2, 58, 10, -2],
    [-4, 54, 16, -2],
    [-6, 46, 28, -4],
    [-4, 36, 36, -4],
    [-4, 28, 46, -6],
    [-2, 16, 54, -4],
    [-2, 10, 58, -2],
];

type Buffer = [i16; STRIDE * ROWS];
/// Of 14 bits, row by row.
pub type Predicted = [i16; SIDE * SIDE];

/// Room for blocks at work.
pub struct Blocks {
    source: Buffer,
    between: Buffer,
    /// By list.
    pub predicted: [Predicted; 2],
}

impl Default for Blocks {
    fn default() -> Self {
        let predicted = [[0; SIDE * SIDE]; 2];
        Self { source: [0; STRIDE * ROWS], between: [0; STRIDE * ROWS], predicted }
    }
}

/// A block of a plane, in samples of that plane.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Of its first sample, which may be outside of the plane.
    pub x: isize,
    /// And its row.
    pub y: isize,
    /// Samples across, at most 64.
    pub width: usize,
    /// Samples down, at most 64.
    pub height: usize,
    /// How far between samples, in quarters of luma or eighths of chroma.
    pub part: (usize, usize),
    /// Bits of a sample, 8 to 12.
    pub depth: u32,
}

impl Blocks {
    /// Predicts a block of luma by a picture of that list.
    pub fn luma(&mut self, plane: &Samples, place: &Place, list: usize) {
        let (across, down) = place.part;
        self.block(plane, place, list, &LUMA[across & 3], &LUMA[down & 3]);
    }

    /// And one of chroma.
    pub fn chroma(&mut self, plane: &Samples, place: &Place, list: usize) {
        let (across, down) = place.part;
        self.block(plane, place, list, &CHROMA[across & 7], &CHROMA[down & 7]);
    }

    fn block<const TAPS: usize>(
        &mut self,
        plane: &Samples,
        place: &Place,
        list: usize,
        across: &[i16; TAPS],
        down: &[i16; TAPS],
    ) {
        let Self { source, between, predicted } = self;
        let is_across = place.part.0 > 0;
        let is_down = place.part.1 > 0;
        let before = |needed: bool| if needed { TAPS / 2 - 1 } else { 0 };
        let more = |needed: bool| if needed { TAPS - 1 } else { 0 };
        let (width, height) = (place.width.min(SIDE), place.height.min(SIDE));
        let (x, y) = (place.x - before(is_across) as isize, place.y - before(is_down) as isize);
        fetch(source, plane, x, y, width + more(is_across), height + more(is_down));
        let out = &mut predicted[list & 1];
        let exact = place.depth == 8;
        let shift = place.depth.clamp(8, 12) - 8;
        let rows = height + more(is_down);
        match (is_across, is_down) {
            (false, false) => {
                let shift = 6 - shift;
                for (out, source) in out.chunks_exact_mut(SIDE).zip(source.chunks_exact(STRIDE)).take(height) {
                    out.iter_mut().zip(source).take(width).for_each(|(out, &sample)| *out = sample << shift);
                }
            }
            (true, false) => {
                run(Filter { source, step: 1, taps: across, shift, exact, width, rows, out, stride: SIDE });
            }
            (false, true) => {
                run(Filter { source, step: STRIDE, taps: down, shift, exact, width, rows, out, stride: SIDE });
            }
            (true, true) => {
                run(Filter { source, step: 1, taps: across, shift, exact, width, rows, out: between, stride: STRIDE });
                let (source, rows) = (&*between, height);
                run(Filter {
                    source,
                    step: STRIDE,
                    taps: down,
                    shift: 6,
                    exact: false,
                    width,
                    rows,
                    out,
                    stride: SIDE,
                });
            }
        }
    }
}

/// Copies a block; behind the borders the last samples are repeated.
fn fetch(out: &mut Buffer, plane: &Samples, x: isize, y: isize, width: usize, height: usize) {
    for (down, out) in out.chunks_exact_mut(STRIDE).take(height).enumerate() {
        let row = plane.row(y + down as isize);
        let inside = usize::try_from(x).ok().and_then(|x| row.get(x..x + width));
        if let Some(inside) = inside {
            // Samples of at most 12 bits.
            out.iter_mut().zip(inside).for_each(|(out, &sample)| *out = sample as i16);
            continue;
        }
        let last = row.len() as isize - 1;
        for (across, out) in out.iter_mut().enumerate().take(width) {
            let place = (x + across as isize).clamp(0, last.max(0)) as usize;
            *out = row.get(place).map_or(0, |&sample| sample as i16);
        }
    }
}

/// Sums over some samples in a row or column.
struct Filter<'a, const TAPS: usize> {
    source: &'a Buffer,
    /// From one of the samples to the next.
    step: usize,
    taps: &'a [i16; TAPS],
    shift: u32,
    /// Sums fit into 16 bits, and need no shift.
    exact: bool,
    width: usize,
    rows: usize,
    out: &'a mut [i16],
    stride: usize,
}

impl<const TAPS: usize> NullaryFnOnce for Filter<'_, TAPS> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        if self.width > 8 { self.lanes::<16>() } else { self.lanes::<8>() }
    }
}

impl<const TAPS: usize> Filter<'_, TAPS> {
    #[inline(always)]
    fn lanes<const LANES: usize>(self) {
        let Self { source, step, taps, shift, exact, width, rows, out, stride } = self;
        for (y, out) in out.chunks_exact_mut(stride).take(rows).enumerate() {
            for x in (0..width).step_by(LANES) {
                let Some(out) = out.get_mut(x..).and_then(|out| out.first_chunk_mut::<LANES>()) else { continue };
                let from = y * STRIDE + x;
                *out = if exact { narrow(source, from, step, taps) } else { wide(source, from, step, taps, shift) };
            }
        }
    }
}

#[inline(always)]
fn narrow<const LANES: usize, const TAPS: usize>(
    source: &Buffer,
    from: usize,
    step: usize,
    taps: &[i16; TAPS],
) -> [i16; LANES] {
    let mut sums = [0i16; LANES];
    for (k, &tap) in taps.iter().enumerate() {
        let samples: [i16; LANES] = samples(source, from + k * step);
        sums = each(|i| sums[i].wrapping_add(samples[i].wrapping_mul(tap)));
    }
    sums
}

#[inline(always)]
fn wide<const LANES: usize, const TAPS: usize>(
    source: &Buffer,
    from: usize,
    step: usize,
    taps: &[i16; TAPS],
    shift: u32,
) -> [i16; LANES] {
    let mut sums = [0i32; LANES];
    for (k, &tap) in taps.iter().enumerate() {
        let samples: [i16; LANES] = samples(source, from + k * step);
        sums = each(|i| sums[i] + i32::from(samples[i]) * i32::from(tap));
    }
    each(|i| (sums[i] >> shift) as i16)
}
