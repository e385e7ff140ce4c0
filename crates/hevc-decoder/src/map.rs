//! What is known of each 4 x 4 luma samples, and of each coding tree block.

use std::cmp::Ordering;

use crate::error::{Result, zeroed};
use crate::slice::Slice;

/// Of 4 x 4 luma samples.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cell {
    /// The slice and tile in which they were decoded; 0 as long as they are not.
    pub region: u16,
    /// The quantiser of luma.
    pub qp: i8,
    /// Of intra prediction.
    pub mode: u8,
    /// Of the coding tree.
    pub depth: u8,
    /// What the deblocking filter has to know.
    pub flags: u8,
}

/// The edge to the left of a cell is to be filtered.
pub const LEFT: u8 = 1;
/// And the one above.
pub const ABOVE: u8 = 2;
/// No filter may change it.
pub const EXACT: u8 = 4;
/// It is predicted from other pictures.
pub const INTER: u8 = 8;
/// Its coding unit is skipped: it has no residual.
pub const SKIPPED: u8 = 16;
/// Its transform block has luma coefficients.
pub const CODED: u8 = 32;
/// The edge to its left is one of transform blocks.
pub const LEFT_TRANSFORM: u8 = 64;
/// And the one above.
pub const ABOVE_TRANSFORM: u8 = 128;

/// Cells of the whole picture, row by row.
#[derive(Clone, Debug)]
pub struct Map {
    cells: Vec<Cell>,
    columns: usize,
}

impl Map {
    /// For a picture of so many luma samples across and down.
    pub fn new(width: usize, height: usize) -> Result<Self> {
        let columns = width.div_ceil(4);
        Ok(Self { cells: zeroed(columns * height.div_ceil(4))?, columns })
    }

    /// By luma places.
    #[inline]
    pub fn at(&self, x: usize, y: usize) -> Option<&Cell> {
        // Otherwise it were one of the next row.
        if x / 4 >= self.columns { None } else { self.cells.get(y / 4 * self.columns + x / 4) }
    }

    /// The cells of a square.
    #[inline]
    pub fn each(&mut self, x: usize, y: usize, size: usize, change: impl FnMut(&mut Cell)) {
        self.each_of(x, y, size, size, change);
    }

    /// The cells of a rectangle.
    #[inline]
    pub fn each_of(&mut self, x: usize, y: usize, width: usize, height: usize, mut change: impl FnMut(&mut Cell)) {
        for row in self.cells.chunks_exact_mut(self.columns).skip(y / 4).take(height / 4) {
            row.iter_mut().skip(x / 4).take(width / 4).for_each(&mut change);
        }
    }

    /// A row of cells.
    pub fn row(&self, y: usize) -> &[Cell] {
        let start = y / 4 * self.columns;
        self.cells.get(start..start + self.columns).unwrap_or_default()
    }

    /// Marks edges of transform blocks to be filtered.
    pub fn mark(&mut self, x: usize, y: usize, size: usize, left: bool, above: bool) {
        if left {
            self.mark_left(x, y, size, LEFT | LEFT_TRANSFORM);
        }
        if above {
            self.mark_above(x, y, size, ABOVE | ABOVE_TRANSFORM);
        }
    }

    /// Marks an edge down from this place.
    pub fn mark_left(&mut self, x: usize, y: usize, size: usize, flags: u8) {
        let start = y / 4 * self.columns + x / 4;
        self.cells.iter_mut().skip(start).step_by(self.columns).take(size / 4).for_each(|cell| cell.flags |= flags);
    }

    /// Marks an edge to the right from this place.
    pub fn mark_above(&mut self, x: usize, y: usize, size: usize, flags: u8) {
        let start = y / 4 * self.columns + x / 4;
        self.cells.iter_mut().skip(start).take(size / 4).for_each(|cell| cell.flags |= flags);
    }
}

/// Sample adaptive offset of one component in a coding tree block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Offset {
    #[default]
    None,
    /// For four bands of levels from one on.
    Band(u8, [i16; 4]),
    /// By neighbours in a direction: 0 beside, 1 above and below, 2 and 3 in the diagonals.
    Edge(u8, [i16; 4]),
}

/// Of a coding tree block.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ctb {
    /// Its slice's number.
    pub slice: u16,
    /// Its tile's number.
    pub tile: u16,
    /// Sample adaptive offsets of luma, blue and red chroma.
    pub offsets: [Offset; 3],
}

/// Coding tree blocks and the slices that they are in.
#[derive(Clone, Debug)]
pub struct Ctbs {
    /// Row by row.
    pub list: Vec<Ctb>,
    /// Blocks of a row.
    pub columns: usize,
    /// Rows of blocks.
    pub rows: usize,
    /// Of a block's side in luma samples, 4 to 6.
    pub log2: u32,
    /// By their numbers.
    pub slices: Vec<Slice>,
    /// Filters go over the borders of tiles.
    pub across_tiles: bool,
}

impl Ctbs {
    /// The block in that column and row. One that is not there has the defaults.
    pub fn at(&self, column: usize, row: usize) -> Ctb {
        self.list.get(row * self.columns + column).copied().unwrap_or_default()
    }

    /// The slice that a block is in.
    pub fn slice(&self, ctb: &Ctb) -> Slice {
        self.slices.get(usize::from(ctb.slice)).copied().unwrap_or_default()
    }

    /// Whether a filter at `here` may go over the border to another block.
    pub fn may_cross(&self, here: &Ctb, other: &Ctb) -> bool {
        self.may_use(here, other, here.slice)
    }

    /// Where `here` counts as of another slice than its own.
    pub fn may_use(&self, here: &Ctb, other: &Ctb, slice: u16) -> bool {
        if here.tile != other.tile && !self.across_tiles {
            return false;
        }
        // The later one of two slices decides.
        match other.slice.cmp(&slice) {
            Ordering::Equal => true,
            Ordering::Less => self.slice(here).filter_across,
            Ordering::Greater => self.slice(other).filter_across,
        }
    }
}
