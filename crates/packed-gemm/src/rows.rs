//! The left-hand side of products, in the format that the weights are multiplied in.

use aligned_vec::{AVec, ConstAlign};

use crate::encode;
use crate::format::{Format, LINE, Shape};
use crate::kernel::Kernel;
use crate::matrix::{Precision, ShapeError, check};
use crate::team::Team;
use crate::tile::{COLUMNS, TILE};
use crate::watch::reserved;

/// Values of a row that share a scale in [`Precision::Int8`]: as many as a panel has columns, so that a product can
/// write its own output in this format, panel by panel.
pub const BLOCK: usize = 64;

/// Values of a row that has one scale, at most: AMX keeps the sum of all its integers, which fits 32 bits.
const LONGEST: usize = 1 << 15;

/// Memory that begins at a cache line: a vector that crosses one costs two reads.
pub type Aligned<T> = AVec<T, ConstAlign<LINE_BYTES>>;

/// Bytes of a cache line, and of a row of an AMX tile.
pub const LINE_BYTES: usize = 64;

/// `x` of shape `[m, k]`, rounded to a precision for a kernel. Made by what comes before the product (a norm, attention,
/// another product) row by row or part by part, so that no pass over it is needed. The memory is used again.
#[derive(Debug)]
pub struct Rows {
    precision: Precision,
    kernel: Kernel,
    to_read: bool,
    shape: Shape,
    words: Aligned<u32>,
    /// `[m, ceil(k / 64)]`: what an integer of a block stands for, or `[m]`. Int8 only.
    scales: Vec<f32>,
}

impl Rows {
    /// No rows yet.
    ///
    /// # Panics
    /// If this machine cannot run `kernel`.
    pub fn new(precision: Precision, kernel: Kernel) -> Self {
        assert!(kernel.runs_here(), "{kernel:?} does not run on this machine");
        let format = match precision {
            Precision::F32 => Format::F32,
            Precision::Bf16 if kernel.multiplies_bf16() => Format::Pairs,
            Precision::Bf16 => Format::EvenF32,
            Precision::Int8 => Format::Quads,
        };
        let tiled = kernel.has_tiles() && precision != Precision::F32;
        let shape = Shape::new(format, 0, 0, tiled, false);
        Self { precision, kernel, to_read: false, shape, words: Aligned::new(LINE_BYTES), scales: Vec::new() }
    }

    /// No rows yet, for something else than a product to read: as pairs wherever the kernel has instructions for
    /// those.
    ///
    /// # Panics
    /// If this machine cannot run `kernel`.
    pub fn to_read(precision: Precision, kernel: Kernel) -> Self {
        let mut rows = Self { to_read: true, ..Self::new(precision, kernel) };
        if precision == Precision::Bf16 && kernel.has_bf16() {
            rows.shape = Shape::new(Format::Pairs, 0, 0, kernel.has_tiles(), false);
        }
        rows
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

    /// Bytes of memory that are kept for the next contents.
    pub fn bytes(&self) -> usize {
        4 * (self.words.capacity() + self.scales.capacity())
    }

    /// Rows that there are, `m`.
    pub fn len(&self) -> usize {
        self.shape.m
    }

    /// Are there no rows?
    pub fn is_empty(&self) -> bool {
        self.shape.m == 0
    }

    /// Values of a row, `k`.
    pub fn width(&self) -> usize {
        self.shape.k
    }

    /// Becomes `[m, k]`, each row as `row(i, values)` writes it.
    pub fn fill(&mut self, team: &Team, m: usize, k: usize, row: impl Fn(usize, &mut [f32]) + Sync) {
        let out = self.begin(m, k, true);
        turns(team, m, k, |rows| {
            encode::scratch(k, |values| {
                for i in rows {
                    row(i, values);
                    out.store(i, 0, values);
                }
            });
        });
    }

    /// Becomes the rows of `x`, `[m, k]` row-major. Fails where `x` has no whole rows.
    pub fn copy_from(&mut self, team: &Team, x: &[f32], k: usize) -> Result<(), ShapeError> {
        let m = x.len() / k.max(1);
        check("length of the left-hand side", x.len(), m * k)?;
        self.fill(team, m, k, |i, row| row.copy_from_slice(&x[i * k..][..k]));
        Ok(())
    }

    /// Have rows that are written whole a scale each, and others one for each 64 values? Those take longer to multiply.
    pub fn is_better_whole(&self) -> bool {
        self.precision == Precision::Int8 && self.kernel.has_dot()
    }

    /// Becomes the rows of another one, as they were rounded there.
    pub fn copy_rows(&mut self, team: &Team, from: &Self) {
        let (m, k) = (from.len(), from.width());
        #[cfg(target_arch = "x86_64")]
        if self.is_better_whole() && from.shape.format == Format::Pairs && k.is_multiple_of(BLOCK) && k <= LONGEST {
            let out = self.begin(m, k, true);
            return turns(team, m, k, |rows| rows.for_each(|row| out.store_pairs(row, from)));
        }
        self.fill(team, m, k, |i, row| from.read(i, 0, row));
    }

    /// Becomes `[sum of heights, parts * width]`, one cell after the other: `cell(i, part, values)` writes the `[height,
    /// width]` values of some rows' part.
    pub fn fill_grid(
        &mut self,
        team: &Team,
        heights: &[usize],
        parts: usize,
        width: usize,
        cell: impl Fn(usize, usize, &mut [f32]) + Sync,
    ) {
        let (m, k) = (heights.iter().sum(), parts * width);
        let starts: Vec<usize> = heights
            .iter()
            .scan(0, |start, height| {
                *start += height;
                Some(*start - height)
            })
            .collect();
        if !width.is_multiple_of(self.shape.format.unit()) {
            // A word or a block has values of several parts: all in f32 first.
            let mut whole = Self::new(Precision::F32, self.kernel);
            whole.fill_grid(team, heights, parts, width, cell);
            return self.fill(team, m, k, |i, row| row.copy_from_slice(bytemuck::cast_slice(&whole.from(i).0[..k])));
        }
        let out = self.reset(m, k);
        team.for_each(heights.len() * parts, |turn| {
            let (i, part) = (turn / parts, turn % parts);
            encode::scratch(heights[i] * width, |values| {
                (starts[i]..starts[i] + heights[i]).for_each(|row| out.prefetch(row, part * width, width));
                cell(i, part, values);
                for (j, values) in values.chunks_exact(width).enumerate() {
                    out.store(starts[i] + j, part * width, values);
                }
            });
        });
    }

    /// Asks for some values of a row to be brought into the first cache: rows are far apart, and who reads a few values of
    /// each would wait for one after the other.
    #[inline(always)]
    pub fn prefetch(&self, row: usize, column: usize, count: usize) {
        prefetch_values(self.words.as_ptr(), &self.shape, row, column, count);
    }

    /// Reads values of a row from `column` on, as many as `out` has, as they were rounded.
    ///
    /// # Panics
    /// If they are not there.
    #[inline(always)]
    #[allow(unsafe_code)]
    pub fn read(&self, row: usize, column: usize, out: &mut [f32]) {
        let shape = &self.shape;
        assert!(row < shape.m && column + out.len() <= shape.k);
        match shape.format {
            Format::F32 | Format::EvenF32 => {
                out.copy_from_slice(bytemuck::cast_slice(&self.words[shape.at(row, column)..][..out.len()]));
            }
            // Whole lines, which is what a head of attention has.
            #[cfg(target_arch = "x86_64")]
            Format::Pairs if (column | out.len()).is_multiple_of(2 * LINE) => {
                let (first, step) = (shape.at(row, column / 2), if shape.tiled { TILE * LINE } else { LINE });
                for (i, out) in out.as_chunks_mut().0.iter_mut().enumerate() {
                    let line = self.words[first + i * step..].first_chunk().expect("lines are whole");
                    // SAFETY: `Rows::new` has asserted that the kernel runs here, and rows are pairs only where it has bf16.
                    unsafe { crate::x86::from_bf16(line, out) };
                }
            }
            _ => self.read_pieces(row, column, out),
        }
    }

    /// Are values pairs of bf16, of a kernel that multiplies those faster than f32 ([`multiply_pairs`](crate::multiply_pairs))?
    /// Intel's do not without AMX. Then [`Rows::pairs`] gives them.
    pub fn is_of_pairs(&self) -> bool {
        self.shape.format == Format::Pairs && self.kernel.multiplies_bf16() && !self.shape.tiled
    }

    /// Values of a row as they are, from an even column on.
    ///
    /// # Panics
    /// If they are not [pairs](Rows::is_of_pairs), or not there.
    #[inline(always)]
    pub fn pairs(&self, row: usize, column: usize, count: usize) -> &[u32] {
        let shape = &self.shape;
        assert!(shape.format == Format::Pairs && !shape.tiled && row < shape.m && column + count <= shape.k);
        assert!(column.is_multiple_of(2));
        &self.words[shape.at(row, column / 2)..][..count.div_ceil(2)]
    }

    fn read_pieces(&self, row: usize, column: usize, out: &mut [f32]) {
        let shape = &self.shape;
        // From the middle of a word or a block: what is before it goes nowhere.
        let before = column % shape.format.unit();
        for (values, words) in shape.pieces(column - before, before + out.len()) {
            let at = shape.at(row, words.start);
            let words = &self.words[at..at + words.len()];
            let skipped = before.saturating_sub(values.start);
            let out = &mut out[values.start.saturating_sub(before)..values.end - before];
            if shape.format == Format::Quads {
                let block = if shape.scaled_by_row { 0 } else { (column - before + values.start) / BLOCK };
                let (scale, zero) = (self.scales[row * shape.blocks + block], self.kernel.zero() as u8);
                for (value, byte) in out.iter_mut().zip(&bytemuck::cast_slice::<u32, u8>(words)[skipped..]) {
                    *value = f32::from(byte.wrapping_sub(zero).cast_signed()) * scale;
                }
            } else {
                for (value, half) in out.iter_mut().zip(&bytemuck::cast_slice::<u32, u16>(words)[skipped..]) {
                    *value = f32::from_bits(u32::from(*half) << 16);
                }
            }
        }
    }

    /// Takes a shape, contents to be written, part by part.
    pub(crate) fn reset(&mut self, m: usize, k: usize) -> Writer<'_> {
        self.begin(m, k, false)
    }

    /// `whole`: row by row. AMX and VNNI then take one scale for each: to multiply the sums of every 64 values by one of
    /// their own costs AMX more than the products do, and VNNI a tenth of the time.
    fn begin(&mut self, m: usize, k: usize, whole: bool) -> Writer<'_> {
        let scaled_by_row = whole && self.is_better_whole() && k <= LONGEST;
        self.shape = Shape::new(self.shape.format, m, k, self.shape.tiled, scaled_by_row);
        // What is larger stays so: growing again would write it.
        let (words, scales) = (self.shape.len(), self.shape.scales());
        if self.words.len() < words {
            // Anew, as nothing of it is needed, and no larger than that.
            self.words = Aligned::new(LINE_BYTES);
            reserved(self.words.try_reserve_exact(words), 4 * words);
            self.words.resize(words, 0);
        }
        if self.scales.len() < scales {
            reserved(self.scales.try_reserve_exact(scales - self.scales.len()), 4 * scales);
            self.scales.resize(scales, 0.0);
        }
        Writer {
            shape: self.shape,
            levels: self.kernel.levels(),
            zero: self.kernel.zero(),
            words: self.words.as_mut_ptr(),
            scales: self.scales.as_mut_ptr(),
            lifetime: std::marker::PhantomData,
        }
    }

    /// Where the values lie.
    pub(crate) fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Words of the rows from this one on, the first one of a tile where there are tiles, and their scales.
    pub(crate) fn from(&self, row: usize) -> (&[u32], &[f32]) {
        (&self.words[self.shape.at(row, 0)..], &self.scales[row * self.shape.blocks..])
    }
}

/// Some of `m` rows of `k` values after the other, short ones together: a turn costs a fraction of a microsecond.
fn turns(team: &Team, m: usize, k: usize, rows: impl Fn(std::ops::Range<usize>) + Sync) {
    const VALUES: usize = 1 << 13;
    let some = (VALUES / k.max(1)).max(1);
    team.for_each(m.div_ceil(some), |turn| rows(turn * some..m.min((turn + 1) * some)));
}

/// Asks for the cache line at `at`, which may be any address.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
#[allow(unsafe_code)]
pub fn prefetch<T>(at: *const T) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a prefetch may point anywhere.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) };
}

/// Elsewhere the processor's own prefetching has to do.
#[cfg(not(target_arch = "x86_64"))]
pub fn prefetch<T>(_: *const T) {}

/// Asks for values of a row, of rows whose words begin at `words`.
#[inline(always)]
fn prefetch_values(words: *const u32, shape: &Shape, row: usize, column: usize, count: usize) {
    let end = (column + count).min(shape.k);
    for word in (shape.format.words(column)..shape.format.words(end)).step_by(LINE) {
        prefetch(words.wrapping_add(shape.at(row, word)));
    }
}

/// Rows that several threads fill, each its own parts.
pub struct Writer<'a> {
    shape: Shape,
    /// Of integers.
    levels: i32,
    zero: i32,
    words: *mut u32,
    scales: *mut f32,
    lifetime: std::marker::PhantomData<&'a mut Rows>,
}

// SAFETY: `store`, the one way to the memory, writes a part of a row; that no two threads are given the same part is the
// business of this crate's loops, which give each turn its own.
#[allow(unsafe_code)]
unsafe impl Sync for Writer<'_> {}

impl Writer<'_> {
    /// Writes a whole row of integers that has one scale, of whole blocks, from one of pairs of bf16.
    #[cfg(target_arch = "x86_64")]
    #[allow(unsafe_code)]
    fn store_pairs(&self, row: usize, from: &Rows) {
        use crate::x86::RowLines;
        let (shape, pairs) = (&self.shape, &from.shape);
        assert!(row < shape.m && row < pairs.m && shape.k == pairs.k && shape.k.is_multiple_of(BLOCK));
        assert!(shape.scaled_by_row && pairs.format == Format::Pairs);
        let step = |shape: &Shape| if shape.tiled { TILE * LINE } else { LINE };
        // SAFETY: both rows are there, as asserted, with lines of 64 and of 32 values, and no other thread has this one, as
        // said above. `Rows::new` has asserted that the kernel runs here, and rows are pairs only where it has bf16.
        unsafe {
            let first = self.words.add(shape.at(row, 0));
            let to = RowLines { first, step: step(shape) };
            let from = RowLines { first: from.words[pairs.at(row, 0)..].as_ptr(), step: step(pairs) };
            let scale = crate::x86::integers_of_bf16(from, to, shape.k / BLOCK, self.levels, self.zero);
            *self.scales.add(row * shape.blocks) = scale;
        }
    }

    /// Are the rows bf16 or integers?
    #[inline(always)]
    pub fn rounds(&self) -> bool {
        matches!(self.shape.format, Format::Pairs | Format::Quads)
    }

    /// Asks for the memory of some columns of a row.
    #[inline(always)]
    pub fn prefetch(&self, row: usize, column: usize, count: usize) {
        prefetch_values(self.words, &self.shape, row, column, count);
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
        let shape = &self.shape;
        let (end, within) = (column + values.len(), shape.format.unit() - 1);
        assert!(row < shape.m && end <= shape.k);
        assert!(column & within == 0 && (end & within == 0 || end == shape.k));
        let (levels, zero) = (self.levels, self.zero);
        let scale = |block| {
            assert!(block < shape.blocks);
            // SAFETY: of this row; no other thread has the part that it belongs to, as said above.
            unsafe { &mut *self.scales.add(row * shape.blocks + block) }
        };
        // SAFETY: inside the row, as asserted, and so are the pieces of it that this is called for; no other thread has this
        // part, as said above.
        let words_at = |at, count| unsafe { std::slice::from_raw_parts_mut(self.words.add(at), count) };
        let first = shape.at(row, shape.format.words(column));
        match (shape.format, values.as_array::<COLUMNS>()) {
            (Format::F32 | Format::EvenF32, _) => {
                let words = words_at(first, shape.format.words(values.len()));
                let (words, rest) = words.split_at_mut(values.len());
                bytemuck::cast_slice_mut(words).copy_from_slice(values);
                rest.fill(0);
            }
            // What a product or a head of attention has, two lines.
            #[cfg(target_arch = "x86_64")]
            (Format::Pairs, Some(values)) if column.is_multiple_of(2 * LINE) => {
                let (low, high) = values.split_at(2 * LINE);
                let step = if shape.tiled { TILE * LINE } else { LINE };
                // SAFETY: `Rows::new` has asserted that the kernel runs here, and rows are pairs only where it has bf16.
                unsafe {
                    crate::x86::to_bf16(low, words_at(first, LINE));
                    crate::x86::to_bf16(high, words_at(first + step, LINE));
                }
            }
            (Format::Quads, Some(values)) if INLINE => {
                *scale(column / BLOCK) = encode::int8_inline(values, levels, zero, words_at(first, LINE));
            }
            _ => {
                let row_scale = shape.scaled_by_row.then(|| {
                    assert!(values.len() == shape.k);
                    let scales = encode::row_scales(values, levels);
                    *scale(0) = scales.one;
                    scales
                });
                for (piece, words) in shape.pieces(column, values.len()) {
                    let (values, block) = (&values[piece.clone()], (column + piece.start) / BLOCK);
                    let words = words_at(shape.at(row, words.start), words.len());
                    let (words, rest) = words.split_at_mut(shape.format.words(values.len()));
                    rest.fill(0);
                    match &row_scale {
                        Some(scales) => encode::integers(values, scales, zero, words),
                        None if shape.format == Format::Quads => {
                            *scale(block) = encode::int8(values, levels, zero, words);
                        }
                        // SAFETY: as above.
                        #[cfg(target_arch = "x86_64")]
                        None => unsafe { crate::x86::to_bf16(values, words) },
                        #[cfg(not(target_arch = "x86_64"))]
                        None => encode::bf16(values, words),
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On a machine without AMX, too.
    #[test]
    fn rows_in_tiles_are_copied() {
        let team = Team::solo();
        for kernel in Kernel::available().filter(|kernel| kernel.has_bf16()) {
            let (m, k) = (37, 192);
            let values: Vec<f32> = (0..m * k).map(|i| ((i * 37 % 1013) as f32 - 500.0) * (i % 7) as f32).collect();
            let rows = |mut rows: Rows, tiled, fill: &dyn Fn(&mut Rows)| {
                rows.shape.tiled = tiled;
                fill(&mut rows);
                let mut read = vec![0.0; m * k];
                read.chunks_mut(k).enumerate().for_each(|(i, row)| rows.read(i, 0, row));
                (rows, read)
            };
            let pairs = |tiled| {
                rows(Rows::to_read(Precision::Bf16, kernel), tiled, &|rows| {
                    rows.copy_from(&team, &values, k).unwrap();
                })
            };
            let integers = |tiled, fill: &dyn Fn(&mut Rows)| rows(Rows::new(Precision::Int8, kernel), tiled, fill).1;
            let ((lines, expected), (tiles, given)) = (pairs(false), pairs(true));
            assert_eq!(given, expected);
            let expected = integers(false, &|rows| {
                rows.copy_from(&team, &expected, k).unwrap();
            });
            for (from, tiled) in [(&lines, false), (&lines, true), (&tiles, false), (&tiles, true)] {
                assert_eq!(integers(tiled, &|rows| rows.copy_rows(&team, from)), expected, "{kernel:?} {tiled}");
            }
        }
    }
}
