//! The transforms of a block: predicted, read, and added (sections 5.11.34 and 5.11.35).

use std::cmp::Ordering;

use oxideav_av1::cdf::{MAX_TX_SIZE_RECT, NUM_4X4_BLOCKS_HIGH, NUM_4X4_BLOCKS_WIDE, TX_HEIGHT, TX_WIDTH};

use crate::block::Block;
use crate::coefficients::Place;
use crate::edges::Prediction;
use crate::error::{Error, Result};
use crate::frame::paint;
use crate::names::{BLOCK_64X64, DC_PRED, UV_CFL, subsampled};
use crate::scratch::SIDE;
use crate::tile::Tile;
use crate::{cfl, predict, transform};

impl Block {
    pub fn residual(&mut self, tile: &mut Tile<'_, '_>) -> Result<()> {
        let (across, down) = ((self.wide >> 4).max(1), (self.high >> 4).max(1));
        let chunk = if across > 1 || down > 1 { BLOCK_64X64 } else { self.size };
        let planes = if self.has_chroma { 3 } else { 1 };
        for (y, x) in (0..down).flat_map(|y| (0..across).map(move |x| (y, x))) {
            for plane in 0..planes {
                let (sub_x, sub_y) = tile.setup.subsampling(plane);
                let tx = self.tx_of(plane, sub_x, sub_y);
                let size = subsampled(chunk, sub_x, sub_y).min(21);
                let (wide, high) = (NUM_4X4_BLOCKS_WIDE[size], NUM_4X4_BLOCKS_HIGH[size]);
                let (left, top) = ((x << 4) >> sub_x, (y << 4) >> sub_y);
                if plane == 0 && self.copy.is_some() && !self.lossless {
                    self.transform_tree(tile, (top, left), (high, wide))?;
                    continue;
                }
                for row in (0..high).step_by(TX_HEIGHT[tx] >> 2) {
                    for col in (0..wide).step_by(TX_WIDTH[tx] >> 2) {
                        self.transform_block(tile, plane, tx, (top + row, left + col))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// The transforms of luma of a block that is a copy, in blocks of 4 x 4 samples within it.
    fn transform_tree(&mut self, tile: &mut Tile<'_, '_>, at: (usize, usize), size: (usize, usize)) -> Result<()> {
        let (row, col) = (self.row + at.0, self.col + at.1);
        if row >= tile.setup.rows || col >= tile.setup.cols {
            return Ok(());
        }
        let tx = usize::from(tile.scratch.tx_sizes[tile.block_of(row, col)]).min(18);
        let (high, wide) = (size.0.min(TX_HEIGHT[tx] >> 2), size.1.min(TX_WIDTH[tx] >> 2));
        if (high, wide) == size {
            let same = |&tx: &usize| (TX_HEIGHT[tx] >> 2, TX_WIDTH[tx] >> 2) == size;
            return self.transform_block(tile, 0, (0..19).find(same).unwrap_or(tx), at);
        }
        let (high, wide) = match size.0.cmp(&size.1) {
            Ordering::Less => (size.0, size.1 / 2),
            Ordering::Greater => (size.0 / 2, size.1),
            Ordering::Equal => (size.0 / 2, size.1 / 2),
        };
        for row in (0..size.0).step_by(high.max(1)) {
            for col in (0..size.1).step_by(wide.max(1)) {
                self.transform_tree(tile, (at.0 + row, at.1 + col), (high, wide))?;
            }
        }
        Ok(())
    }

    /// `get_tx_size`.
    fn tx_of(&self, plane: usize, x: usize, y: usize) -> usize {
        if self.lossless {
            return 0;
        }
        if plane == 0 {
            return self.tx;
        }
        match MAX_TX_SIZE_RECT[subsampled(self.size, x, y).min(21)] {
            17 => 9,
            18 => 10,
            4 | 11 | 12 => 3,
            tx => tx,
        }
    }

    /// At a row and a column of blocks of 4 x 4 samples within the block.
    fn transform_block(&mut self, tile: &mut Tile<'_, '_>, plane: usize, tx: usize, at: (usize, usize)) -> Result<()> {
        let setup = tile.setup;
        let (x, y) = setup.subsampling(plane);
        let place = Place { plane, row: (self.row >> y) + at.0, col: (self.col >> x) + at.1, tx };
        if place.col >= setup.cols >> x || place.row >= setup.rows >> y {
            return Ok(());
        }
        let (wide, high) = (TX_WIDTH[tx] >> 2, TX_HEIGHT[tx] >> 2);
        if self.copy.is_none() {
            self.predict(tile, place, at);
        }
        if plane == 0 {
            self.luma_end = ((place.row + high) * 4, (place.col + wide) * 4);
        }
        if !self.skip {
            let read = self.read_coefficients(tile, place);
            if read.end > 0 {
                let target = &mut tile.frame.planes[plane];
                transform::add(&mut tile.scratch, &read, self.lossless, setup.depth, place, target);
            }
            if tile.symbols.is_beyond() {
                return Err(Error::Damaged("a tile ends early"));
            }
        }
        let chroma = usize::from(plane > 0);
        paint(&mut tile.frame.tx[chroma], tile.frame.tx_cols[chroma], (place.row, place.col), (high, wide), tx as u8);
        let within = (place.row - (tile.top >> y), place.col & (tile.column_mask() >> x));
        tile.decoded.set(plane, within, (high, wide));
        Ok(())
    }

    fn predict(&self, tile: &mut Tile<'_, '_>, place: Place, at: (usize, usize)) {
        let Place { plane, row, col, tx } = place;
        let setup = tile.setup;
        let chroma = usize::from(plane > 0);
        let (left, top) = (col * 4, row * 4);
        let (wide, high) = (TX_WIDTH[tx], TX_HEIGHT[tx]);
        if self.palette[chroma] > 0 {
            let colours = &tile.scratch.colours[plane];
            let map = tile.scratch.maps[chroma].chunks_exact(SIDE).skip(at.0 * 4).take(high);
            for (y, line) in map.enumerate() {
                let to = tile.frame.planes[plane].row_mut(top + y, left);
                for (to, &colour) in to.iter_mut().zip(line.iter().skip(at.1 * 4).take(wide)) {
                    *to = colours[usize::from(colour) & 7];
                }
            }
            return;
        }
        let (x, y) = setup.subsampling(plane);
        let within = (row - (tile.top >> y), col & (tile.column_mask() >> x));
        let mode = self.modes[chroma];
        let is_cfl = plane > 0 && mode == UV_CFL;
        let prediction = Prediction {
            x: left,
            y: top,
            wide,
            high,
            left: self.left[chroma] || at.1 > 0,
            above: self.up[chroma] || at.0 > 0,
            above_right: tile.decoded.above_right(plane, within, wide >> 2),
            below_left: tile.decoded.below_left(plane, within, high >> 2),
            mode: if is_cfl { DC_PRED } else { mode },
            angle: self.angles[chroma],
            filter: if plane == 0 { self.filter_intra } else { None },
            smooth: self.beside_smooth[chroma],
            filters_edges: setup.seq.enable_intra_edge_filter,
            end: (((setup.cols * 4) >> x), ((setup.rows * 4) >> y)),
            depth: setup.depth,
        };
        predict::predict(&mut tile.frame.planes[plane], &mut tile.scratch.edges, &prediction);
        if is_cfl {
            let alpha = self.cfl[plane - 1];
            cfl::predict(tile.frame, &mut tile.scratch.luma, place, (x, y), self.luma_end, alpha, setup.depth);
        }
    }
}
