//! How values get into rows: rounded, by several threads, each its own parts.

use std::marker::PhantomData;

use super::format::{Layout, Word};
use super::quantize::{self, RowParams, ScaleScope};
use crate::convert;
use crate::cpu::prefetch;
use crate::geometry::{LINE_WORDS, NR, QUANT_GROUP};

/// Asks for values of a row, of rows whose words begin at `words`.
#[inline(always)]
pub fn prefetch_values(words: *const u32, layout: &Layout, row: usize, column: usize, count: usize) {
    let end = (column + count).min(layout.k);
    for word in (layout.word.words(column)..layout.word.words(end)).step_by(LINE_WORDS) {
        prefetch(words.wrapping_add(layout.at(row, word)));
    }
}

/// Rows that several threads fill, each its own parts.
pub struct Writer<'a> {
    layout: Layout,
    words: *mut u32,
    params: *mut RowParams,
    lifetime: PhantomData<&'a mut [u32]>,
}

// SAFETY: `store`, the one way to the memory, writes a part of a row; that no two threads are given the same part is the
// business of this crate's loops, which give each task its own.
#[allow(unsafe_code)]
unsafe impl Sync for Writer<'_> {}

impl<'a> Writer<'a> {
    /// To rows whose memory this is.
    pub fn new(layout: Layout, words: &'a mut [u32], params: &'a mut [RowParams]) -> Self {
        assert!(words.len() >= layout.len() && params.len() >= layout.all_params());
        Self { layout, words: words.as_mut_ptr(), params: params.as_mut_ptr(), lifetime: PhantomData }
    }

    /// Writes a whole row of integers that has one scale, of whole groups, from one of pairs of bf16.
    #[cfg(target_arch = "x86_64")]
    #[allow(unsafe_code)]
    pub fn store_pairs(&self, row: usize, from: &[u32], pairs: &Layout) {
        use super::quantize_avx512::{RowLines, integers_of_bf16};
        let layout = &self.layout;
        assert!(row < layout.m && row < pairs.m && layout.k == pairs.k && layout.k.is_multiple_of(QUANT_GROUP));
        let Word::I8x4(quantization) = layout.word else { panic!("integers of rows of another format") };
        assert!(quantization.scope == ScaleScope::Row && pairs.word == Word::Bf16x2 && from.len() >= pairs.len());
        // SAFETY: both rows are there, as asserted, with lines of 64 and of 32 values, and no other thread has this one, as
        // said above. `Rows` has asserted that the kernel runs here, and rows are pairs only where it has bf16.
        unsafe {
            let to = RowLines { first: self.words.add(layout.at(row, 0)), step: layout.line_step() };
            let from = RowLines { first: from[pairs.at(row, 0)..].as_ptr(), step: pairs.line_step() };
            *self.params.add(row * layout.params) = integers_of_bf16(from, to, layout.k / QUANT_GROUP, quantization);
        }
    }

    /// Are the rows bf16 or integers?
    #[inline(always)]
    pub fn rounds(&self) -> bool {
        matches!(self.layout.word, Word::Bf16x2 | Word::I8x4(_))
    }

    /// Asks for the memory of some columns of a row.
    #[inline(always)]
    pub fn prefetch(&self, row: usize, column: usize, count: usize) {
        prefetch_values(self.words, &self.layout, row, column, count);
    }

    /// Writes columns `column..` of a row, which begin at a multiple of the format's unit and end at another or with the
    /// row.
    #[inline]
    pub fn store(&self, row: usize, column: usize, values: &[f32]) {
        self.store_by::<false>(row, column, values);
    }

    /// Writes columns `column..` of a row, which begin at a multiple of the format's unit and end at another or with
    /// the row.
    ///
    /// `INLINE`: with the instructions of the caller and not by a call that looks for the best ones.
    ///
    /// # Panics
    /// If the columns are not there, or do not begin and end so.
    #[inline(always)]
    #[allow(unsafe_code)]
    pub fn store_by<const INLINE: bool>(&self, row: usize, column: usize, values: &[f32]) {
        let layout = &self.layout;
        let (end, within) = (column + values.len(), layout.word.unit() - 1);
        assert!(row < layout.m && end <= layout.k);
        assert!(column & within == 0 && (end & within == 0 || end == layout.k));
        let params = |i| {
            assert!(i < layout.params);
            // SAFETY: of this row; no other thread has the part that it belongs to, as said above.
            unsafe { &mut *self.params.add(row * layout.params + i) }
        };
        // SAFETY: inside the row, as asserted, and so are the pieces of it that this is called for; no other thread has this
        // part, as said above.
        let words_at = |at, count| unsafe { std::slice::from_raw_parts_mut(self.words.add(at), count) };
        let first = layout.at(row, layout.word.words(column));
        match (layout.word, values.as_array::<NR>()) {
            (Word::F32 | Word::F32Even, _) => {
                let words = words_at(first, layout.word.words(values.len()));
                let (words, rest) = words.split_at_mut(values.len());
                bytemuck::cast_slice_mut(words).copy_from_slice(values);
                rest.fill(0);
            }
            // What a product or a head of attention has, two lines.
            #[cfg(target_arch = "x86_64")]
            (Word::Bf16x2, Some(values)) if column.is_multiple_of(2 * LINE_WORDS) => {
                let (low, high) = values.split_at(2 * LINE_WORDS);
                // SAFETY: `Rows` has asserted that the kernel runs here, and rows are pairs only where it has bf16.
                unsafe {
                    convert::to_bf16(low, words_at(first, LINE_WORDS));
                    convert::to_bf16(high, words_at(first + layout.line_step(), LINE_WORDS));
                }
            }
            (Word::I8x4(to), Some(values)) if INLINE && to.scope == ScaleScope::Group => {
                *params(column / QUANT_GROUP) = quantize::quantize_inline(values, to, words_at(first, LINE_WORDS));
            }
            (Word::I8x4(to), _) if to.scope == ScaleScope::Row => {
                assert!(values.len() == layout.k);
                let quantizer = quantize::quantizer(values, to.qmax);
                *params(0) = quantizer.params();
                for (piece, words) in layout.pieces(column, values.len()) {
                    let values = &values[piece];
                    let words = words_at(layout.at(row, words.start), words.len());
                    let (words, rest) = words.split_at_mut(layout.word.words(values.len()));
                    rest.fill(0);
                    quantize::integers(values, &quantizer, to.zero_point, words);
                }
            }
            _ => {
                for (piece, words) in layout.pieces(column, values.len()) {
                    let (values, group) = (&values[piece.clone()], (column + piece.start) / QUANT_GROUP);
                    let words = words_at(layout.at(row, words.start), words.len());
                    let (words, rest) = words.split_at_mut(layout.word.words(values.len()));
                    rest.fill(0);
                    match layout.word {
                        Word::I8x4(to) => *params(group) = quantize::quantize(values, to, words),
                        // SAFETY: as above.
                        #[cfg(target_arch = "x86_64")]
                        _ => unsafe { convert::to_bf16(values, words) },
                        #[cfg(not(target_arch = "x86_64"))]
                        _ => convert::bf16(values, words),
                    }
                }
            }
        }
    }
}
