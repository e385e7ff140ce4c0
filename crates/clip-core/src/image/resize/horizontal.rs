//! The horizontal pass.

use std::ops::Range;

use super::kernels::{CHUNK, Chunk, Chunks, HALF, Kernels, fit_halves, to_level};
use super::line::Line;
use super::portable::Portable;
use super::{Axis, Code};
use crate::image::Rgb8;
use crate::image::ycc::Levels;
use crate::spec::ResizeFilter;

/// Weights are made for as many columns as fit in this many, at least for one. Only extreme pictures need several rounds.
const MAX_WEIGHTS: usize = 1 << 20;

/// Beyond this many samples a row with its channels apart would no longer fit the cache (and, at the extreme, the memory).
const MAX_LINE: usize = 1 << 16;

/// The inner loops, as a processor runs them best.
pub(super) trait Loops: Copy {
    /// The channels of [`CHUNK`] pixels.
    fn split(self, pixels: &[u8; 3 * CHUNK]) -> [[i16; CHUNK]; 3];

    /// One pixel of each of two rows, from their samples from `at` on.
    fn two_pixels(self, lines: &[Line; 2], at: usize, weights: &[Chunk]) -> [[u8; 3]; 2];
}

/// The horizontal pass over some rows of `image`.
pub(super) fn horizontal(
    image: &Rgb8,
    levels: Levels,
    rows: Range<usize>,
    x: Axis,
    filter: ResizeFilter,
    code: Code,
) -> Vec<u8> {
    let mut narrow = vec![0u8; rows.len() * x.count * 3];
    let mut from = 0;
    while from < x.count {
        let kernels = Kernels::new(x, filter, from, MAX_WEIGHTS);
        let pass = Pass { image, levels, kernels: &kernels, rows: rows.clone(), from, width: x.count };
        if kernels.span().len() <= MAX_LINE && fit_halves(&kernels) {
            pass.lines(&mut narrow, code);
        } else {
            pass.pixels(&mut narrow);
        }
        from += kernels.taps.len();
    }
    narrow
}

/// One round of the horizontal pass: the columns from `from` on that `kernels` make, in rows of `width`.
pub(super) struct Pass<'a> {
    pub image: &'a Rgb8,
    pub levels: Levels,
    pub kernels: &'a Kernels,
    pub rows: Range<usize>,
    pub from: usize,
    pub width: usize,
}

impl Pass<'_> {
    fn row(&self, y: usize) -> &[u8] {
        let stride = 3 * self.image.width as usize;
        &self.image.pixels[y * stride..][..stride]
    }

    /// Two rows at once, their channels taken apart, so that weights meet samples side by side.
    pub fn lines(&self, narrow: &mut [u8], code: Code) {
        let span = self.kernels.span();
        let chunks = Chunks::new(self.kernels, span.start);
        let mut lines = [Line::new(span.len()), Line::new(span.len())];
        let mut spare = vec![0; 3 * self.width];
        for (y, out) in self.rows.clone().step_by(2).zip(narrow.chunks_mut(2 * 3 * self.width)) {
            let (top, bottom) = out.split_at_mut(3 * self.width);
            // Of an odd number of rows the last one is computed twice.
            let last = bottom.is_empty();
            let rows = [self.row(y), self.row(if last { y } else { y + 1 })];
            let bottom = if last { &mut *spare } else { bottom };
            let out = [top, bottom].map(|row| &mut row[3 * self.from..]);
            let round = TwoRows { rows, span: &span, levels: self.levels, chunks: &chunks };
            match code {
                Code::Portable => round.run(Portable, &mut lines, out),
                #[cfg(target_arch = "x86_64")]
                Code::Avx2(simd) => simd.vectorize(
                    #[inline(always)]
                    || round.run(simd, &mut lines, out),
                ),
            }
        }
    }

    /// Pixel by pixel, for pictures so wide that a line of their samples would not fit the cache.
    pub fn pixels(&self, narrow: &mut [u8]) {
        for (y, out) in self.rows.clone().zip(narrow.chunks_exact_mut(3 * self.width)) {
            let row = self.row(y).as_chunks::<3>().0;
            for ((start, weights), pixel) in self.kernels.taps.iter().zip(out[3 * self.from..].as_chunks_mut::<3>().0) {
                let mut sums = [HALF; 3];
                for (w, samples) in self.kernels.weights[weights.clone()].iter().zip(&row[*start..]) {
                    for (sum, sample) in sums.iter_mut().zip(self.levels.rgb(*samples)) {
                        *sum = sum.wrapping_add(w.wrapping_mul(i32::from(sample)));
                    }
                }
                *pixel = sums.map(to_level);
            }
        }
    }
}

struct TwoRows<'a> {
    rows: [&'a [u8]; 2],
    span: &'a Range<usize>,
    levels: Levels,
    chunks: &'a Chunks,
}

impl TwoRows<'_> {
    #[inline(always)]
    fn run(self, code: impl Loops, lines: &mut [Line; 2], [top, bottom]: [&mut [u8]; 2]) {
        for (line, row) in lines.iter_mut().zip(self.rows) {
            line.fill(row, self.span, self.levels, code);
        }
        let out = top.as_chunks_mut::<3>().0.iter_mut().zip(bottom.as_chunks_mut::<3>().0);
        for ((at, weights), (top, bottom)) in self.chunks.taps.iter().zip(out) {
            [*top, *bottom] = code.two_pixels(lines, *at, &self.chunks.chunks[weights.clone()]);
        }
    }
}
