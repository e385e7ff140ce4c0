//! A block: its modes, its palette, its transforms, and its samples (section 5.11.5).

use oxideav_av1::cdf::{
    MAX_TX_DEPTH_TABLE, MAX_TX_SIZE_RECT, NUM_4X4_BLOCKS_HIGH, NUM_4X4_BLOCKS_WIDE, SPLIT_TX_SIZE, TX_HEIGHT,
    TX_SIZE_SQR_UP, TX_WIDTH,
};

use crate::context::{Edge, mark};
use crate::error::Result;
use crate::frame::{Vector, paint};
use crate::quantizer::Quantizers;
use crate::scratch::BLOCKS;
use crate::tile::Tile;

/// `MAX_VARTX_DEPTH`.
const MOST_SPLITS: usize = 2;

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
    /// Where it is copied from.
    pub copy: Option<Vector>,
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
        block.read_modes(tile)?;
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
        if setup.frame.allow_intrabc {
            block.leave_vector(tile);
        }
        if let Some(vector) = block.copy {
            block.copy(tile, vector);
        }
        block.residual(tile)
    }

    fn read_tx(&mut self, tile: &mut Tile<'_, '_>) {
        if self.lossless {
            self.tx = 0;
            return;
        }
        let largest = MAX_TX_SIZE_RECT[self.size];
        self.tx = largest;
        let may_split = self.size > 0 && tile.setup.tx_select;
        if self.copy.is_some() {
            let (high, wide) = (TX_HEIGHT[largest] >> 2, TX_WIDTH[largest] >> 2);
            for row in (self.row..self.row + self.high).step_by(high) {
                for col in (self.col..self.col + self.wide).step_by(wide) {
                    self.read_split(tile, (row, col), largest, if may_split && !self.skip { 0 } else { MOST_SPLITS });
                }
            }
            return;
        }
        if !may_split {
            return;
        }
        let side = |edge: &Edge, at: usize| match edge.copied[at] {
            true => 4 << edge.side[at],
            false => usize::from(edge.tx_side[at]),
        };
        let above = self.up[0] && side(&tile.above, self.col) >= TX_WIDTH[largest];
        let left = self.left[0] && side(&tile.left, self.row - tile.top) >= TX_HEIGHT[largest];
        let context = usize::from(above) + usize::from(left);
        let depth = match MAX_TX_DEPTH_TABLE[self.size] {
            depth @ 2..=4 => tile.symbols.symbol(&mut tile.cdfs.tx_16[depth as usize - 2][context]),
            _ => tile.symbols.symbol(&mut tile.cdfs.tx_8[context]),
        };
        for _ in 0..depth {
            self.tx = SPLIT_TX_SIZE[self.tx];
        }
    }

    /// `read_var_tx_size`: how a copy's transform is split.
    fn read_split(&self, tile: &mut Tile<'_, '_>, (row, col): (usize, usize), tx: usize, depth: usize) {
        if row >= tile.setup.rows || col >= tile.setup.cols {
            return;
        }
        let line = row - tile.top;
        let (high, wide) = (TX_HEIGHT[tx] >> 2, TX_WIDTH[tx] >> 2);
        let splits = tx > 0 && depth < MOST_SPLITS && {
            let above = (row > self.row || self.up[0]) && usize::from(tile.above.tx_side[col]) < TX_WIDTH[tx];
            let left = (col > self.col || self.left[0]) && usize::from(tile.left.tx_side[line]) < TX_HEIGHT[tx];
            let largest = self.wide.max(self.high).min(16).ilog2() as usize;
            let smaller = TX_SIZE_SQR_UP[tx] != largest;
            let context = usize::from(smaller) * 3 + (4 - largest) * 6 + usize::from(above) + usize::from(left);
            tile.symbols.symbol(&mut tile.cdfs.tx_split[context.min(20)]) == 1
        };
        if splits {
            let part = SPLIT_TX_SIZE[tx];
            for down in (0..high).step_by(TX_HEIGHT[part] >> 2) {
                for right in (0..wide).step_by(TX_WIDTH[part] >> 2) {
                    self.read_split(tile, (row + down, col + right), part, depth + 1);
                }
            }
            return;
        }
        let at = tile.block_of(row, col);
        paint(&mut tile.scratch.tx_sizes, BLOCKS, (at / BLOCKS, at % BLOCKS), (high, wide), tx as u8);
        mark(&mut tile.above.tx_side, col, wide, TX_WIDTH[tx] as u8);
        mark(&mut tile.left.tx_side, line, high, TX_HEIGHT[tx] as u8);
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
            mark(&mut edge.copied, from, many, self.copy.is_some());
            // Those of a copy are marked already, but where it has none.
            if self.copy.is_none() || self.lossless {
                mark(&mut edge.tx_side, from, many, tx_side as u8);
            }
            if self.copy.is_some() && self.skip {
                mark(&mut edge.tx_side, from, many, (many * 4) as u8);
            }
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
