//! What is known of a tile while its blocks are decoded.

use std::ops::Range;

use crate::cdfs::Cdfs;
use crate::context::Edge;
use crate::decoded::Decoded;
use crate::error::Result;
use crate::frame::Frame;
use crate::scratch::{BLOCKS, Scratch};
use crate::setup::Setup;
use crate::symbols::Symbols;
use crate::unit::Before;

pub struct Tile<'t, 'd> {
    pub setup: &'t Setup<'t>,
    pub frame: &'t mut Frame,
    pub symbols: Symbols<'d>,
    pub cdfs: Box<Cdfs>,
    /// In blocks of 4 x 4 luma samples.
    pub rows: Range<usize>,
    pub cols: Range<usize>,
    pub above: Edge,
    /// From the row on where the superblock begins.
    pub left: Edge,
    pub top: usize,
    pub decoded: Decoded,
    pub q: i32,
    /// The superblock's changes have not been read yet.
    pub reads_deltas: bool,
    pub delta_lf: [i8; 4],
    pub before: Before,
    pub scratch: Box<Scratch>,
}

impl<'t, 'd> Tile<'t, 'd> {
    pub fn new(
        setup: &'t Setup<'t>,
        frame: &'t mut Frame,
        data: &'d [u8],
        rows: Range<usize>,
        cols: Range<usize>,
    ) -> Result<Self> {
        Ok(Self {
            above: Edge::new(setup, setup.cols)?,
            left: Edge::new(setup, 32)?,
            top: rows.start,
            setup,
            frame,
            symbols: Symbols::new(data, !setup.frame.disable_cdf_update),
            cdfs: Box::new(Cdfs::new(setup.quant.base_q_idx)),
            rows,
            cols,
            decoded: Decoded::default(),
            q: i32::from(setup.quant.base_q_idx),
            reads_deltas: false,
            delta_lf: [0; 4],
            before: Before::default(),
            scratch: Scratch::new(),
        })
    }

    /// A block's place among those of its superblock.
    pub fn block_of(&self, row: usize, col: usize) -> usize {
        ((row - self.top) % BLOCKS) * BLOCKS + col % BLOCKS
    }

    /// Of a block's column within its superblock.
    pub fn column_mask(&self) -> usize {
        if self.setup.seq.use_128x128_superblock { 31 } else { 15 }
    }
}
