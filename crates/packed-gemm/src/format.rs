//! Where the values of rows lie in memory, and as what.

use std::ops::Range;

use crate::rows::{BLOCK, LINE_BYTES};
use crate::tile::TILE;

/// What a word of 32 bits of a row holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Format {
    /// One value.
    F32,
    /// One value, and a zero more in an odd row: for weights in pairs of bf16 and kernels that cannot multiply those.
    EvenF32,
    /// Two bf16.
    Pairs,
    /// Four integers.
    Quads,
}

impl Format {
    /// Words that so many values from the beginning of a row take.
    pub fn words(self, values: usize) -> usize {
        match self {
            Self::F32 => values,
            Self::EvenF32 => values.next_multiple_of(2),
            Self::Pairs => values.div_ceil(2),
            Self::Quads => values.div_ceil(4),
        }
    }

    /// Values of which parts of a row begin at multiples, a power of two.
    pub fn unit(self) -> usize {
        match self {
            Self::F32 => 1,
            Self::EvenF32 | Self::Pairs => 2,
            Self::Quads => BLOCK,
        }
    }
}

/// Words of a cache line, which is a tile's row.
pub const LINE: usize = LINE_BYTES / 4;

/// Where the `[m, k]` values of rows are.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// What a word holds.
    pub format: Format,
    /// Rows.
    pub m: usize,
    /// Values of a row.
    pub k: usize,
    /// Lines of 16 rows lie one below the other as AMX reads them, `[ceil(m / 16), ceil(words / 16), 16, 16]` words, what
    /// fills up a row being zero; else it is `[m, words]`.
    pub tiled: bool,
    /// Integers of a row share one scale, instead of those of each block of 64.
    pub scaled_by_row: bool,
    /// Words that a row takes.
    pub stride: usize,
    /// Scales of a row.
    pub blocks: usize,
}

impl Shape {
    /// `tiled` and `scaled_by_row` as the fields of these names say.
    pub fn new(format: Format, m: usize, k: usize, tiled: bool, scaled_by_row: bool) -> Self {
        let words = format.words(k);
        let stride = if tiled { words.next_multiple_of(LINE) } else { words };
        let blocks = match format {
            Format::Quads if scaled_by_row => 1,
            Format::Quads => k.div_ceil(BLOCK),
            _ => 0,
        };
        Self { format, m, k, tiled, scaled_by_row, stride, blocks }
    }

    /// Words that hold the values of a row.
    pub fn words(&self) -> usize {
        self.format.words(self.k)
    }

    /// Words of all rows.
    pub fn len(&self) -> usize {
        self.padded() * self.stride
    }

    /// Scales of all rows.
    pub fn scales(&self) -> usize {
        self.padded() * self.blocks
    }

    /// Rows that there is memory for: a tile is read as a whole.
    fn padded(&self) -> usize {
        if self.tiled { self.m.next_multiple_of(TILE) } else { self.m }
    }

    /// Where a word of a row is.
    #[inline(always)]
    pub fn at(&self, row: usize, word: usize) -> usize {
        if self.tiled {
            let (tile, line) = (row / TILE * self.stride + word / LINE * LINE, row % TILE);
            tile * TILE + line * LINE + word % LINE
        } else {
            row * self.stride + word
        }
    }

    /// Which of `count` values from `column` on lie together: pieces of them, and for each the words that it takes of the
    /// row, those that it fills up included.
    #[inline(always)]
    pub fn pieces(&self, column: usize, count: usize) -> impl Iterator<Item = (Range<usize>, Range<usize>)> {
        let Self { format, k, .. } = *self;
        // All but the last one end at a multiple of one more than this.
        let mask = match format {
            Format::Quads if self.tiled || !self.scaled_by_row => BLOCK - 1,
            Format::Pairs if self.tiled => 2 * LINE - 1,
            _ => usize::MAX,
        };
        let stride = self.stride;
        let mut from = 0;
        std::iter::from_fn(move || {
            if from == count {
                return None;
            }
            let first = column + from;
            let to = count.min(from + (mask - (first & mask)).saturating_add(1));
            let end = column + to;
            let words = format.words(first)..if end == k { stride } else { format.words(end) };
            Some((std::mem::replace(&mut from, to)..to, words))
        })
    }
}
