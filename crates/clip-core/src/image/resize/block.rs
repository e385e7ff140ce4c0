//! Some rows of a picture, as the horizontal pass reads them.

use std::ops::Range;

use super::horizontal::Loops;
use crate::image::ycc::{Levels, ycc_planes_to_rgb};

/// Rows that the horizontal pass takes at once.
pub(super) const ROWS: usize = 8;

/// Pixels of a row that are taken apart at once.
pub(super) const TILE: usize = 16;

/// Two pixels side by side of each row: per channel and row, both levels.
pub(super) type Two = [[[i16; 2]; ROWS]; 3];

/// Per channel, the levels of [`TILE`] pixels of each row, row after row.
pub(super) type Tile = [[i16; ROWS * TILE]; 3];

/// [`ROWS`] rows turned: pixels side by side are in memory two by two, so that a pair of weights meets vectors of all rows.
pub(super) struct Block(pub Vec<Two>);

impl Block {
    /// Room for rows of so many pixels.
    pub fn new(pixels: usize) -> Self {
        Self(vec![[[[0; 2]; ROWS]; 3]; pixels.div_ceil(TILE) * (TILE / 2)])
    }

    /// Takes the pixels `span` of interleaved `rows`.
    #[inline(always)]
    pub fn fill(&mut self, rows: [&[u8]; ROWS], span: &Range<usize>, levels: Levels, code: impl Loops) {
        let rows = rows.map(|row| row[3 * span.start..3 * span.end].as_chunks::<{ 3 * TILE }>());
        let mut tile: Tile = [[0; ROWS * TILE]; 3];
        for (i, out) in self.0.as_chunks_mut::<{ TILE / 2 }>().0.iter_mut().enumerate() {
            for ((chunks, rest), r) in rows.iter().zip(0..ROWS) {
                match chunks.get(i) {
                    Some(pixels) => code.split(pixels, &mut tile, r),
                    None => {
                        let mut pixels = [0; 3 * TILE];
                        pixels[..rest.len()].copy_from_slice(rest);
                        code.split(&pixels, &mut tile, r);
                    }
                }
            }
            if levels == Levels::YCbCr {
                let [a, b, c] = &mut tile;
                ycc_planes_to_rgb(a, b, c);
            }
            code.turn(&tile, out);
        }
    }
}
