//! What the blocks above and to the left leave for those that follow.

use crate::error::{Result, filled};
use crate::setup::Setup;

/// Along an edge, for each block of 4 samples.
#[derive(Clone, Default)]
pub struct Edge {
    pub y_mode: Vec<u8>,
    /// Of blocks with chroma.
    pub uv_mode: Vec<u8>,
    pub skip: Vec<bool>,
    /// Blocks are copies of others.
    pub copied: Vec<bool>,
    /// The block's side along the edge, as a power of two of such blocks.
    pub side: Vec<u8>,
    /// The transform's side along the edge, in samples.
    pub tx_side: Vec<u8>,
    /// Of the palettes of luma and of chroma; the colours of luma and of the blue chroma.
    pub palette: [Vec<u8>; 2],
    pub colours: [Vec<[u16; 8]>; 2],
    /// Of each plane, in its own blocks: the sum of levels, and what sign the first coefficient has.
    pub level: [Vec<u8>; 3],
    pub dc: [Vec<u8>; 3],
}

impl Edge {
    pub fn new(setup: &Setup<'_>, len: usize) -> Result<Self> {
        // Blocks may end beyond the picture.
        let len = len.next_multiple_of(32);
        let palettes = if setup.frame.allow_screen_content_tools { len } else { 0 };
        Ok(Self {
            y_mode: filled(len, 0)?,
            uv_mode: filled(len, 0)?,
            skip: filled(len, false)?,
            copied: filled(len, false)?,
            side: filled(len, 0)?,
            tx_side: filled(len, 0)?,
            palette: [filled(palettes, 0)?, filled(palettes, 0)?],
            colours: [filled(palettes, [0; 8])?, filled(palettes, [0; 8])?],
            level: [filled(len, 0)?, filled(len, 0)?, filled(len, 0)?],
            dc: [filled(len, 0)?, filled(len, 0)?, filled(len, 0)?],
        })
    }

    /// As a row of superblocks, or a tile, begins.
    pub fn clear(&mut self) {
        for all in self.level.iter_mut().chain(&mut self.dc) {
            all.fill(0);
        }
    }
}

/// Sets a part of an edge, as far as there is one.
pub fn mark<T: Copy>(edge: &mut [T], from: usize, many: usize, value: T) {
    let end = (from + many).min(edge.len());
    if let Some(part) = edge.get_mut(from..end) {
        part.fill(value);
    }
}

/// A part of an edge.
pub fn part<T>(edge: &[T], from: usize, many: usize) -> &[T] {
    edge.get(from..(from + many).min(edge.len())).unwrap_or_default()
}
