//! The filter along the direction of what a block shows (section 7.15).

mod direction;

use direction::Direction;
use lanes::{each, within};
use oxideav_av1::cdef::{CDEF_DIRECTIONS, CDEF_UV_DIR};
use pulp::{Simd, WithSimd};

use crate::error::{Result, filled};
use crate::frame::{Frame, Plane};
use crate::setup::Setup;

/// Rows and columns around a block that are looked at.
const AROUND: usize = 2;
/// Samples that are filtered at once, of two rows or of four.
const LINES: usize = 16;
/// Columns before the first one, for what is around.
const BEFORE: usize = 8;
/// A sample that is not there: so far from all others that it has no weight.
const NONE: u16 = 30000;

/// Rows of a plane as they were, from two above a row of superblocks to two below.
struct Band {
    data: Vec<u16>,
    stride: usize,
    rows: usize,
    /// The last two rows, for the band that follows.
    last: Vec<u16>,
}

impl Band {
    fn new(plane: &Plane, rows: usize) -> Result<Self> {
        let stride = BEFORE + plane.stride + BEFORE;
        let data = filled(stride * (rows + 2 * AROUND), NONE)?;
        Ok(Self { data, stride, rows, last: filled(stride * AROUND, NONE)? })
    }

    /// `end`: columns and rows of the plane's blocks.
    fn load(&mut self, plane: &Plane, top: usize, end: (usize, usize)) {
        let (above, below) = self.data.split_at_mut(self.stride * AROUND);
        above.copy_from_slice(&self.last);
        for (y, line) in below.chunks_exact_mut(self.stride).enumerate() {
            let to = &mut line[BEFORE..BEFORE + end.0];
            if top + y < end.1 {
                to.copy_from_slice(&plane.row(top + y, 0)[..end.0]);
            } else {
                to.fill(NONE);
            }
        }
        let start = self.rows * self.stride;
        self.last.copy_from_slice(&self.data[start..start + AROUND * self.stride]);
    }
}

pub fn filter(setup: &Setup<'_>, frame: &mut Frame, go_on: &dyn Fn() -> bool) -> Result<()> {
    if !setup.seq.enable_cdef || setup.coded_lossless || setup.frame.allow_intrabc {
        return Ok(());
    }
    let mut bands = Vec::new();
    for plane in 0..setup.planes {
        let (_, y) = setup.subsampling(plane);
        bands.push(Band::new(&frame.planes[plane], 64 >> y)?);
    }
    for row in (0..setup.rows).step_by(16) {
        if !go_on() {
            return Err(crate::Error::Stopped);
        }
        for (plane, band) in bands.iter_mut().enumerate() {
            let (x, y) = setup.subsampling(plane);
            band.load(&frame.planes[plane], (row * 4) >> y, ((setup.cols * 4) >> x, (setup.rows * 4) >> y));
        }
        filter_band(setup, frame, &bands, row);
    }
    Ok(())
}

#[pulp::with_simd(filter_band = pulp::Arch::new())]
#[inline(always)]
fn filter_band_with<S: Simd>(simd: S, setup: &Setup<'_>, frame: &mut Frame, bands: &[Band], top: usize) {
    let params = setup.cdef;
    let scale = setup.depth - 8;
    let (x, y) = setup.subsampling(1);
    for row in (top..(top + 16).min(setup.rows)).step_by(2) {
        for col in (0..setup.cols).step_by(2) {
            let index = frame.cdef[(row / 16) * frame.cdef_cols + col / 16];
            let at = row * setup.cols + col;
            let skips = [at, at + 1, at + setup.cols, at + setup.cols + 1];
            let Ok(index) = usize::try_from(index) else { continue };
            if skips.iter().all(|&at| frame.skips.get(at).is_some_and(|&skip| skip)) {
                continue;
            }
            let index = index & 7;
            let place = |x: usize, y: usize| (((row - top) * 4) >> y, (col * 4) >> x);
            let strengths = |first: u8, second: u8| (i32::from(first) << scale, i32::from(second) << scale);
            let luma = strengths(params.cdef_y_pri_strength[index], params.cdef_y_sec_strength[index]);
            let chroma = strengths(params.cdef_uv_pri_strength[index], params.cdef_uv_sec_strength[index]);
            if luma == (0, 0) && chroma == (0, 0) {
                continue;
            }
            let (direction, variance) = match (luma.0, chroma.0) {
                (0, 0) => (0, 0),
                _ => simd.vectorize(Direction { band: &bands[0], place: place(0, 0), scale }),
            };
            let damping = u32::from(params.cdef_damping) + scale;
            let first = match variance {
                0 => 0,
                _ => {
                    let log2 = if variance >> 6 > 0 { (variance >> 6).ilog2().min(12) as i32 } else { 0 };
                    (luma.0 * (4 + log2) + 8) >> 4
                }
            };
            let along = if luma.0 == 0 { 0 } else { direction };
            let filter = Filter { first, second: luma.1, damping, along, scale };
            filter.run(simd, &bands[0], &mut frame.planes[0], place(0, 0), row * 4, (8, 8));
            if setup.planes == 1 {
                continue;
            }
            let along = if chroma.0 == 0 { 0 } else { usize::from(CDEF_UV_DIR[x][y][direction]) };
            let filter = Filter { first: chroma.0, second: chroma.1, damping: damping - 1, along, scale };
            for (band, plane) in bands.iter().zip(&mut frame.planes).skip(1) {
                filter.run(simd, band, plane, place(x, y), (row * 4) >> y, (8 >> x, 8 >> y));
            }
        }
    }
}

struct Filter {
    first: i32,
    second: i32,
    damping: u32,
    along: usize,
    scale: u32,
}

impl Filter {
    /// From a place of the band to the same of the plane, whose first row is `top`.
    #[inline(always)]
    fn run<S: Simd>(
        &self,
        simd: S,
        band: &Band,
        plane: &mut Plane,
        place: (usize, usize),
        top: usize,
        (wide, high): (usize, usize),
    ) {
        if self.first == 0 && self.second == 0 {
            return;
        }
        if wide == 4 {
            simd.vectorize(Block::<4> { filter: self, band, plane, place, top, high });
        } else {
            simd.vectorize(Block::<8> { filter: self, band, plane, place, top, high });
        }
    }
}

struct Block<'a, const WIDE: usize> {
    filter: &'a Filter,
    band: &'a Band,
    plane: &'a mut Plane,
    place: (usize, usize),
    top: usize,
    high: usize,
}

impl<const WIDE: usize> Block<'_, WIDE> {
    /// As many rows as are filtered at once, from a place of the band on.
    #[inline(always)]
    fn read(&self, start: usize) -> [i16; LINES] {
        let mut lines = [0; LINES];
        for (i, lines) in lines.as_chunks_mut::<WIDE>().0.iter_mut().enumerate() {
            let from = self.band.data.get(start + i * self.band.stride..).and_then(|line| line.first_chunk::<WIDE>());
            *lines = from.map_or([0; WIDE], |from| each(|i| from[i] as i16));
        }
        lines
    }
}

/// What the samples around one have brought together.
struct Around {
    here: [i16; LINES],
    sum: [i16; LINES],
    most: [i16; LINES],
    least: [i16; LINES],
}

impl Around {
    #[inline(always)]
    fn add(&mut self, there: &[i16; LINES], weight: i16, strength: i16, shift: u32) {
        for (i, &there) in there.iter().enumerate() {
            let far = there - self.here[i];
            let size = far.abs();
            let part = (strength - (size >> shift)).max(0).min(size);
            self.sum[i] += weight * if far < 0 { -part } else { part };
            self.least[i] = self.least[i].min(there);
            self.most[i] = self.most[i].max(if there == NONE as i16 { self.here[i] } else { there });
        }
    }
}

impl<const WIDE: usize> WithSimd for Block<'_, WIDE> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Filter { first, second, damping, along, scale } = *self.filter;
        let stride = self.band.stride as isize;
        let offsets = |direction: usize| {
            each(|k| {
                let [down, right] = CDEF_DIRECTIONS[direction & 7][k];
                down as isize * stride + right as isize
            })
        };
        let (along, beside): ([isize; 2], [[isize; 2]; 2]) = (offsets(along), [offsets(along + 2), offsets(along + 6)]);
        let taps = if (first >> scale) & 1 == 1 { [3, 3] } else { [4, 2] };
        let shift = |strength: i32| damping.saturating_sub(strength.max(1).ilog2()).min(15);
        for y in (0..self.high).step_by(LINES / WIDE) {
            let start = (self.place.0 + AROUND + y) * self.band.stride + BEFORE + self.place.1;
            let here = self.read(start);
            let mut around = Around { here, sum: [0; LINES], most: here, least: here };
            if first > 0 {
                for (along, weight) in along.into_iter().zip(taps) {
                    for offset in [along, -along] {
                        around.add(&self.read(start.wrapping_add_signed(offset)), weight, first as i16, shift(first));
                    }
                }
            }
            if second > 0 {
                for (k, weight) in [2, 1].into_iter().enumerate() {
                    for offset in [beside[0][k], -beside[0][k], beside[1][k], -beside[1][k]] {
                        let there = self.read(start.wrapping_add_signed(offset));
                        around.add(&there, weight, second as i16, shift(second));
                    }
                }
            }
            let Around { sum, most, least, .. } = around;
            let filtered: [u16; LINES] = each(|i| {
                let change = (8 + sum[i] - i16::from(sum[i] < 0)) >> 4;
                within(here[i] + change, least[i], most[i]) as u16
            });
            for (i, line) in filtered.as_chunks::<WIDE>().0.iter().enumerate().take(self.high - y) {
                if let Some(to) = self.plane.row_mut(self.top + y + i, self.place.1).first_chunk_mut() {
                    *to = *line;
                }
            }
        }
    }
}
