//! The horizontal pass.

use std::ops::Range;

use super::block::{Block, ROWS, TILE, Tile, Two};
use super::kernels::{HALF, Kernels, MAX_WEIGHTS, PIECE, Pair, Paired, fit_halves, to_level};
use super::portable::Portable;
use super::{Axis, BAND, Code};
use crate::Result;
use crate::guarded::look;
use crate::image::orient::Upright;
use crate::image::ycc::Levels;
use crate::memory::zeroed;
use crate::spec::ResizeFilter;

/// Beyond this many samples a block of turned rows would no longer fit the cache (and, at the extreme, the memory).
const MAX_SPAN: usize = 1 << 16;

/// The inner loops, as a processor runs them best.
pub(super) trait Loops: Copy {
    /// Puts the channels of some pixels apart, as those of row `row`.
    fn split(self, pixels: &[u8; 3 * TILE], tile: &mut Tile, row: usize);

    /// Turns the rows of a tile.
    fn turn(self, tile: &Tile, out: &mut [Two; TILE / 2]);

    /// One pixel of each row, and a byte that does not matter: the weighted sum of as many pairs as there are weights.
    fn pixels(self, samples: &[Two], weights: &[Pair]) -> [[u8; 4]; ROWS];
}

/// The horizontal pass over some rows of a picture.
pub(super) fn horizontal(
    picture: Upright,
    levels: Levels,
    rows: Range<usize>,
    x: Axis,
    filter: ResizeFilter,
    code: Code,
) -> Result<Vec<u8>> {
    let (mut narrow, mut buffer) = (zeroed(rows.len() * x.count * 3)?, Vec::new());
    let mut from = 0;
    while from < x.count {
        let kernels = Kernels::new(x, filter, from, MAX_WEIGHTS);
        let span = kernels.span();
        let run = |pixels: &[u8], columns: Range<usize>, out: &mut [u8]| {
            let stride = 3 * columns.len();
            let pass = Pass { pixels, stride, column: columns.start, levels, kernels: &kernels, from, width: x.count };
            if span.len() <= MAX_SPAN && fit_halves(&kernels) {
                pass.blocks(out, code);
            } else {
                pass.pixels(out);
            }
        };
        match picture.stored_rows(rows.clone()) {
            Some(pixels) => run(pixels, 0..picture.width(), &mut narrow),
            None => {
                let some = (BAND / (3 * span.len().max(1))).clamp(1, rows.len().max(1));
                let some = if some > ROWS { some / ROWS * ROWS } else { some };
                for (start, out) in rows.clone().step_by(some).zip(narrow.chunks_mut(some * 3 * x.count)) {
                    picture.read(span.clone(), start..(start + some).min(rows.end), &mut buffer)?;
                    run(&buffer, span.clone(), out);
                }
            }
        }
        from += kernels.taps.len();
    }
    Ok(narrow)
}

/// One round of the horizontal pass: the columns from `from` on that `kernels` make, in rows of `width`.
pub(super) struct Pass<'a> {
    /// Rows of `stride` bytes, from column `column` of the picture on.
    pub pixels: &'a [u8],
    /// Bytes from one row to the next.
    pub stride: usize,
    /// The picture's column that each row begins with.
    pub column: usize,
    /// What the three bytes of a pixel are.
    pub levels: Levels,
    /// Weights of the columns that are made.
    pub kernels: &'a Kernels,
    /// The first column that is made.
    pub from: usize,
    /// Columns of a row that is made, those of other rounds among them.
    pub width: usize,
}

impl Pass<'_> {
    fn row(&self, y: usize) -> &[u8] {
        &self.pixels[y * self.stride..][..self.stride]
    }

    /// [`ROWS`] rows at once, turned so that a weight meets samples side by side.
    pub fn blocks(&self, narrow: &mut [u8], code: Code) {
        match code {
            Code::Portable => self.blocks_with(narrow, Portable),
            #[cfg(target_arch = "aarch64")]
            Code::Neon => self.blocks_with(narrow, super::neon::Neon),
            #[cfg(target_arch = "x86_64")]
            Code::Avx2(simd) => simd.vectorize(
                #[inline(always)]
                || self.blocks_with(narrow, simd),
            ),
        }
    }

    #[inline(always)]
    fn blocks_with(&self, narrow: &mut [u8], code: impl Loops) {
        let (span, kernels) = (self.kernels.span(), Paired::new(self.kernels));
        let mut block = Block::new(span.len());
        let span = span.start - self.column..span.end - self.column;
        for (i, out) in narrow.chunks_mut(ROWS * 3 * self.width).enumerate() {
            look();
            let y = i * ROWS;
            let height = out.len() / (3 * self.width);
            // After the last row it is repeated.
            let mut rows = [self.row(y); ROWS];
            for (i, row) in rows.iter_mut().enumerate() {
                *row = self.row(y + i.min(height - 1));
            }
            block.fill(rows, &span, self.levels, code);
            for (i, (start, weights)) in kernels.taps.iter().enumerate() {
                let weights = &kernels.pairs[weights.clone()];
                let pixels = code.pixels(&block.0[*start..*start + weights.len()], weights);
                for (row, pixel) in pixels.iter().take(height).enumerate() {
                    let at = 3 * (row * self.width + self.from + i);
                    out[at..at + 3].copy_from_slice(&pixel[..3]);
                }
            }
        }
    }

    /// Pixel by pixel, for pictures so wide that a block of rows would not fit the cache.
    pub fn pixels(&self, narrow: &mut [u8]) {
        for (y, out) in narrow.chunks_exact_mut(3 * self.width).enumerate() {
            look();
            let row = self.row(y).as_chunks::<3>().0;
            for ((start, weights), pixel) in self.kernels.taps.iter().zip(out[3 * self.from..].as_chunks_mut::<3>().0) {
                let mut sums = [HALF; 3];
                let weights = self.kernels.weights[weights.clone()].chunks(PIECE);
                for (weights, samples) in weights.zip(row[*start - self.column..].chunks(PIECE)) {
                    look();
                    for (w, samples) in weights.iter().zip(samples) {
                        for (sum, sample) in sums.iter_mut().zip(self.levels.rgb(*samples)) {
                            *sum = sum.wrapping_add(w.wrapping_mul(i32::from(sample)));
                        }
                    }
                }
                *pixel = sums.map(to_level);
            }
        }
    }
}
