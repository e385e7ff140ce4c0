//! The left-hand side of products, in the format that the weights are multiplied in.

use aligned_vec::{AVec, ConstAlign};

use crate::encode;
use crate::kernel::Kernel;
use crate::matrix::{Precision, ShapeError, check};
use crate::team::Team;
use crate::tile::TILE;

/// Values of a row that share a scale in [`Precision::Int8`]: as many as a panel has columns, so that a product can
/// write its own output in this format, panel by panel.
pub const BLOCK: usize = 64;

/// Memory that begins at a cache line: a vector that crosses one costs two reads.
pub type Aligned<T> = AVec<T, ConstAlign<LINE_BYTES>>;

pub const LINE_BYTES: usize = 64;

/// What a word of a row holds.
#[derive(Clone, Copy, PartialEq)]
enum Format {
    F32,
    /// The same, a zero filling up an odd row: for weights in pairs of bf16 and kernels that cannot multiply those.
    EvenF32,
    /// Two bf16.
    Pairs,
    /// Four integers.
    Quads,
}

impl Format {
    fn words(self, values: usize) -> usize {
        match self {
            Self::F32 => values,
            Self::EvenF32 => values.next_multiple_of(2),
            Self::Pairs => values.div_ceil(2),
            Self::Quads => values.div_ceil(4),
        }
    }

    /// Parts of a row begin at multiples of so many values.
    fn unit(self) -> usize {
        match self {
            Self::F32 => 1,
            Self::EvenF32 | Self::Pairs => 2,
            Self::Quads => BLOCK,
        }
    }
}

/// `x` of shape `[m, k]`, rounded to a precision for a kernel. Made by what comes before the product (a norm, attention,
/// another product) row by row or part by part, so that no pass over it is needed. The memory is used again.
#[derive(Debug)]
pub struct Rows {
    precision: Precision,
    kernel: Kernel,
    m: usize,
    k: usize,
    /// `[m, stride]`
    words: Aligned<u32>,
    /// `[m, ceil(k / 64)]`: what an integer of a block stands for, or `[m]`. Int8 only.
    scales: Vec<f32>,
    /// Values of a row share a scale.
    scaled_by_row: bool,
}

impl Rows {
    /// No rows yet.
    ///
    /// # Panics
    /// If this machine cannot run `kernel`.
    pub fn new(precision: Precision, kernel: Kernel) -> Self {
        assert!(kernel.runs_here(), "{kernel:?} does not run on this machine");
        Self {
            precision,
            kernel,
            m: 0,
            k: 0,
            words: Aligned::new(LINE_BYTES),
            scales: Vec::new(),
            scaled_by_row: false,
        }
    }

    pub fn precision(&self) -> Precision {
        self.precision
    }

    pub fn kernel(&self) -> Kernel {
        self.kernel
    }

    /// m
    pub fn len(&self) -> usize {
        self.m
    }

    pub fn is_empty(&self) -> bool {
        self.m == 0
    }

    /// k
    pub fn width(&self) -> usize {
        self.k
    }

    /// Becomes `[m, k]`, each row as `row(i, values)` writes it.
    pub fn fill(&mut self, team: &Team, m: usize, k: usize, row: impl Fn(usize, &mut [f32]) + Sync) {
        // Short rows together: a turn costs a fraction of a microsecond.
        const VALUES_PER_TURN: usize = 1 << 13;
        let some = (VALUES_PER_TURN / k.max(1)).max(1);
        let out = self.begin(m, k, true);
        team.for_each(m.div_ceil(some), |turn| {
            encode::scratch(k, |values| {
                for i in turn * some..m.min((turn + 1) * some) {
                    row(i, values);
                    out.store(i, 0, values);
                }
            });
        });
    }

    /// Becomes the rows of `x`, `[m, k]`.
    pub fn copy_from(&mut self, team: &Team, x: &[f32], k: usize) -> Result<(), ShapeError> {
        let m = x.len() / k.max(1);
        check("length of the left-hand side", x.len(), m * k)?;
        self.fill(team, m, k, |i, row| row.copy_from_slice(&x[i * k..][..k]));
        Ok(())
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
        if !width.is_multiple_of(self.format().unit()) {
            // A word or a block has values of several parts: all in f32 first.
            let mut whole = Self::new(Precision::F32, self.kernel);
            whole.fill_grid(team, heights, parts, width, cell);
            return self.fill(team, m, k, |i, row| row.copy_from_slice(bytemuck::cast_slice(&whole.from(i).0[..k])));
        }
        let out = self.reset(m, k);
        team.for_each(heights.len() * parts, |turn| {
            let (i, part) = (turn / parts, turn % parts);
            encode::scratch(heights[i] * width, |values| {
                cell(i, part, values);
                for (j, values) in values.chunks_exact(width).enumerate() {
                    out.store(starts[i] + j, part * width, values);
                }
            });
        });
    }

    /// Values `column..` of a row, as they were rounded.
    #[inline(always)]
    pub fn read(&self, row: usize, column: usize, out: &mut [f32]) {
        assert!(row < self.m && column + out.len() <= self.k);
        let (words, scales) = self.from(row);
        match self.format() {
            Format::F32 | Format::EvenF32 => out.copy_from_slice(&bytemuck::cast_slice(words)[column..][..out.len()]),
            Format::Pairs => {
                let halves = bytemuck::cast_slice::<u32, u16>(words);
                for (value, half) in out.iter_mut().zip(&halves[column..]) {
                    *value = f32::from_bits(u32::from(*half) << 16);
                }
            }
            Format::Quads => {
                let zero = self.kernel.zero() as u8;
                for (i, value) in out.iter_mut().enumerate() {
                    let byte = words[(column + i) / 4].to_le_bytes()[(column + i) % 4];
                    let scale = scales[if self.scaled_by_row { 0 } else { (column + i) / BLOCK }];
                    *value = f32::from(byte.wrapping_sub(zero).cast_signed()) * scale;
                }
            }
        }
    }

    fn format(&self) -> Format {
        match self.precision {
            Precision::F32 => Format::F32,
            Precision::Bf16 if self.kernel.has_bf16() => Format::Pairs,
            Precision::Bf16 => Format::EvenF32,
            Precision::Int8 => Format::Quads,
        }
    }

    /// Words of a row.
    pub(crate) fn stride(&self) -> usize {
        self.format().words(self.k)
    }

    /// Takes a shape, contents to be written, part by part.
    pub(crate) fn reset(&mut self, m: usize, k: usize) -> Writer<'_> {
        self.begin(m, k, false)
    }

    /// `whole`: row by row. AMX then takes one scale for each: to multiply the sums of every 64 values by one of their own
    /// costs it more than the products do.
    fn begin(&mut self, m: usize, k: usize, whole: bool) -> Writer<'_> {
        (self.m, self.k) = (m, k);
        self.scaled_by_row = whole && self.precision == Precision::Int8 && self.kernel == Kernel::Amx;
        let (stride, blocks) = (self.stride(), self.blocks());
        // Tiles read on after the last row. What is larger stays so: growing again would write it.
        let rows = m + TILE - 1;
        if self.words.len() < rows * stride {
            self.words.resize(rows * stride, 0);
        }
        if self.scales.len() < rows * blocks {
            self.scales.resize(rows * blocks, 0.0);
        }
        Writer {
            format: self.format(),
            kernel: self.kernel,
            m,
            k,
            stride,
            blocks,
            scaled_by_row: self.scaled_by_row,
            words: self.words.as_mut_ptr(),
            scales: self.scales.as_mut_ptr(),
            lifetime: std::marker::PhantomData,
        }
    }

    /// Scales of a row.
    pub(crate) fn blocks(&self) -> usize {
        match self.precision {
            Precision::Int8 if self.scaled_by_row => 1,
            Precision::Int8 => self.k.div_ceil(BLOCK),
            _ => 0,
        }
    }

    /// Words of the rows from this one on, and their scales.
    pub(crate) fn from(&self, row: usize) -> (&[u32], &[f32]) {
        (&self.words[row * self.stride()..], &self.scales[row * self.blocks()..])
    }
}

/// Rows that several threads fill, each its own parts.
pub struct Writer<'a> {
    format: Format,
    kernel: Kernel,
    m: usize,
    k: usize,
    stride: usize,
    blocks: usize,
    scaled_by_row: bool,
    words: *mut u32,
    scales: *mut f32,
    lifetime: std::marker::PhantomData<&'a mut Rows>,
}

// SAFETY: `store`, the one way to the memory, writes a part of a row; that no two threads are given the same part is the
// business of this crate's loops, which give each turn its own.
#[allow(unsafe_code)]
unsafe impl Sync for Writer<'_> {}

impl Writer<'_> {
    /// Writes columns `column..` of a row, which begin at a multiple of the format's unit and end at another or with the
    /// row.
    #[inline]
    pub fn store(&self, row: usize, column: usize, values: &[f32]) {
        self.store_by::<false>(row, column, values);
    }

    /// The same, `INLINE`: with the instructions of the caller and not by a call that looks for the best ones.
    #[inline(always)]
    #[allow(unsafe_code)]
    pub fn store_by<const INLINE: bool>(&self, row: usize, column: usize, values: &[f32]) {
        let (end, unit) = (column + values.len(), self.format.unit());
        assert!(row < self.m && end <= self.k);
        assert!(column.is_multiple_of(unit) && (end.is_multiple_of(unit) || end == self.k));
        let (first, count) = (self.format.words(column), self.format.words(values.len()));
        // SAFETY: inside the row, as asserted; no other thread has this part, as said above.
        let words = unsafe { std::slice::from_raw_parts_mut(self.words.add(row * self.stride + first), count) };
        match self.format {
            Format::F32 | Format::EvenF32 => {
                let (to, rest) = words.split_at_mut(values.len());
                bytemuck::cast_slice_mut(to).copy_from_slice(values);
                rest.fill(0);
            }
            // SAFETY: `Rows::new` has asserted that the kernel runs here, and rows are pairs only where it has bf16.
            #[cfg(target_arch = "x86_64")]
            Format::Pairs => unsafe { crate::x86::to_bf16(values, words) },
            #[cfg(not(target_arch = "x86_64"))]
            Format::Pairs => encode::bf16(values, words),
            Format::Quads => {
                let (first, count) = match self.scaled_by_row {
                    true => (0, 1),
                    false => (column / BLOCK, values.len().div_ceil(BLOCK)),
                };
                // SAFETY: the same for the scales of these blocks.
                let scales =
                    unsafe { std::slice::from_raw_parts_mut(self.scales.add(row * self.blocks + first), count) };
                let (levels, zero) = (self.kernel.levels(), self.kernel.zero());
                if self.scaled_by_row {
                    assert!(values.len() == self.k);
                    scales[0] = encode::int8_row(values, levels, zero, words);
                } else if INLINE {
                    encode::int8_inline(values, levels, zero, words, scales);
                } else {
                    encode::int8(values, levels, zero, words, scales);
                }
            }
        }
    }
}
