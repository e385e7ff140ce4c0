//! Room that blocks use one after the other.

use crate::edges::Edges;
use crate::waves::{LANES, Lane};

/// Of a side of 32 levels, and the four beyond that are looked at.
pub const LEVEL_STRIDE: usize = 36;

/// Samples of a side of a block with a palette.
pub const SIDE: usize = 64;
/// Samples, and blocks of 4 x 4, of a superblock's side.
pub const COPIED: usize = 128;
pub const BLOCKS: usize = 32;

pub struct Scratch {
    /// Of a transform's levels, at most 15 and, in the lower byte, at most 3; zero between transforms.
    pub levels: [u16; LEVEL_STRIDE * LEVEL_STRIDE],
    /// Those that are not zero with their positions, the last one first.
    pub found: [(u16, u16); 32 * 32],
    /// Coefficients, column by column; zero between transforms.
    pub coefficients: [i32; 32 * 32],
    /// Rows or columns that are being transformed.
    pub lanes: [Lane; 64],
    /// Between the two passes of a transform, row by row.
    pub rows: [i32; 64 * 64],
    /// The palettes of a block's planes.
    pub colours: [[u16; 8]; 3],
    /// The colours of its samples, of luma and of chroma.
    pub maps: [[u8; SIDE * SIDE]; 2],
    /// Samples that are copied, before they are put to their place.
    pub copied: [u16; COPIED * COPIED],
    /// Of a superblock's blocks of 4 x 4 luma samples: sizes and kinds of the transforms of blocks that are copies.
    pub tx_sizes: [u8; BLOCKS * BLOCKS],
    pub tx_kinds: [u8; BLOCKS * BLOCKS],
    pub edges: Edges,
    /// Luma at the places of chroma, in eighths.
    pub luma: [i32; 32 * 32],
}

impl Scratch {
    pub fn new() -> Box<Self> {
        Box::new(Self {
            levels: [0; _],
            found: [(0, 0); _],
            coefficients: [0; _],
            lanes: [[0; LANES]; _],
            rows: [0; _],
            colours: [[0; 8]; 3],
            maps: [[0; _]; 2],
            copied: [0; _],
            tx_sizes: [0; _],
            tx_kinds: [0; _],
            edges: Edges { above: [0; _], left: [0; _] },
            luma: [0; _],
        })
    }
}
