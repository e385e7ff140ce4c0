//! Blocks that are copies of others of the same picture (sections 5.11.26, 5.11.31, 7.10.2 and 7.11.3).

use oxideav_av1::cdf::{NUM_4X4_BLOCKS_HIGH, NUM_4X4_BLOCKS_WIDE};

use crate::block::Block;
use crate::error::{Error, Result};
use crate::frame::{NONE, Vector, paint};
use crate::names::subsampled;
use crate::scratch::COPIED;
use crate::tile::Tile;

/// Vectors that are kept of the blocks around one.
const MOST: usize = 8;
/// Blocks that are copied are so many columns before, at least, where none is expected (`INTRABC_DELAY_PIXELS`).
const DELAY: i32 = 256;
/// The same in squares of 64 samples.
const DELAY_SQUARES: i32 = 4;
/// Samples beyond the picture that a vector may be expected to lead to (`MV_BORDER`).
const BORDER: i32 = 16;

/// Vectors of the blocks around one, and how much each weighs.
#[derive(Default)]
struct Known {
    found: [(Vector, u32); MOST],
    many: usize,
}

impl Known {
    fn add(&mut self, vector: Vector, weight: u32) {
        if let Some(known) = self.found.iter_mut().take(self.many).find(|(known, _)| *known == vector) {
            known.1 += weight;
        } else if let Some(free) = self.found.get_mut(self.many) {
            *free = (vector, weight);
            self.many += 1;
        }
    }

    /// Heavier ones first, of those from `from` on.
    fn sort(&mut self, from: usize, to: usize) {
        if let Some(part) = self.found.get_mut(from..to) {
            part.sort_by_key(|&(_, weight)| std::cmp::Reverse(weight));
        }
    }
}

impl Block {
    /// `find_mv_stack`, `assign_mv` and `read_mv`.
    pub fn read_vector(&self, tile: &mut Tile<'_, '_>) -> Result<Vector> {
        let [row, col] = self.expected(tile);
        let (symbols, cdfs) = (&mut tile.symbols, &mut *tile.cdfs);
        let joint = symbols.symbol(&mut cdfs.vector_joint);
        let mut delta = [0; 2];
        // The row's first; each differs where the joint says so.
        for (component, bit) in [(0, 2), (1, 1)] {
            if joint & bit == 0 {
                continue;
            }
            let odds = &mut cdfs.vectors[component];
            let negative = symbols.symbol(&mut odds.sign) == 1;
            let class = symbols.symbol(&mut odds.class);
            let size = if class == 0 {
                symbols.symbol(&mut odds.small) as i32 + 1
            } else {
                let bits = odds.bits.iter_mut().take(class).enumerate();
                let low = bits.fold(0, |low, (i, odds)| low | (symbols.symbol(odds) as i32) << i);
                (1 << class) + low + 1
            };
            delta[component] = if negative { -size } else { size };
        }
        let vector = [row + delta[0], col + delta[1]];
        if !self.may_copy(tile, vector) {
            return Err(Error::Damaged("a block is a copy of what is not there"));
        }
        Ok(vector.map(|part| part as i16))
    }

    /// The vector that is expected, by the blocks around.
    fn expected(&self, tile: &Tile<'_, '_>) -> [i32; 2] {
        let mut known = Known::default();
        self.look_above(tile, &mut known, -1);
        self.look_left(tile, &mut known, -1);
        let (wide, high) = (self.wide as isize, self.high as isize);
        let (row, col) = (self.row as isize, self.col as isize);
        let within = (self.row - tile.top, self.col & tile.column_mask());
        if self.wide.max(self.high) <= 16 && tile.decoded.above_right(0, within, self.wide) {
            self.look_at(tile, &mut known, (row - 1, col + wide), 4);
        }
        let nearest = known.many;
        self.look_at(tile, &mut known, (row - 1, col - 1), 4);
        self.look_above(tile, &mut known, -3);
        self.look_left(tile, &mut known, -3);
        if high > 1 {
            self.look_above(tile, &mut known, -5);
        }
        if wide > 1 {
            self.look_left(tile, &mut known, -5);
        }
        known.sort(0, nearest);
        known.sort(nearest, known.many);
        let end = |at: usize, side: usize, all: usize| {
            let (at, side) = (at as i32 * 4, side as i32 * 4);
            (-at - BORDER - side, all as i32 * 4 - at + BORDER)
        };
        let rows = end(self.row, self.high, tile.setup.rows);
        let cols = end(self.col, self.wide, tile.setup.cols);
        for (vector, _) in known.found.iter().take(known.many.min(2)) {
            let vector = [i32::from(vector[0]).clamp(rows.0, rows.1), i32::from(vector[1]).clamp(cols.0, cols.1)];
            if vector != [0; 2] {
                return vector;
            }
        }
        let side = if tile.setup.seq.use_128x128_superblock { 32 } else { 16 };
        if self.row < tile.rows.start + side { [0, -(side as i32 * 4 + DELAY)] } else { [-(side as i32) * 4, 0] }
    }

    /// `scan row`.
    fn look_above(&self, tile: &Tile<'_, '_>, known: &mut Known, down: isize) {
        let far = down < -1;
        let row = self.row as isize + down + if far { (self.row & 1) as isize } else { 0 };
        let right = if far { 1 - (self.col & 1) } else { 0 };
        let far = (row - self.row as isize) < -1;
        let end = self.wide.min(tile.setup.cols - self.col).min(16);
        let mut i = 0;
        while i < end {
            let at = (row, (self.col + right + i) as isize);
            let Some(size) = tile.size_at(at) else { break };
            let len = self.step(NUM_4X4_BLOCKS_WIDE[size], self.wide, far);
            self.look_at(tile, known, at, 2 * len as u32);
            i += len;
        }
    }

    /// `scan col`.
    fn look_left(&self, tile: &Tile<'_, '_>, known: &mut Known, right: isize) {
        let far = right < -1;
        let col = self.col as isize + right + if far { (self.col & 1) as isize } else { 0 };
        let down = if far { 1 - (self.row & 1) } else { 0 };
        let far = (col - self.col as isize) < -1;
        let end = self.high.min(tile.setup.rows - self.row).min(16);
        let mut i = 0;
        while i < end {
            let at = ((self.row + down + i) as isize, col);
            let Some(size) = tile.size_at(at) else { break };
            let len = self.step(NUM_4X4_BLOCKS_HIGH[size], self.high, far);
            self.look_at(tile, known, at, 2 * len as u32);
            i += len;
        }
    }

    fn step(&self, theirs: usize, ours: usize, far: bool) -> usize {
        let least = if ours >= 16 {
            4
        } else if far {
            2
        } else {
            1
        };
        theirs.min(ours).max(least)
    }

    fn look_at(&self, tile: &Tile<'_, '_>, known: &mut Known, at: (isize, isize), weight: u32) {
        if let Some(at) = tile.place_of(at)
            && let Some(&vector) = tile.frame.vectors.get(at)
            && vector != NONE
        {
            known.add(vector, weight);
        }
    }

    /// `is_mv_valid`.
    fn may_copy(&self, tile: &Tile<'_, '_>, vector: [i32; 2]) -> bool {
        let (row, col) = (self.row as i32 * 4, self.col as i32 * 4);
        let (wide, high) = (self.wide as i32 * 4, self.high as i32 * 4);
        let (mut top, mut left) = (row + vector[0], col + vector[1]);
        let (bottom, right) = (top + high, left + wide);
        let (x, y) = tile.setup.subsampling(1);
        if self.has_chroma {
            left -= if wide < 8 && x == 1 { 4 } else { 0 };
            top -= if high < 8 && y == 1 { 4 } else { 0 };
        }
        let ends = |range: &std::ops::Range<usize>| (range.start as i32 * 4, range.end as i32 * 4);
        let ((first_row, last_row), (first_col, last_col)) = (ends(&tile.rows), ends(&tile.cols));
        if top < first_row || left < first_col || bottom > last_row || right > last_col {
            return false;
        }
        let large = tile.setup.seq.use_128x128_superblock;
        let side = if large { 128 } else { 64 };
        let (our_row, our_square) = (row / side, col >> 6);
        let (their_row, their_square) = ((bottom - 1) / side, (right - 1) >> 6);
        let squares = ((tile.cols.len() as i32 - 1) >> 4) + 1;
        let before = our_row * squares + our_square - DELAY_SQUARES;
        let slope = (1 + DELAY_SQUARES + i32::from(large)) * (our_row - their_row);
        let ahead = their_row > our_row || their_square >= our_square - DELAY_SQUARES + slope;
        their_row * squares + their_square < before && !ahead
    }

    /// `predict_inter`: chroma may lie between two samples.
    pub fn copy(&self, tile: &mut Tile<'_, '_>, vector: Vector) {
        let setup = tile.setup;
        for plane in 0..if self.has_chroma { 3 } else { 1 } {
            let (x, y) = setup.subsampling(plane);
            let size = subsampled(self.size, x, y).min(21);
            let (wide, high) = (NUM_4X4_BLOCKS_WIDE[size] * 4, NUM_4X4_BLOCKS_HIGH[size] * 4);
            let (left, top) = ((self.col >> x) * 4, (self.row >> y) * 4);
            let from =
                |at: usize, by: i16, half: usize| (at as i32 + (i32::from(by) >> half), half == 1 && by & 1 == 1);
            let ((first_row, between_rows), (first_col, between_cols)) =
                (from(top, vector[0], y), from(left, vector[1], x));
            let last = (((setup.rows * 4) >> y) as i32 - 1, ((setup.cols * 4) >> x) as i32 - 1);
            let (source, copied) = (&tile.frame.planes[plane], &mut tile.scratch.copied);
            let at =
                |row: i32, col: i32| u32::from(source.at(row.clamp(0, last.0) as usize, col.clamp(0, last.1) as usize));
            // Samples between two are first rounded to four bits more, then to none.
            let bits = if setup.depth == 12 { (5, 9) } else { (3, 11) };
            let across = |row: i32, col: i32| {
                let sum = if between_cols { 64 * (at(row, col) + at(row, col + 1)) } else { 128 * at(row, col) };
                (sum + (1 << bits.0 >> 1)) >> bits.0
            };
            for (i, line) in copied.chunks_exact_mut(COPIED).enumerate().take(high) {
                let row = first_row + i as i32;
                for (j, to) in line.iter_mut().enumerate().take(wide) {
                    let col = first_col + j as i32;
                    let sum = if between_rows {
                        64 * (across(row, col) + across(row + 1, col))
                    } else {
                        128 * across(row, col)
                    };
                    *to = ((sum + (1 << bits.1 >> 1)) >> bits.1) as u16;
                }
            }
            for (i, line) in copied.chunks_exact(COPIED).enumerate().take(high) {
                let to = tile.frame.planes[plane].row_mut(top + i, left);
                for (to, &from) in to.iter_mut().zip(line.iter().take(wide)) {
                    *to = from;
                }
            }
        }
    }

    /// For the blocks that look here.
    pub fn leave_vector(&self, tile: &mut Tile<'_, '_>) {
        let (at, size) = ((self.row, self.col), (self.high, self.wide));
        paint(&mut tile.frame.vectors, tile.setup.cols, at, size, self.copy.unwrap_or(NONE));
        paint(&mut tile.frame.sizes, tile.setup.cols, at, size, self.size as u8);
    }
}

impl Tile<'_, '_> {
    /// Of a block within the tile.
    fn place_of(&self, (row, col): (isize, isize)) -> Option<usize> {
        let (row, col) = (usize::try_from(row).ok()?, usize::try_from(col).ok()?);
        (self.rows.contains(&row) && self.cols.contains(&col)).then(|| row * self.setup.cols + col)
    }

    fn size_at(&self, at: (isize, isize)) -> Option<usize> {
        self.frame.sizes.get(self.place_of(at)?).map(|&size| usize::from(size).min(21))
    }
}
