//! Samples of a frame, and what its blocks leave for the filters.

use crate::error::{Result, filled};
use crate::setup::Setup;
use crate::unit::Unit;

/// Blocks may end beyond the picture, but within a square of this side.
const SQUARE: usize = 64;

/// Where a block is copied from: rows and columns of luma samples from itself on.
pub type Vector = [i16; 2];
/// Of a block that is no copy.
pub const NONE: Vector = [i16::MIN; 2];

#[derive(Clone, Debug, Default)]
pub struct Plane {
    pub data: Vec<u16>,
    pub stride: usize,
    /// As shown.
    pub width: usize,
    pub height: usize,
}

impl Plane {
    /// Columns and rows that there is room for.
    fn sides(setup: &Setup<'_>, plane: usize) -> (usize, usize) {
        let (x, y) = setup.subsampling(plane);
        ((setup.cols * 4).next_multiple_of(SQUARE) >> x, (setup.rows * 4).next_multiple_of(SQUARE) >> y)
    }

    fn new(setup: &Setup<'_>, plane: usize) -> Result<Self> {
        let (width, height) = setup.shown(plane);
        let (stride, rows) = Self::sides(setup, plane);
        Ok(Self { data: filled(stride * rows, 0)?, stride, width, height })
    }

    /// From a column on.
    #[inline(always)]
    pub fn row(&self, y: usize, x: usize) -> &[u16] {
        let start = y * self.stride;
        self.data.get(start + x..start + self.stride).unwrap_or_default()
    }

    #[inline(always)]
    pub fn row_mut(&mut self, y: usize, x: usize) -> &mut [u16] {
        let start = y * self.stride;
        self.data.get_mut(start + x..start + self.stride).unwrap_or_default()
    }

    #[inline(always)]
    pub fn at(&self, y: usize, x: usize) -> u16 {
        self.data.get(y * self.stride + x).copied().unwrap_or_default()
    }
}

/// Bytes of the samples.
pub fn kept(setup: &Setup<'_>) -> usize {
    let of = |plane| Plane::sides(setup, plane);
    (0..setup.planes).map(of).map(|(stride, rows)| 2 * stride * rows).sum()
}

/// Bytes that decoding takes at most: samples and what is kept of blocks, the bands of filters, and what has one size.
pub fn needs(setup: &Setup<'_>) -> usize {
    const TABLES: usize = 1 << 20;
    let blocks = setup.cols * setup.rows;
    // A transform's size in luma and in chroma, four levels, a flag and a segment, a vector and a size; edges along a row.
    let mut bytes = kept(setup) + TABLES + blocks * 13 + setup.cols * 128;
    for plane in 0..setup.planes {
        let (stride, rows) = Plane::sides(setup, plane);
        // Bands and stripes of at most 70 rows, and four rows at each of the stripes' borders.
        bytes += 2 * (stride * (2 * 72 + 4 + rows / 16) + (1 << 19));
    }
    bytes
}

pub struct Frame {
    pub planes: Vec<Plane>,
    /// Of luma and of chroma, a transform's size for each block of 4 x 4 samples.
    pub tx: [Vec<u8>; 2],
    /// Columns of these.
    pub tx_cols: [usize; 2],
    /// Of blocks of 4 x 4 luma samples: the levels of the edges' filter.
    pub levels: Vec<[u8; 4]>,
    /// Of the same: no coefficients.
    pub skips: Vec<bool>,
    /// Of the same; empty without segments.
    pub segments: Vec<u8>,
    /// Of the same, where blocks may be copies: where from, and the block's size.
    pub vectors: Vec<Vector>,
    pub sizes: Vec<u8>,
    /// Which strengths a block of 64 x 64 luma samples has; -1 for none.
    pub cdef: Vec<i8>,
    pub cdef_cols: usize,
    /// Of each plane.
    pub units: [Vec<Unit>; 3],
}

impl Frame {
    pub fn new(setup: &Setup<'_>) -> Result<Self> {
        let planes = (0..setup.planes).map(|plane| Plane::new(setup, plane)).collect::<Result<_>>()?;
        let (x, y) = setup.subsampling(1);
        let blocks = setup.cols * setup.rows;
        let copies = if setup.frame.allow_intrabc { blocks } else { 0 };
        let chroma = (setup.cols >> x, setup.rows >> y);
        let cdef_cols = setup.cols.div_ceil(16);
        let mut units = [vec![], vec![], vec![]];
        for (plane, units) in units.iter_mut().enumerate().take(setup.planes) {
            if setup.restores(plane) {
                let (_, across, down) = setup.restoration_units(plane);
                *units = filled(across * down, Unit::None)?;
            }
        }
        Ok(Self {
            planes,
            tx: [filled(blocks, 0)?, if setup.planes > 1 { filled(chroma.0 * chroma.1, 0)? } else { vec![] }],
            tx_cols: [setup.cols, chroma.0],
            levels: filled(blocks, [0; 4])?,
            skips: filled(blocks, false)?,
            segments: if setup.segments.enabled { filled(blocks, 0)? } else { vec![] },
            vectors: filled(copies, NONE)?,
            sizes: filled(copies, 0)?,
            cdef: filled(cdef_cols * setup.rows.div_ceil(16), -1)?,
            cdef_cols,
            units,
        })
    }
}

/// Sets a rectangle of a grid, as far as it is within.
pub fn paint<T: Copy>(grid: &mut [T], cols: usize, (row, col): (usize, usize), (high, wide): (usize, usize), value: T) {
    let end = (col + wide).min(cols);
    for line in grid.chunks_exact_mut(cols.max(1)).skip(row).take(high) {
        if let Some(part) = line.get_mut(col..end) {
            part.fill(value);
        }
    }
}
