//! Where the values of rows lie in memory, and as what.

use std::ops::Range;

use super::quantize::{Quantization, ScaleScope};
use crate::geometry::{AMX_ROWS, LINE_WORDS, QUANT_GROUP};
use crate::precision::Precision;

/// What a word of 32 bits of a row holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Word {
    /// One value.
    F32,
    /// One value, and a zero more in an odd row: for weights in pairs of bf16 and kernels that cannot multiply those.
    F32Even,
    /// Two bf16.
    Bf16x2,
    /// Four integers.
    I8x4(Quantization),
}

impl Word {
    /// Words that so many values from the beginning of a row take.
    #[inline(always)]
    pub fn words(self, values: usize) -> usize {
        match self {
            Self::F32 => values,
            Self::F32Even => values.next_multiple_of(2),
            Self::Bf16x2 => values.div_ceil(2),
            Self::I8x4(_) => values.div_ceil(4),
        }
    }

    /// Values of which parts of a row begin at multiples, a power of two.
    #[inline(always)]
    pub fn unit(self) -> usize {
        match self {
            Self::F32 => 1,
            Self::F32Even | Self::Bf16x2 => 2,
            Self::I8x4(_) => QUANT_GROUP,
        }
    }
}

/// What a kernel reads the rows of a left-hand side as.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LhsFormat {
    /// What a word holds.
    pub word: Word,
    /// Lines of 16 rows lie one below the other as AMX reads them, `[ceil(m / 16), ceil(words / 16), 16, 16]` words, what
    /// fills up a row being zero; else it is `[m, words]`.
    pub tiled: bool,
}

impl LhsFormat {
    /// Rows one after the other.
    pub const fn rows(word: Word) -> Self {
        Self { word, tiled: false }
    }

    /// For kernels without products of bf16: rows are f32, or integers.
    pub fn without_bf16(precision: Precision, integers: Quantization) -> Self {
        Self::rows(match precision {
            Precision::F32 => Word::F32,
            Precision::Bf16 => Word::F32Even,
            Precision::Int8 => Word::I8x4(integers),
        })
    }

    /// Are parts of a row of no use, as it has one scale?
    pub fn is_of_whole_rows(self) -> bool {
        matches!(self.word, Word::I8x4(Quantization { scope: ScaleScope::Row, .. }))
    }
}

/// Where the `[m, k]` values of rows are.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// What a word holds. Of integers: those of rows of `k` values.
    pub word: Word,
    /// See [`LhsFormat`].
    pub tiled: bool,
    /// Rows.
    pub m: usize,
    /// Values of a row.
    pub k: usize,
    /// Words that a row takes.
    pub stride: usize,
    /// [`RowParams`](super::quantize::RowParams) of a row.
    pub params: usize,
}

impl Layout {
    /// Of so many rows in a format.
    pub fn new(format: LhsFormat, m: usize, k: usize) -> Self {
        let LhsFormat { mut word, tiled } = format;
        let words = word.words(k);
        let stride = if tiled { words.next_multiple_of(LINE_WORDS) } else { words };
        let mut params = 0;
        if let Word::I8x4(quantization) = &mut word {
            *quantization = quantization.of_rows(k);
            params = if quantization.scope == ScaleScope::Row { 1 } else { k.div_ceil(QUANT_GROUP) };
        }
        Self { word, tiled, m, k, stride, params }
    }

    /// Words that hold the values of a row.
    pub fn words(&self) -> usize {
        self.word.words(self.k)
    }

    /// Words of all rows.
    pub fn len(&self) -> usize {
        self.padded() * self.stride
    }

    /// Parameters of all rows.
    pub fn all_params(&self) -> usize {
        self.padded() * self.params
    }

    /// Rows that there is memory for: a tile is read as a whole.
    fn padded(&self) -> usize {
        if self.tiled { self.m.next_multiple_of(AMX_ROWS) } else { self.m }
    }

    /// Words from a line of a row to its next.
    #[inline(always)]
    pub fn line_step(&self) -> usize {
        if self.tiled { AMX_ROWS * LINE_WORDS } else { LINE_WORDS }
    }

    /// Where a word of a row is.
    #[inline(always)]
    pub fn at(&self, row: usize, word: usize) -> usize {
        if self.tiled {
            let (tile, line) = (row / AMX_ROWS * self.stride + word / LINE_WORDS * LINE_WORDS, row % AMX_ROWS);
            tile * AMX_ROWS + line * LINE_WORDS + word % LINE_WORDS
        } else {
            row * self.stride + word
        }
    }

    /// Which of `count` values from `column` on lie together: pieces of them, and for each the words that it takes of the
    /// row, those that it fills up included.
    #[inline(always)]
    pub fn pieces(&self, column: usize, count: usize) -> impl Iterator<Item = (Range<usize>, Range<usize>)> {
        let Self { word, k, .. } = *self;
        // All but the last one end at a multiple of one more than this.
        let mask = match word {
            Word::I8x4(quantization) if self.tiled || quantization.scope == ScaleScope::Group => QUANT_GROUP - 1,
            Word::Bf16x2 if self.tiled => 2 * LINE_WORDS - 1,
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
            let words = word.words(first)..if end == k { stride } else { word.words(end) };
            Some((std::mem::replace(&mut from, to)..to, words))
        })
    }
}
