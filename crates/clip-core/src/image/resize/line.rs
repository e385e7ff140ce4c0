//! Rows with their channels apart, as the horizontal pass reads them.

use std::ops::Range;

use super::horizontal::Loops;
use super::kernels::CHUNK;
use crate::image::ycc::{Levels, ycc_planes_to_rgb};

/// The red, green and blue of a part of one row, each filled up so that a chunk from any sample on can be read.
pub(super) struct Line(pub [Vec<i16>; 3]);

impl Line {
    pub fn new(samples: usize) -> Self {
        Self(std::array::from_fn(|_| vec![0; samples.next_multiple_of(CHUNK) + CHUNK]))
    }

    /// Takes the pixels `span` of an interleaved `row`.
    #[inline(always)]
    pub fn fill(&mut self, row: &[u8], span: &Range<usize>, levels: Levels, code: impl Loops) {
        let [a, b, c] = &mut self.0;
        let (chunks, rest) = row[3 * span.start..3 * span.end].as_chunks::<{ 3 * CHUNK }>();
        let planes = a.as_chunks_mut().0.iter_mut().zip(b.as_chunks_mut().0).zip(c.as_chunks_mut().0);
        for (pixels, ((a, b), c)) in chunks.iter().zip(planes) {
            [*a, *b, *c] = code.split(pixels);
        }
        let done = chunks.len() * CHUNK;
        for (i, pixel) in rest.as_chunks::<3>().0.iter().enumerate() {
            (a[done + i], b[done + i], c[done + i]) = (pixel[0].into(), pixel[1].into(), pixel[2].into());
        }
        if levels == Levels::YCbCr {
            ycc_planes_to_rgb(a, b, c);
        }
    }

    /// `chunks` chunks of a channel, from sample `at` on.
    #[inline(always)]
    pub fn chunks(&self, channel: usize, at: usize, chunks: usize) -> &[[i16; CHUNK]] {
        self.0[channel][at..at + chunks * CHUNK].as_chunks().0
    }
}
