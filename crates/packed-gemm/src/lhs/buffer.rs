//! The rows of a left-hand side: their memory, what fills it and what reads it.

use super::format::{Layout, LhsFormat, Word};
use super::quantize::{Quantization, RowParams, ScaleScope};
use super::store::{Writer, prefetch_values};
use crate::error::{ShapeError, check, reserved};
use crate::geometry::{Aligned, CACHE_LINE, GROUP_WORDS, QUANT_GROUP};
use crate::isa::Kernel;
use crate::pool::ThreadPool;
use crate::precision::Precision;
use crate::rotate::rotate_back;
use crate::scratch::scratch;

/// `x` of shape `[m, k]`, rounded to a precision for a kernel. Made by what comes before the product (a norm, attention,
/// another product) row by row or part by part, so that no pass over it is needed. The memory is used again.
#[derive(Debug)]
pub struct Rows {
    precision: Precision,
    kernel: Kernel,
    formats: Formats,
    to_read: bool,
    layout: Layout,
    words: Aligned<u32>,
    /// `[m, ceil(k / 64)]`, or `[m]`. Int8 only.
    params: Vec<RowParams>,
    /// What is written in parts and has to be read whole.
    staging: Option<Box<Rows>>,
}

/// What a kernel reads rows of a precision as.
#[derive(Clone, Copy, Debug)]
pub struct Formats {
    /// Left-hand sides of its products.
    pub lhs: LhsFormat,
    /// Rows that something else than a product reads.
    pub to_read: LhsFormat,
    /// What rows are written in first where they are written part by part and need to be known whole.
    pub staging: LhsFormat,
}

impl Rows {
    /// No rows yet. `kernel` runs here.
    pub(crate) fn in_formats(precision: Precision, kernel: Kernel, formats: Formats, to_read: bool) -> Self {
        Self {
            precision,
            kernel,
            formats,
            to_read,
            layout: Layout::new(if to_read { formats.to_read } else { formats.lhs }, 0, 0),
            words: Aligned::new(CACHE_LINE),
            params: Vec::new(),
            staging: None,
        }
    }

    /// Made by [`Rows::to_read`]?
    pub fn is_to_read(&self) -> bool {
        self.to_read
    }

    /// The precision of the matrices that these rows are multiplied with.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// The kernel that they are written for, and multiplied by.
    pub fn kernel(&self) -> Kernel {
        self.kernel
    }

    /// What its integers are, if it has those.
    pub fn quantization(&self) -> Option<Quantization> {
        if let Word::I8x4(quantization) = self.layout.word { Some(quantization) } else { None }
    }

    /// Bytes of memory that are kept for the next contents.
    pub fn bytes(&self) -> usize {
        let staging = self.staging.as_ref().map_or(0, |staging| staging.bytes());
        4 * self.words.capacity() + size_of::<RowParams>() * self.params.capacity() + staging
    }

    /// Rows that there are, `m`.
    pub fn len(&self) -> usize {
        self.layout.m
    }

    /// Are there no rows?
    pub fn is_empty(&self) -> bool {
        self.layout.m == 0
    }

    /// Values of a row, `k`.
    pub fn width(&self) -> usize {
        self.layout.k
    }

    /// Becomes `[m, k]`, each row as `row(i, values)` writes it.
    pub fn fill(&mut self, pool: &ThreadPool, m: usize, k: usize, row: impl Fn(usize, &mut [f32]) + Sync) {
        let out = self.begin(m, k);
        tasks(pool, m, k, |rows| {
            scratch(k, |values| {
                for i in rows {
                    row(i, values);
                    out.store(i, 0, values);
                }
            });
        });
    }

    /// Becomes the rows of `x`, `[m, k]` row-major. Fails where `x` has no whole rows.
    pub fn copy_from(&mut self, pool: &ThreadPool, x: &[f32], k: usize) -> Result<(), ShapeError> {
        let m = x.len() / k.max(1);
        check("length of the left-hand side", x.len(), m * k)?;
        self.fill(pool, m, k, |i, row| row.copy_from_slice(&x[i * k..][..k]));
        Ok(())
    }

    /// Becomes the rows of another one, as they were rounded there.
    pub fn copy_rows(&mut self, pool: &ThreadPool, from: &Self) {
        let (m, k) = (from.len(), from.width());
        self.fill(pool, m, k, |i, row| from.read(i, 0, row));
    }

    /// Becomes `[sum of heights, parts * width]`, one cell after the other: `cell(i, part, values)` writes the `[height,
    /// width]` values of some rows' part.
    ///
    /// Integers with a scale for each row are rows of bf16 [to read](Rows::to_read) first.
    pub fn fill_grid(
        &mut self,
        pool: &ThreadPool,
        heights: &[usize],
        parts: usize,
        width: usize,
        cell: impl Fn(usize, usize, &mut [f32]) + Sync,
    ) {
        if self.is_of_whole_rows() {
            return self.stage(pool, |staging| staging.fill_grid(pool, heights, parts, width, cell));
        }
        let (m, k) = (heights.iter().sum(), parts * width);
        let starts: Vec<usize> = heights
            .iter()
            .scan(0, |start, height| {
                *start += height;
                Some(*start - height)
            })
            .collect();
        if !width.is_multiple_of(self.layout.word.unit()) {
            // A word or a group has values of several parts: all in f32 first.
            let f32 = LhsFormat::rows(Word::F32);
            let formats = Formats { lhs: f32, to_read: f32, staging: f32 };
            let mut whole = Self::in_formats(Precision::F32, self.kernel, formats, false);
            whole.fill_grid(pool, heights, parts, width, cell);
            return self
                .fill(pool, m, k, |i, row| row.copy_from_slice(bytemuck::cast_slice(&whole.words_from(i)[..k])));
        }
        let out = self.begin(m, k);
        pool.for_each(heights.len() * parts, |task| {
            let (i, part) = (task / parts, task % parts);
            scratch(heights[i] * width, |values| {
                (starts[i]..starts[i] + heights[i]).for_each(|row| out.prefetch(row, part * width, width));
                cell(i, part, values);
                for (j, values) in values.chunks_exact_mut(width).enumerate() {
                    out.store(starts[i] + j, part * width, values);
                }
            });
        });
    }

    /// Becomes `[m, k]`, which `write` writes, each value once.
    pub(crate) fn write_parts(&mut self, pool: &ThreadPool, m: usize, k: usize, write: impl FnOnce(Writer)) {
        if self.is_of_whole_rows() {
            self.stage(pool, |staging| write(staging.begin(m, k)));
        } else {
            write(self.begin(m, k));
        }
    }

    /// Are parts of a row of no use? Integers with a scale for each row need it whole.
    fn is_of_whole_rows(&self) -> bool {
        LhsFormat { word: self.layout.word, tiled: self.layout.tiled }.is_of_whole_rows()
    }

    /// Becomes what `fill` makes of rows that may be written in parts.
    fn stage(&mut self, pool: &ThreadPool, fill: impl FnOnce(&mut Self)) {
        let mut staging = self.staging.take().unwrap_or_else(|| {
            let format = self.formats.staging;
            let formats = Formats { lhs: format, to_read: format, staging: format };
            Box::new(Self::in_formats(Precision::Bf16, self.kernel, formats, true))
        });
        fill(&mut staging);
        self.copy_rows(pool, &staging);
        self.staging = Some(staging);
    }

    /// Asks for some values of a row to be brought into the first cache: rows are far apart, and who reads a few values of
    /// each would wait for one after the other.
    #[inline(always)]
    pub fn prefetch(&self, row: usize, column: usize, count: usize) {
        prefetch_values(self.words.as_ptr(), &self.layout, row, column, count);
    }

    /// Reads values of a row from `column` on, as many as `out` has, as they were rounded.
    ///
    /// # Panics
    /// If they are not there.
    #[inline(always)]
    #[allow(unsafe_code)]
    pub fn read(&self, row: usize, column: usize, out: &mut [f32]) {
        let layout = &self.layout;
        assert!(row < layout.m && column + out.len() <= layout.k);
        match layout.word {
            Word::F32 | Word::F32Even => {
                out.copy_from_slice(bytemuck::cast_slice(&self.words[layout.at(row, column)..][..out.len()]));
            }
            // Whole lines, which is what a head of attention has, and then what is left of a row.
            #[cfg(target_arch = "x86_64")]
            Word::Bf16x2 if column.is_multiple_of(2 * crate::geometry::LINE_WORDS) => {
                let (first, step) = (layout.at(row, column / 2), layout.line_step());
                let (lines, rest) = out.as_chunks_mut();
                if !rest.is_empty() {
                    self.read_pairs(row, column + lines.as_flattened().len(), rest);
                }
                for (i, out) in lines.iter_mut().enumerate() {
                    let line = self.words[first + i * step..].first_chunk().expect("lines are whole");
                    // SAFETY: `Rows::new` has asserted that the kernel runs here, and rows are pairs only where it has bf16.
                    unsafe { crate::convert::from_bf16(line, out) };
                }
            }
            Word::I8x4(of) => self.read_integers(row, column, of, out),
            _ => self.read_pairs(row, column, out),
        }
    }

    /// Are values pairs of bf16, of a kernel that multiplies those faster than f32 ([`multiply_pairs`](crate::multiply_pairs))?
    /// Intel's do not without AMX. Then [`Rows::pairs`] gives them.
    pub fn is_of_pairs(&self) -> bool {
        self.layout.word == Word::Bf16x2 && self.formats.lhs.word == Word::Bf16x2 && !self.layout.tiled
    }

    /// Values of a row as they are, from an even column on.
    ///
    /// # Panics
    /// If they are not [pairs](Rows::is_of_pairs), or not there.
    #[inline(always)]
    pub fn pairs(&self, row: usize, column: usize, count: usize) -> &[u32] {
        let layout = &self.layout;
        assert!(layout.word == Word::Bf16x2 && !layout.tiled && row < layout.m && column + count <= layout.k);
        assert!(column.is_multiple_of(2));
        &self.words[layout.at(row, column / 2)..][..count.div_ceil(2)]
    }

    /// Pairs of bf16 from anywhere to anywhere.
    fn read_pairs(&self, row: usize, column: usize, out: &mut [f32]) {
        let layout = &self.layout;
        // From the middle of a word: what is before it goes nowhere.
        let before = column % layout.word.unit();
        for (values, words) in layout.pieces(column - before, before + out.len()) {
            let at = layout.at(row, words.start);
            let words = &self.words[at..at + words.len()];
            let skipped = before.saturating_sub(values.start);
            let out = &mut out[values.start.saturating_sub(before)..values.end - before];
            for (value, half) in out.iter_mut().zip(&bytemuck::cast_slice::<u32, u16>(words)[skipped..]) {
                *value = f32::from_bits(u32::from(*half) << 16);
            }
        }
    }

    /// What integers stand for. The transform of their values is that of a whole row.
    fn read_integers(&self, row: usize, column: usize, of: Quantization, out: &mut [f32]) {
        let layout = &self.layout;
        let mut values = Vec::with_capacity(layout.k);
        for group in 0..layout.k.div_ceil(QUANT_GROUP) {
            let params = if of.scope == ScaleScope::Row { 0 } else { group };
            let (first, count) = (group * GROUP_WORDS, QUANT_GROUP.min(layout.k - group * QUANT_GROUP));
            let words = &self.words[layout.at(row, first)..][..count.div_ceil(4)];
            let bytes = &bytemuck::cast_slice(words)[..count];
            values.extend(self.params[row * layout.params + params].values(bytes, of));
        }
        rotate_back(&mut values);
        out.copy_from_slice(&values[column..][..out.len()]);
    }

    /// Takes a shape, contents to be written.
    fn begin(&mut self, m: usize, k: usize) -> Writer<'_> {
        let format = if self.to_read { self.formats.to_read } else { self.formats.lhs };
        self.layout = Layout::new(format, m, k);
        // What is larger stays so: growing again would write it.
        let (words, params) = (self.layout.len(), self.layout.all_params());
        if self.words.len() < words {
            // Anew, as nothing of it is needed, and no larger than that.
            self.words = Aligned::new(CACHE_LINE);
            reserved(self.words.try_reserve_exact(words), 4 * words);
            self.words.resize(words, 0);
        }
        if self.params.len() < params {
            let bytes = size_of::<RowParams>() * params;
            reserved(self.params.try_reserve_exact(params - self.params.len()), bytes);
            self.params.resize(params, RowParams::default());
        }
        Writer::new(self.layout, &mut self.words, &mut self.params)
    }

    /// Where the values lie.
    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Words of the rows from this one on, the first one of a tile where there are tiles.
    pub(crate) fn words_from(&self, row: usize) -> &[u32] {
        &self.words[self.layout.at(row, 0)..]
    }

    /// Parameters of the rows from this one on.
    pub(crate) fn params_from(&self, row: usize) -> &[RowParams] {
        &self.params[row * self.layout.params..]
    }
}

/// Some of `m` rows of `k` values after the other, short ones together: a task costs a fraction of a microsecond.
fn tasks(pool: &ThreadPool, m: usize, k: usize, rows: impl Fn(std::ops::Range<usize>) + Sync) {
    const VALUES: usize = 1 << 13;
    let some = (VALUES / k.max(1)).max(1);
    pool.for_each(m.div_ceil(some), |task| rows(task * some..m.min((task + 1) * some)));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On a machine without AMX, too.
    #[test]
    fn rows_in_tiles_are_copied() {
        let pool = ThreadPool::solo();
        for kernel in Kernel::available() {
            let pairs_of = Rows::to_read(Precision::Bf16, kernel);
            if pairs_of.layout.word != Word::Bf16x2 {
                continue;
            }
            let (m, k) = (37, 192);
            let values: Vec<f32> = (0..m * k).map(|i| ((i * 37 % 1013) as f32 - 500.0) * (i % 7) as f32).collect();
            let rows = |mut rows: Rows, tiled, fill: &dyn Fn(&mut Rows)| {
                for format in [&mut rows.formats.lhs, &mut rows.formats.to_read] {
                    format.tiled = tiled;
                }
                fill(&mut rows);
                let mut read = vec![0.0; m * k];
                read.chunks_mut(k).enumerate().for_each(|(i, row)| rows.read(i, 0, row));
                (rows, read)
            };
            let pairs = |tiled| {
                rows(Rows::to_read(Precision::Bf16, kernel), tiled, &|rows| {
                    rows.copy_from(&pool, &values, k).unwrap();
                })
            };
            let integers = |tiled, fill: &dyn Fn(&mut Rows)| rows(Rows::new(Precision::Int8, kernel), tiled, fill).1;
            let ((lines, expected), (tiles, given)) = (pairs(false), pairs(true));
            assert_eq!(given, expected);
            let expected = integers(false, &|rows| {
                rows.copy_from(&pool, &expected, k).unwrap();
            });
            for (from, tiled) in [(&lines, false), (&lines, true), (&tiles, false), (&tiles, true)] {
                assert_eq!(integers(tiled, &|rows| rows.copy_rows(&pool, from)), expected, "{kernel:?} {tiled}");
            }
        }
    }
}
