//! Superblocks of a tile, and how they are split into blocks (sections 5.11.2 to 5.11.4).

use oxideav_av1::cdf::{MI_HEIGHT_LOG2, MI_WIDTH_LOG2, NUM_4X4_BLOCKS_WIDE, PARTITION_SUBSIZE};

use crate::block::Block;
use crate::error::{Error, Result};
use crate::names::{BLOCK_8X8, BLOCK_64X64, BLOCK_128X128, BLOCK_INVALID, subsampled};
use crate::tile::Tile;

const HORZ: usize = 1;
const VERT: usize = 2;
const SPLIT: usize = 3;
const HORZ_A: usize = 4;
const HORZ_B: usize = 5;
const VERT_A: usize = 6;
const VERT_B: usize = 7;
const HORZ_4: usize = 8;
const VERT_4: usize = 9;

impl Tile<'_, '_> {
    pub fn decode(&mut self, go_on: &dyn Fn() -> bool) -> Result<()> {
        let size = if self.setup.seq.use_128x128_superblock { BLOCK_128X128 } else { BLOCK_64X64 };
        let step = NUM_4X4_BLOCKS_WIDE[size];
        for row in self.rows.clone().step_by(step) {
            self.left.clear();
            self.top = row;
            for col in self.cols.clone().step_by(step) {
                if !go_on() {
                    return Err(Error::Stopped);
                }
                self.reads_deltas = self.setup.delta_q.delta_q_present;
                self.decoded.clear(self.setup, (self.rows.end - row, self.cols.end - col), step);
                self.restoration_units(row, col, step);
                self.partition(row, col, size)?;
            }
            if self.symbols.is_beyond() {
                return Err(Error::Damaged("a tile ends early"));
            }
        }
        Ok(())
    }

    fn partition(&mut self, row: usize, col: usize, size: usize) -> Result<()> {
        let setup = self.setup;
        if row >= setup.rows || col >= setup.cols {
            return Ok(());
        }
        let half = NUM_4X4_BLOCKS_WIDE[size] >> 1;
        let quarter = half >> 1;
        let has_rows = row + half < setup.rows;
        let has_cols = col + half < setup.cols;
        let kind = if size < BLOCK_8X8 {
            0
        } else if !has_rows && !has_cols {
            SPLIT
        } else {
            self.partition_kind(row, col, size, has_rows, has_cols)
        };
        let sub = PARTITION_SUBSIZE[kind][size];
        let split = PARTITION_SUBSIZE[SPLIT][size];
        let (chroma_x, chroma_y) = setup.subsampling(1);
        let there = |size: usize| size < BLOCK_INVALID && subsampled(size, chroma_x, chroma_y) < BLOCK_INVALID;
        if !there(sub) {
            return Err(Error::Damaged("a block is split in a way that its chroma cannot be"));
        }
        let mut block = |row, col, size| Block::decode(self, row, col, size);
        match kind {
            0 => block(row, col, sub),
            HORZ => {
                block(row, col, sub)?;
                if has_rows { block(row + half, col, sub) } else { Ok(()) }
            }
            VERT => {
                block(row, col, sub)?;
                if has_cols { block(row, col + half, sub) } else { Ok(()) }
            }
            SPLIT => {
                self.partition(row, col, sub)?;
                self.partition(row, col + half, sub)?;
                self.partition(row + half, col, sub)?;
                self.partition(row + half, col + half, sub)
            }
            HORZ_A => {
                block(row, col, split)?;
                block(row, col + half, split)?;
                block(row + half, col, sub)
            }
            HORZ_B => {
                block(row, col, sub)?;
                block(row + half, col, split)?;
                block(row + half, col + half, split)
            }
            VERT_A => {
                block(row, col, split)?;
                block(row + half, col, split)?;
                block(row, col + half, sub)
            }
            VERT_B => {
                block(row, col, sub)?;
                block(row, col + half, split)?;
                block(row + half, col + half, split)
            }
            HORZ_4 => (0..4)
                .map(|i| row + i * quarter)
                .filter(|&row| row < setup.rows)
                .try_for_each(|row| block(row, col, sub)),
            _ => (0..4)
                .map(|i| col + i * quarter)
                .filter(|&col| col < setup.cols)
                .try_for_each(|col| block(row, col, sub)),
        }
    }

    fn partition_kind(&mut self, row: usize, col: usize, size: usize, has_rows: bool, has_cols: bool) -> usize {
        let log2 = MI_WIDTH_LOG2[size];
        let up = row > self.rows.start && usize::from(self.above.side[col]) < log2;
        let left = col > self.cols.start && usize::from(self.left.side[row - self.top]) < MI_HEIGHT_LOG2[size];
        let context = usize::from(left) * 2 + usize::from(up);
        let (cdfs, symbols) = (&mut *self.cdfs, &mut self.symbols);
        if has_rows && has_cols {
            return match log2 {
                1 => symbols.symbol(&mut cdfs.partition_8[context]),
                5 => symbols.symbol(&mut cdfs.partition_128[context]),
                _ => symbols.symbol(&mut cdfs.partition_16[(log2 - 2).min(2)][context]),
            };
        }
        let odds: &[u16] = match log2 {
            1 => &cdfs.partition_8[context],
            5 => &cdfs.partition_128[context],
            _ => &cdfs.partition_16[(log2 - 2).min(2)][context],
        };
        let (other, kinds): (_, &[usize]) = if has_cols {
            (HORZ, &[VERT, SPLIT, HORZ_A, VERT_A, VERT_B, VERT_4])
        } else {
            (VERT, &[HORZ, SPLIT, HORZ_A, HORZ_B, VERT_A, HORZ_4])
        };
        // Complements: the number before a kind is the larger one.
        let all = odds.len() - 1;
        let of = |kind: usize| if kind < all { odds[kind - 1] - odds[kind] } else { 0 };
        let sum = kinds.iter().map(|&kind| of(kind)).fold(0, u16::wrapping_add);
        if symbols.fixed(sum) { SPLIT } else { other }
    }
}
