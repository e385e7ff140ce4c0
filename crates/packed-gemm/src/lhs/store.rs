//! How values get into rows: rounded, by several threads, each its own parts.

use std::marker::PhantomData;

use super::format::{Layout, Word};
use super::quantize::{self, Lines, Quantization, Quantize, RowParams, ScaleScope};
use crate::convert;
use crate::cpu::prefetch;
use crate::geometry::{GROUP_WORDS, LINE_WORDS, QUANT_GROUP};

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
    quantize: Quantize,
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
        let (words, params) = (words.as_mut_ptr(), params.as_mut_ptr());
        Self { layout, words, params, quantize: quantize::fastest(), lifetime: PhantomData }
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

    /// Writes columns `column..` of a row, which begin at a multiple of the format's unit and end at another or with
    /// the row. `values` may be changed on the way.
    ///
    /// # Panics
    /// If the columns are not there, or do not begin and end so.
    #[inline(always)]
    #[allow(unsafe_code)]
    pub fn store(&self, row: usize, column: usize, values: &mut [f32]) {
        let layout = &self.layout;
        let (end, within) = (column + values.len(), layout.word.unit() - 1);
        assert!(row < layout.m && end <= layout.k);
        assert!(column & within == 0 && (end & within == 0 || end == layout.k));
        // SAFETY: inside the row, as asserted, and so are the pieces of it that this is called for; no other thread has this
        // part, as said above.
        let words_at = |at, count| unsafe { std::slice::from_raw_parts_mut(self.words.add(at), count) };
        let first = layout.at(row, layout.word.words(column));
        match layout.word {
            Word::F32 | Word::F32Even => {
                let words = words_at(first, layout.word.words(values.len()));
                let (words, rest) = words.split_at_mut(values.len());
                bytemuck::cast_slice_mut(words).copy_from_slice(values);
                rest.fill(0);
            }
            // What a product or a head of attention has, two lines.
            #[cfg(target_arch = "x86_64")]
            Word::Bf16x2 if column.is_multiple_of(2 * LINE_WORDS) && values.len() == 4 * LINE_WORDS => {
                let (low, high) = values.split_at(2 * LINE_WORDS);
                // SAFETY: `Rows` has asserted that the kernel runs here, and rows are pairs only where it has bf16.
                unsafe {
                    convert::to_bf16(low, words_at(first, LINE_WORDS));
                    convert::to_bf16(high, words_at(first + layout.line_step(), LINE_WORDS));
                }
            }
            Word::Bf16x2 => {
                for (piece, words) in layout.pieces(column, values.len()) {
                    let values = &values[piece];
                    let words = words_at(layout.at(row, words.start), words.len());
                    let (words, rest) = words.split_at_mut(layout.word.words(values.len()));
                    rest.fill(0);
                    // SAFETY: as above.
                    #[cfg(target_arch = "x86_64")]
                    unsafe {
                        convert::to_bf16(values, words);
                    }
                    #[cfg(not(target_arch = "x86_64"))]
                    convert::bf16(values, words);
                }
            }
            Word::I8x4(to) if to.scope == ScaleScope::Row => {
                assert!(values.len() == layout.k);
                self.store_integers(row, 0, 0, values, to);
            }
            Word::I8x4(to) => {
                for (i, values) in values.chunks_mut(QUANT_GROUP).enumerate() {
                    let group = column / QUANT_GROUP + i;
                    self.store_integers(row, group, group, values, to);
                }
            }
        }
    }

    /// Writes values that share their parameters, from a group on.
    #[allow(unsafe_code)]
    fn store_integers(&self, row: usize, group: usize, params: usize, values: &mut [f32], to: Quantization) {
        let layout = &self.layout;
        let (first, end) = (group * GROUP_WORDS, group * QUANT_GROUP + values.len());
        assert!(row < layout.m && end <= layout.k && params < layout.params);
        let words = if end == layout.k { layout.stride } else { layout.word.words(end) } - first;
        // SAFETY: lines and parameters of this row, as asserted; no other thread has the part that they belong to, as said
        // above.
        unsafe {
            let mut lines = Lines::new(self.words.add(layout.at(row, first)), layout.line_step(), words);
            *self.params.add(row * layout.params + params) = (self.quantize)(values, to, &mut lines);
        }
    }
}
