//! Low coefficients of a progressive picture that no scan has brought, estimated from the means of blocks around. Follows
//! `smoothing_ok` and `decompress_smooth_data` of `jdcoefct.c`.

use crate::Env;
use crate::block::{BLOCK, rows};
use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::markers::Steps;
use crate::store::Store;

/// Of each coefficient of a component, how many of its low bits are unknown; -1 where no scan has brought it.
pub type Known = [i8; 64];

/// Known after a scan, and before it.
#[derive(Clone, Copy)]
pub struct Progress {
    /// After the scan.
    pub now: Known,
    /// Before it.
    pub before: Known,
}

impl Default for Progress {
    fn default() -> Self {
        Self { now: [-1; 64], before: [-1; 64] }
    }
}

impl Progress {
    /// A scan of this band begins, of a progressive picture.
    pub fn note(&mut self, (first, last): (u8, u8), low: u8, first_scan: bool) {
        let (first, last) = (usize::from(first.min(63)), usize::from(last.min(63)));
        for k in first.min(1)..=last.max(9) {
            self.before[k] = if first_scan { 0 } else { self.now[k] };
        }
        self.now[first..=last.max(first)].fill(low as i8);
    }
}

/// Places of the first nine coefficients of the zigzag order after the mean.
const PLACES: [usize; 9] = [1, 8, 16, 9, 2, 3, 10, 17, 24];

type Window = [i32; 25];

/// Weights of the means around, of a window of five times five, where no coefficient is known but the means.
#[rustfmt::skip]
const MEANS_ALONE: [(usize, Window); 9] = [
    (1, [
        -1, -1, 0, 1, 1,
        -3, 13, 0, -13, 3,
        -3, 38, 0, -38, 3,
        -3, 13, 0, -13, 3,
        -1, -1, 0, 1, 1,
    ]),
    (2, [
        -1, -3, -3, -3, -1,
        -1, 13, 38, 13, -1,
        0, 0, 0, 0, 0,
        1, -13, -38, -13, 1,
        1, 3, 3, 3, 1,
    ]),
    (3, [
        0, 0, 1, 0, 0,
        0, 2, 7, 2, 0,
        0, -5, -14, -5, 0,
        0, 2, 7, 2, 0,
        0, 0, 1, 0, 0,
    ]),
    (4, [
        -1, 0, 0, 0, 1,
        0, 9, 0, -9, 0,
        0, 0, 0, 0, 0,
        0, -9, 0, 9, 0,
        1, 0, 0, 0, -1,
    ]),
    (5, [
        0, 0, 0, 0, 0,
        0, 2, -5, 2, 0,
        1, 7, -14, 7, 1,
        0, 2, -5, 2, 0,
        0, 0, 0, 0, 0,
    ]),
    (6, [
        0, 0, 0, 0, 0,
        0, 1, 0, -1, 0,
        0, 2, 0, -2, 0,
        0, 1, 0, -1, 0,
        0, 0, 0, 0, 0,
    ]),
    (7, [
        0, 0, 0, 0, 0,
        0, 1, -3, 1, 0,
        0, 0, 0, 0, 0,
        0, -1, 3, -1, 0,
        0, 0, 0, 0, 0,
    ]),
    (8, [
        0, 0, 0, 0, 0,
        0, 1, 0, -1, 0,
        0, -3, 0, 3, 0,
        0, 1, 0, -1, 0,
        0, 0, 0, 0, 0,
    ]),
    (9, [
        0, 0, 0, 0, 0,
        0, 1, 2, 1, 0,
        0, 0, 0, 0, 0,
        0, -1, -2, -1, 0,
        0, 0, 0, 0, 0,
    ]),
];

/// Weights of the means around, where some coefficients are known beside them: the first five are estimated.
#[rustfmt::skip]
const MEANS_AND_MORE: [(usize, Window); 5] = [
    (1, [
        0, 0, 0, 0, 0,
        0, 0, 0, 0, 0,
        -7, 50, 0, -50, 7,
        0, 0, 0, 0, 0,
        0, 0, 0, 0, 0,
    ]),
    (2, [
        0, 0, -7, 0, 0,
        0, 0, 50, 0, 0,
        0, 0, 0, 0, 0,
        0, 0, -50, 0, 0,
        0, 0, 7, 0, 0,
    ]),
    (3, [
        0, 0, -1, 0, 0,
        0, 0, 13, 0, 0,
        0, 0, -24, 0, 0,
        0, 0, 13, 0, 0,
        0, 0, -1, 0, 0,
    ]),
    (4, [
        0, -1, 0, 1, 0,
        -1, 10, 0, -10, 1,
        0, 0, 0, 0, 0,
        1, -10, 0, 10, -1,
        0, 1, 0, -1, 0,
    ]),
    (5, [
        0, 0, 0, 0, 0,
        0, 0, 0, 0, 0,
        -1, 13, -24, 13, -1,
        0, 0, 0, 0, 0,
        0, 0, 0, 0, 0,
    ]),
];

/// Of the mean itself, where nothing else is known.
#[rustfmt::skip]
const MEAN: Window = [
    -2, -6, -8, -6, -2,
    -6, 6, 42, 6, -6,
    -8, 42, 152, 42, -8,
    -6, 6, 42, 6, -6,
    -2, -6, -8, -6, -2,
];

/// What the smoothing of one picture needs.
pub struct Smooth<'a> {
    frame: &'a Frame,
    steps: &'a [Option<Steps>],
    progress: Vec<Progress>,
    /// The last row of units that the last scan had data for.
    good: usize,
    /// Means of each component's blocks, those that fill up the last units among them.
    means: Vec<Vec<u8>>,
}

impl<'a> Smooth<'a> {
    /// `None` where nothing is to be smoothed: because all is known, or not enough.
    pub fn new(
        frame: &'a Frame,
        steps: &'a [Option<Steps>],
        progress: &[Progress],
        (good, only_scan): (usize, bool),
        store: &Store,
        env: &Env<'_>,
    ) -> Result<Option<Self>> {
        let usable = |(steps, progress): (&Option<Steps>, &Progress)| {
            let steps = steps.as_ref()?;
            let divides = steps[0] != 0 && PLACES.iter().all(|&place| steps[place] != 0);
            (divides && progress.now[0] >= 0).then(|| progress.now[1..=9].iter().any(|&k| k != 0))
        };
        let mut useful = false;
        for component in steps.iter().zip(progress) {
            let Some(more) = usable(component) else { return Ok(None) };
            useful |= more;
        }
        if !useful {
            return Ok(None);
        }
        let mut progress = progress.to_vec();
        if only_scan {
            progress.iter_mut().for_each(|p| p.before = [-1; 64]);
        }
        let mut means = Vec::with_capacity(4);
        for (index, c) in frame.components.iter().enumerate() {
            let across = c.h * frame.units_across;
            let mut plane = env.zeroed(2 * across * c.v * frame.units_down)?;
            for (y, row) in plane.chunks_exact_mut(2 * across).enumerate() {
                env.look()?;
                for (mean, block) in row.as_chunks_mut::<2>().0.iter_mut().zip(store.blocks(index, y)) {
                    *mean = [block[0], block[1]];
                }
            }
            means.push(plane);
        }
        Ok(Some(Self { frame, steps, progress, good, means }))
    }

    /// Bytes it takes.
    pub fn size(frame: &Frame) -> usize {
        let row = frame.components.iter().map(|c| c.blocks_across).max().unwrap_or(0);
        frame.coefficient_row() / 64 * frame.units_down + BLOCK * row
    }

    /// Room for a row of blocks.
    pub fn room(&self) -> Result<Vec<[i16; 64]>> {
        let (mut room, blocks) = (Vec::new(), self.frame.components.iter().map(|c| c.blocks_across).max().unwrap_or(0));
        room.try_reserve_exact(blocks).map_err(|_| Error::OutOfMemory(BLOCK * blocks))?;
        Ok(room)
    }

    /// A row of a component's blocks: row `y` of the row of units `unit`.
    pub fn row(&self, index: usize, unit: usize, y: usize, blocks: &[[u8; 128]], out: &mut Vec<[i16; 64]>) {
        let (c, progress) = (&self.frame.components[index], &self.progress[index]);
        let Some(steps) = &self.steps[index] else { return };
        let known = if unit > self.good { progress.before } else { progress.now };
        let alone = known[1..=9].iter().all(|&k| k == -1);
        let around = self.rows(index, unit, y);
        out.clear();
        for (x, block) in blocks.iter().take(c.blocks_across).enumerate() {
            let mut window = [0; 25];
            for (line, means) in window.as_chunks_mut::<5>().0.iter_mut().zip(around) {
                for (i, mean) in line.iter_mut().enumerate() {
                    let x = (x + i).saturating_sub(2).min(c.blocks_across - 1);
                    *mean = i16::from_ne_bytes(means[x]).into();
                }
            }
            let mut block = rows(block);
            let kernels: &[(usize, Window)] = if alone { &MEANS_ALONE } else { &MEANS_AND_MORE };
            for &(k, ref weights) in kernels {
                let place = PLACES[k - 1];
                if known[k] != 0 && block[place] == 0 {
                    let most = if known[k] > 0 { (1 << known[k]) - 1 } else { i64::MAX };
                    block[place] = estimate(&window, weights, steps[0], steps[place], most);
                }
            }
            if alone {
                block[0] = estimate(&window, &MEAN, steps[0], steps[0], i64::MAX);
            }
            out.push(block);
        }
    }

    /// The rows of means around one, two above and two below, as far as there are any.
    fn rows(&self, index: usize, unit: usize, y: usize) -> [&[[u8; 2]]; 5] {
        let c = &self.frame.components[index];
        let last_unit = unit + 1 == self.frame.units_down;
        let row = |y: usize| {
            let across = c.h * self.frame.units_across;
            self.means[index].get(2 * across * y..2 * across * (y + 1)).unwrap_or_default().as_chunks().0
        };
        // As libjpeg counts: in the last row of units only the blocks that there are, and so the rows above it, too.
        let rows = if last_unit { c.blocks_down - unit * c.v } else { c.v };
        let (at, here) = (unit * rows + y, unit * c.v + y);
        let last = rows * self.frame.units_down - 1;
        let above = if at > 0 { here - 1 } else { here };
        let below = if at < last { here + 1 } else { here };
        let far_above = if at > 1 { here - 2 } else { above };
        let far_below = if at + 1 < last { here + 2 } else { below };
        [far_above, above, here, below, far_below].map(row)
    }
}

/// The mean of the window by its weights, in steps of the coefficient.
fn estimate(window: &Window, weights: &Window, mean_step: u16, step: u16, most: i64) -> i16 {
    let sum: i64 = window.iter().zip(weights).map(|(&m, &w)| i64::from(m) * i64::from(w)).sum();
    let sum = i64::from(mean_step) * sum;
    let step = i64::from(step);
    let size = (((step << 7) + sum.abs()) / (step << 8)).min(most);
    (if sum < 0 { -size } else { size }) as i16
}
