//! The filter along the direction of what a block shows (section 7.15).

use oxideav_av1::cdef::{CDEF_DIRECTIONS, CDEF_UV_DIR, DIV_TABLE};

use crate::error::{Result, filled};
use crate::frame::{Frame, Plane};
use crate::lanes::each;
use crate::setup::Setup;

/// Rows and columns around a block that are looked at.
const AROUND: usize = 2;
/// Samples that are filtered at once, eight of each row.
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
fn filter_band_with<S: pulp::Simd>(_: S, setup: &Setup<'_>, frame: &mut Frame, bands: &[Band], top: usize) {
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
                _ => direction(&bands[0], place(0, 0), scale),
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
            filter.block(&bands[0], &mut frame.planes[0], place(0, 0), row * 4, (8, 8));
            if setup.planes == 1 {
                continue;
            }
            let along = if chroma.0 == 0 { 0 } else { usize::from(CDEF_UV_DIR[x][y][direction]) };
            let filter = Filter { first: chroma.0, second: chroma.1, damping: damping - 1, along, scale };
            for (band, plane) in bands.iter().zip(&mut frame.planes).skip(1) {
                filter.block(band, plane, place(x, y), (row * 4) >> y, (8 >> x, 8 >> y));
            }
        }
    }
}

/// In which of eight directions a block of 8 x 8 luma samples varies least, and how much less than across it.
#[inline(always)]
fn direction(band: &Band, (row, col): (usize, usize), scale: u32) -> (usize, u32) {
    let mut sums = [[0i32; 16]; 8];
    for i in 0..8 {
        let start = (row + AROUND + i) * band.stride + BEFORE + col;
        let Some(line) = band.data.get(start..).and_then(|line| line.first_chunk::<8>()) else { return (0, 0) };
        let line: [i32; 8] = each(|k| i32::from(line[k] >> scale) - 128);
        let pairs: [i32; 4] = each(|k| line[2 * k] + line[2 * k + 1]);
        sums[2][i] = pairs.iter().sum();
        // Whole lines at once, each shifted as its direction is inclined.
        for k in 0..8 {
            sums[0][i + k] += line[k];
            sums[4][i + k] += line[7 - k];
            sums[5][3 - i / 2 + k] += line[k];
            sums[6][k] += line[k];
            sums[7][i / 2 + k] += line[k];
        }
        for k in 0..4 {
            sums[1][i + k] += pairs[k];
            sums[3][i + k] += pairs[3 - k];
        }
    }
    let mut costs = [0i32; 8];
    let square = |number: i32| number * number;
    for direction in [2, 6] {
        costs[direction] = sums[direction].iter().take(8).map(|&sum| square(sum) * DIV_TABLE[8]).sum();
    }
    for direction in [0, 4] {
        for i in 0..7 {
            costs[direction] += (square(sums[direction][i]) + square(sums[direction][14 - i])) * DIV_TABLE[i + 1];
        }
        costs[direction] += square(sums[direction][7]) * DIV_TABLE[8];
    }
    for direction in [1, 3, 5, 7] {
        for j in 0..5 {
            costs[direction] += square(sums[direction][3 + j]) * DIV_TABLE[8];
        }
        for j in 0..3 {
            costs[direction] += (square(sums[direction][j]) + square(sums[direction][10 - j])) * DIV_TABLE[2 * j + 2];
        }
    }
    let (mut best, mut most) = (0, 0);
    for (i, &cost) in costs.iter().enumerate() {
        if cost > most {
            (best, most) = (i, cost);
        }
    }
    (best, ((most - costs[(best + 4) & 7]) >> 10) as u32)
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
    fn block(
        &self,
        band: &Band,
        plane: &mut Plane,
        (row, col): (usize, usize),
        top: usize,
        (wide, high): (usize, usize),
    ) {
        if self.first == 0 && self.second == 0 {
            return;
        }
        let offsets = |direction: usize| {
            CDEF_DIRECTIONS[direction & 7].map(|[down, right]| down as isize * band.stride as isize + right as isize)
        };
        let taps = if (self.first >> self.scale) & 1 == 1 { [3, 3] } else { [4, 2] };
        let along = offsets(self.along);
        let beside = [offsets(self.along + 2), offsets(self.along + 6)];
        // Two rows at once.
        for y in (0..high).step_by(2) {
            let start = (row + AROUND + y) * band.stride + BEFORE + col;
            let read = |offset: isize| {
                let mut lines = [0i16; LINES];
                let start = start.wrapping_add_signed(offset);
                for (i, lines) in lines.as_chunks_mut::<8>().0.iter_mut().enumerate() {
                    let from = band.data.get(start + i * band.stride..).and_then(|line| line.first_chunk::<8>());
                    *lines = from.map_or([0; 8], |from| each(|i| from[i] as i16));
                }
                lines
            };
            let here = read(0);
            let (mut sum, mut most, mut least) = ([0i16; LINES], here, here);
            for k in 0..2 {
                let secondary = [beside[0][k], -beside[0][k], beside[1][k], -beside[1][k]];
                let primary = [along[k], -along[k]];
                let offsets = primary.into_iter().map(|offset| (offset, taps[k], self.first));
                let offsets = offsets.chain(secondary.into_iter().map(|offset| (offset, 2 - k as i16, self.second)));
                for (offset, weight, strength) in offsets {
                    if strength == 0 {
                        continue;
                    }
                    let there = read(offset);
                    let shift = self.damping.saturating_sub(strength.ilog2()).min(15);
                    let strength = strength as i16;
                    for i in 0..LINES {
                        let far = there[i] - here[i];
                        let size = far.abs();
                        let part = (strength - (size >> shift)).max(0).min(size);
                        sum[i] += weight * if far < 0 { -part } else { part };
                        least[i] = least[i].min(there[i]);
                        most[i] = most[i].max(if there[i] == NONE as i16 { here[i] } else { there[i] });
                    }
                }
            }
            let filtered: [u16; LINES] = each(|i| {
                let change = (8 + sum[i] - i16::from(sum[i] < 0)) >> 4;
                (here[i] + change).clamp(least[i], most[i]) as u16
            });
            for (i, line) in filtered.as_chunks::<8>().0.iter().enumerate().take(high - y) {
                for (to, &from) in plane.row_mut(top + y + i, col).iter_mut().zip(line.iter().take(wide)) {
                    *to = from;
                }
            }
        }
    }
}
