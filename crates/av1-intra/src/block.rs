//! A block: its modes, its palette, its transforms, and its samples (section 5.11.5).

use oxideav_av1::cdf::{
    MAX_TX_DEPTH_TABLE, MAX_TX_SIZE_RECT, NUM_4X4_BLOCKS_HIGH, NUM_4X4_BLOCKS_WIDE, SPLIT_TX_SIZE, TX_HEIGHT, TX_WIDTH,
};

use crate::context::mark;
use crate::error::Result;
use crate::frame::paint;
use crate::quantizer::Quantizers;
use crate::tile::Tile;

pub const DC_PRED: usize = 0;
pub const V_PRED: usize = 1;
pub const D67_PRED: usize = 8;
pub const UV_CFL: usize = 13;

#[derive(Clone, Debug, Default)]
pub struct Block {
    pub row: usize,
    pub col: usize,
    pub size: usize,
    /// In blocks of 4 x 4 luma samples.
    pub wide: usize,
    pub high: usize,
    pub has_chroma: bool,
    /// There is a block of the tile above, and to the left, of luma and of chroma.
    pub up: [bool; 2],
    pub left: [bool; 2],
    pub skip: bool,
    pub segment: usize,
    pub lossless: bool,
    /// Of luma and of chroma.
    pub modes: [usize; 2],
    pub angles: [i32; 2],
    pub cfl: [i32; 2],
    pub filter_intra: Option<usize>,
    /// Colours of luma and of chroma, or none.
    pub palette: [usize; 2],
    pub tx: usize,
    pub quantizers: [Quantizers; 3],
    /// Blocks above or to the left, of luma and of chroma, are smooth.
    pub beside_smooth: [bool; 2],
    /// Luma samples that are there, from the picture's corner on.
    pub luma_end: (usize, usize),
}

impl Block {
    pub fn decode(tile: &mut Tile<'_, '_>, row: usize, col: usize, size: usize) -> Result<()> {
        let setup = tile.setup;
        let (wide, high) = (NUM_4X4_BLOCKS_WIDE[size], NUM_4X4_BLOCKS_HIGH[size]);
        let (x, y) = setup.subsampling(1);
        let has_chroma =
            setup.planes > 1 && !(high == 1 && y == 1 && row & 1 == 0 || wide == 1 && x == 1 && col & 1 == 0);
        // A block of four samples has chroma together with those before it.
        let (far_up, far_left) = (1 + usize::from(high == 1 && y == 1), 1 + usize::from(wide == 1 && x == 1));
        let up = row > tile.rows.start;
        let left = col > tile.cols.start;
        let mut block = Self {
            row,
            col,
            size,
            wide,
            high,
            has_chroma,
            up: [up, has_chroma && row >= tile.rows.start + far_up],
            left: [left, has_chroma && col >= tile.cols.start + far_left],
            ..Self::default()
        };
        block.read_modes(tile);
        if block.palette != [0; 2] {
            block.read_colour_maps(tile);
        }
        block.read_tx(tile);
        if block.skip {
            block.clear_levels(tile);
        }
        block.quantizers = std::array::from_fn(|plane| Quantizers::new(setup, plane, block.segment, tile.q));
        block.beside_smooth = [block.is_beside_smooth(tile, 0), has_chroma && block.is_beside_smooth(tile, 1)];
        block.leave(tile);
        block.residual(tile)
    }

    fn read_tx(&mut self, tile: &mut Tile<'_, '_>) {
        if self.lossless {
            self.tx = 0;
            return;
        }
        let largest = MAX_TX_SIZE_RECT[self.size];
        self.tx = largest;
        if self.size == 0 || !tile.setup.tx_select {
            return;
        }
        let above = self.up[0] && usize::from(tile.above.tx_side[self.col]) >= TX_WIDTH[largest];
        let left = self.left[0] && usize::from(tile.left.tx_side[self.row - tile.top]) >= TX_HEIGHT[largest];
        let context = usize::from(above) + usize::from(left);
        let depth = match MAX_TX_DEPTH_TABLE[self.size] {
            depth @ 2..=4 => tile.symbols.symbol(&mut tile.cdfs.tx_16[depth as usize - 2][context]),
            _ => tile.symbols.symbol(&mut tile.cdfs.tx_8[context]),
        };
        for _ in 0..depth {
            self.tx = SPLIT_TX_SIZE[self.tx];
        }
    }

    /// `reset_block_context`.
    fn clear_levels(&self, tile: &mut Tile<'_, '_>) {
        for plane in 0..if self.has_chroma { 3 } else { 1 } {
            let (x, y) = tile.setup.subsampling(plane);
            let (col, wide) = (self.col >> x, ((self.col + self.wide) >> x) - (self.col >> x));
            mark(&mut tile.above.level[plane], col, wide, 0);
            mark(&mut tile.above.dc[plane], col, wide, 0);
            let row = self.row - tile.top;
            let (row, high) = (row >> y, ((row + self.high) >> y) - (row >> y));
            mark(&mut tile.left.level[plane], row, high, 0);
            mark(&mut tile.left.dc[plane], row, high, 0);
        }
    }

    /// `get_filter_type`.
    fn is_beside_smooth(&self, tile: &Tile<'_, '_>, plane: usize) -> bool {
        let smooth = |mode: u8| (9..=11).contains(&mode);
        let (x, y) = tile.setup.subsampling(plane);
        // Chroma is that of the last of a pair of blocks.
        let (row, col) = ((self.row - tile.top) | y, self.col | x);
        let (above, left) = if plane == 0 {
            (&tile.above.y_mode, &tile.left.y_mode)
        } else {
            (&tile.above.uv_mode, &tile.left.uv_mode)
        };
        self.up[plane] && above.get(col).is_some_and(|&mode| smooth(mode))
            || self.left[plane] && left.get(row).is_some_and(|&mode| smooth(mode))
    }

    /// What the blocks that follow, and the filters, need of this one.
    fn leave(&self, tile: &mut Tile<'_, '_>) {
        let (row, col) = (self.row - tile.top, self.col);
        let sides = [
            (&mut tile.above, col, self.wide, TX_WIDTH[self.tx]),
            (&mut tile.left, row, self.high, TX_HEIGHT[self.tx]),
        ];
        for (edge, from, many, tx_side) in sides {
            mark(&mut edge.y_mode, from, many, self.modes[0] as u8);
            if self.has_chroma {
                mark(&mut edge.uv_mode, from, many, self.modes[1] as u8);
            }
            mark(&mut edge.skip, from, many, self.skip);
            mark(&mut edge.side, from, many, many.ilog2() as u8);
            mark(&mut edge.tx_side, from, many, tx_side as u8);
            for plane in 0..2 {
                mark(&mut edge.palette[plane], from, many, self.palette[plane] as u8);
                if self.palette[plane] > 0 {
                    mark(&mut edge.colours[plane], from, many, tile.scratch.colours[plane]);
                }
            }
        }
        let (at, size) = ((self.row, self.col), (self.high, self.wide));
        let frame = &mut *tile.frame;
        let levels = tile.setup.filter_levels(self.segment, tile.delta_lf);
        paint(&mut frame.levels, tile.setup.cols, at, size, levels);
        paint(&mut frame.skips, tile.setup.cols, at, size, self.skip);
        paint(&mut frame.segments, tile.setup.cols, at, size, self.segment as u8);
    }
}
