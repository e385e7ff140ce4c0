//! From coefficients to samples (sections 7.12.3 and 7.13.3).

use lanes::{each, transposed, within};
use oxideav_av1::cdf::{TX_HEIGHT, TX_WIDTH};
use oxideav_av1::transform::TRANSFORM_ROW_SHIFT;
use pulp::{Arch, Simd, WithSimd};

use crate::coefficients::{DCT_DCT, Place, Read};
use crate::frame::Plane;
use crate::scratch::Scratch;
use crate::waves::{LANES, Lane, PLACES, adst, dct, identity, walsh};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wave {
    Cosine,
    Sine,
    Identity,
    /// Of samples that are so many bits too large.
    Walsh(u32),
}

/// A pass over all rows, or all columns.
#[derive(Clone, Copy)]
struct Pass {
    wave: Wave,
    /// Of the transform's length.
    log2: usize,
    /// Bits that sums are kept within.
    bits: u32,
    shift: u32,
}

impl Pass {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S, lanes: &mut [Lane; 64]) {
        let bits = self.bits;
        match (self.wave, self.log2) {
            (Wave::Cosine, 2) => simd.vectorize(Trigonometric::<false, 2> { lanes, bits }),
            (Wave::Cosine, 3) => simd.vectorize(Trigonometric::<false, 3> { lanes, bits }),
            (Wave::Cosine, 4) => simd.vectorize(Trigonometric::<false, 4> { lanes, bits }),
            (Wave::Cosine, 5) => simd.vectorize(Trigonometric::<false, 5> { lanes, bits }),
            (Wave::Cosine, _) => simd.vectorize(Trigonometric::<false, 6> { lanes, bits }),
            (Wave::Sine, 2) => simd.vectorize(Trigonometric::<true, 2> { lanes, bits }),
            (Wave::Sine, 3) => simd.vectorize(Trigonometric::<true, 3> { lanes, bits }),
            (Wave::Sine, _) => simd.vectorize(Trigonometric::<true, 4> { lanes, bits }),
            (Wave::Identity, log2) => identity(lanes, log2),
            (Wave::Walsh(shift), _) => walsh(lanes, shift),
        }
    }

    /// Where the sample of a number is before the transform.
    #[inline(always)]
    fn place(self, i: usize) -> usize {
        if self.wave == Wave::Cosine { usize::from(PLACES[self.log2][i & 63]) } else { i }
    }
}

/// Each length is a function of its own: as parts of one, the addresses of all are computed before any of it.
struct Trigonometric<'a, const SINE: bool, const LOG2: usize> {
    lanes: &'a mut [Lane; 64],
    bits: u32,
}

impl<const SINE: bool, const LOG2: usize> WithSimd for Trigonometric<'_, SINE, LOG2> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        if SINE { adst(self.lanes, LOG2, self.bits) } else { dct(self.lanes, LOG2, self.bits) }
    }
}

/// Between the passes: as many bits as columns may have, and rows become columns.
struct Turn<'a> {
    square: &'a [Lane; LANES],
    shift: u32,
    bits: u32,
    /// The last of the lanes, where they are put the other way round.
    mirror: Option<usize>,
    to: &'a mut [Lane; LANES],
}

impl WithSimd for Turn<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let square: [Lane; LANES] = each(|i| {
            let lane = self.square[self.mirror.map_or(i, |last| last.wrapping_sub(i)) % LANES];
            each(|c| clamp(round(lane[c], self.shift), self.bits))
        });
        *self.to = transposed(square);
    }
}

#[pulp::with_simd(transform = Arch::new())]
#[inline(always)]
fn transform_with<S: Simd>(simd: S, work: &Work<'_>, scratch: &mut Scratch, plane: &mut Plane) {
    work.transform_rows(simd, scratch);
    work.transform_columns(simd, scratch, plane);
}

#[pulp::with_simd(add_constant = Arch::new())]
#[inline(always)]
fn add_constant_with<S: Simd>(_: S, work: &Work<'_>, constant: i32, plane: &mut Plane) {
    work.add_constant(constant, plane);
}

/// Adds what the coefficients stand for to the samples at a place, and clears the coefficients.
pub fn add(scratch: &mut Scratch, read: &Read, lossless: bool, depth: u32, place: Place, plane: &mut Plane) {
    let (wide, high) = (TX_WIDTH[place.tx], TX_HEIGHT[place.tx]);
    let (log2_wide, log2_high) = (wide.ilog2() as usize, high.ilog2() as usize);
    let row_shift = if lossless { 0 } else { TRANSFORM_ROW_SHIFT[place.tx] };
    let wave = |sine: &[usize], identity: &[usize], too_large: u32| match read.kind {
        _ if lossless => Wave::Walsh(too_large),
        kind if sine.contains(&kind) => Wave::Sine,
        kind if identity.contains(&kind) => Wave::Identity,
        _ => Wave::Cosine,
    };
    let rows = Pass {
        wave: wave(&[2, 3, 5, 6, 7, 8, 13, 15], &[9, 10, 12, 14], 2),
        log2: log2_wide,
        bits: depth + 8,
        shift: row_shift,
    };
    let column_bits = (depth + 6).max(16);
    let columns = Pass {
        wave: wave(&[1, 3, 4, 6, 7, 8, 12, 14], &[9, 11, 13, 15], 0),
        log2: log2_high,
        bits: column_bits,
        shift: if lossless { 0 } else { 4 },
    };
    let scaled = log2_wide.abs_diff(log2_high) == 1;
    let work = Work { depth, wide, high, scaled, rows, columns, read, place };
    if read.end == 1 && read.kind == DCT_DCT && !lossless {
        let mean = work.constant(std::mem::take(&mut scratch.coefficients[0]));
        add_constant(&work, mean, plane);
    } else {
        transform(&work, scratch, plane);
        let stride = high.min(32);
        scratch.coefficients[..stride * read.columns].fill(0);
    }
}

struct Work<'w> {
    depth: u32,
    wide: usize,
    high: usize,
    /// One side is twice the other.
    scaled: bool,
    rows: Pass,
    columns: Pass,
    read: &'w Read,
    place: Place,
}

#[inline(always)]
fn round(value: i32, bits: u32) -> i32 {
    value.wrapping_add((1 << bits) >> 1) >> bits
}

#[inline(always)]
fn clamp(value: i32, bits: u32) -> i32 {
    within(value, -(1 << (bits - 1)), (1 << (bits - 1)) - 1)
}

impl Work<'_> {
    /// What the first coefficient alone gives everywhere.
    fn constant(&self, first: i32) -> i32 {
        let half = |value: i32| round(value.wrapping_mul(2896), 12);
        let first = if self.scaled { half(first) } else { first };
        let row = clamp(round(half(first), self.rows.shift), self.columns.bits);
        round(half(row), 4)
    }

    #[inline(always)]
    fn add_constant(&self, mean: i32, plane: &mut Plane) {
        let most = (1 << self.depth) - 1;
        for y in 0..self.high {
            let to = plane.row_mut(self.place.row * 4 + y, self.place.col * 4);
            for to in to.iter_mut().take(self.wide) {
                *to = within(i32::from(*to) + mean, 0, most) as u16;
            }
        }
    }

    #[inline(always)]
    fn transform_rows<S: Simd>(&self, simd: S, scratch: &mut Scratch) {
        let stride = self.high.min(32);
        let lanes = &mut scratch.lanes;
        let mirrored = matches!(self.read.kind, 5 | 6 | 7 | 15);
        for first in (0..self.read.rows).step_by(LANES) {
            lanes[..self.wide].fill([0; LANES]);
            let columns = scratch.coefficients.chunks_exact(stride).take(self.read.columns);
            for (i, column) in columns.enumerate() {
                let lane = &mut lanes[self.rows.place(i)];
                match column.get(first..).and_then(|column| column.first_chunk()) {
                    Some(column) => *lane = *column,
                    None => lane[..4].copy_from_slice(&column[..4]),
                }
                if self.scaled {
                    lane.iter_mut().for_each(|value| *value = round(value.wrapping_mul(2896), 12));
                }
            }
            self.rows.run(simd, lanes);
            for (i, square) in lanes[..self.wide.max(LANES)].as_chunks::<LANES>().0.iter().enumerate() {
                let mut turned = [[0; LANES]; LANES];
                simd.vectorize(Turn {
                    square,
                    shift: self.rows.shift,
                    bits: self.columns.bits,
                    mirror: mirrored.then_some(self.wide.min(LANES) - 1),
                    to: &mut turned,
                });
                // Of four columns, those that follow hold anything.
                let from = if mirrored { self.wide.max(LANES) - LANES * (i + 1) } else { LANES * i };
                for (row, lane) in scratch.rows.chunks_exact_mut(64).skip(first).zip(&turned) {
                    row[from..from + LANES].copy_from_slice(lane);
                }
            }
        }
    }

    #[inline(always)]
    fn transform_columns<S: Simd>(&self, simd: S, scratch: &mut Scratch, plane: &mut Plane) {
        let most = (1 << self.depth) - 1;
        let lanes = &mut scratch.lanes;
        let shift = self.columns.shift;
        let upside_down = matches!(self.read.kind, 4 | 6 | 8 | 14);
        for first in (0..self.wide).step_by(LANES) {
            lanes[..self.high].fill([0; LANES]);
            for (i, row) in scratch.rows.chunks_exact(64).take(self.read.rows).enumerate() {
                lanes[self.columns.place(i)].copy_from_slice(&row[first..first + LANES]);
            }
            self.columns.run(simd, lanes);
            for (i, lane) in lanes.iter().take(self.high).enumerate() {
                let i = if upside_down { self.high - 1 - i } else { i };
                let to = plane.row_mut(self.place.row * 4 + i, self.place.col * 4 + first);
                if self.wide >= LANES {
                    add_to::<LANES>(to, lane, shift, most);
                } else {
                    add_to::<4>(to, lane, shift, most);
                }
            }
        }
    }
}

#[inline(always)]
fn add_to<const N: usize>(to: &mut [u16], lane: &Lane, shift: u32, most: i32) {
    if let Some(to) = to.first_chunk_mut::<N>() {
        // All before any is put back, as the compiler makes vectors of that alone.
        *to = each(|i| within(i32::from(to[i]) + round(lane[i], shift), 0, most) as u16);
    }
}
