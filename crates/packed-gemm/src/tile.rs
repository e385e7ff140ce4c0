//! The inner loops: some rows of `x` times one panel of 64 columns.

use pulp::{Scalar128b, Simd};

use crate::encode::scratch;
use crate::epilogue::Epilogue;
use crate::format::LINE;
use crate::kernel::Kernel;
use crate::layout::{Layout, halves};
use crate::output::Output;

/// Columns of a panel.
pub const COLUMNS: usize = 64;
/// Columns that AVX2's registers hold the sums of, for the rows of a tile.
pub const NARROW: usize = 16;
/// Pieces of a panel, each so wide.
pub const PARTS: usize = COLUMNS / NARROW;
/// Rows of a tile: 6 × 64 sums fill 24 of the 32 registers of AVX-512.
pub const ROWS: usize = 6;
/// Tiles of a job that are few: see [`Part::ahead_of_tile`].
const FEW: usize = 3;
/// Rows of a tile of AMX. It reads so many even where there are fewer.
pub const TILE: usize = 16;

/// Steps of a panel, each a word in every column, that meet all rows before the next ones do: 192 KiB, which stay in a
/// core's second cache.
pub const STEPS: usize = 768;

/// Sums of some rows.
pub type Sums = [[f32; COLUMNS]];

/// A panel's share of the product for some rows.
pub struct Job<'a> {
    /// The left-hand side from the first row on, and the whole panel.
    pub operands: Operands<'a>,
    /// Words that this thread is likely to need after this job.
    pub ahead: &'a [u32],
    /// The first row, of which `operands` has the values, and how many there are.
    pub row: usize,
    /// Rows of the product.
    pub rows: usize,
    /// First column of the panel, and how many of its 64 there are.
    pub column: usize,
    /// Columns of the panel that the product has: 64 but for the last panel.
    pub width: usize,
    /// What follows the sums.
    pub epilogue: &'a Epilogue<'a>,
    /// The whole product, of which a job writes its own rows and columns.
    pub out: &'a Output<'a>,
}

/// Some steps of the sums of a job.
pub struct Part<'a> {
    /// Whose sums these are.
    pub job: &'a Job<'a>,
    /// Those of the part's steps alone.
    pub operands: Operands<'a>,
    /// Words that are needed next, to be fetched from memory meanwhile.
    pub ahead: &'a [u32],
    /// Goes on with the sums of those before, instead of zero.
    pub add: bool,
    /// Finishes the sums.
    pub last: bool,
}

/// The left-hand side of a job and its panel. A row of `x` takes `stride` words. They lie one after the other; for
/// kernels with tiles, bf16 and integers are `[m / 16, stride / 16, 16, 16]`.
#[derive(Clone, Copy)]
pub enum Operands<'a> {
    /// `[m, steps]`
    F32 {
        x: &'a [f32],
        stride: usize,
        panel: Panel<'a, f32>,
    },
    /// `[m, 2 * steps]`, and two bf16 in each word of the panel, the first one in the low half
    WeightsBf16 {
        x: &'a [f32],
        stride: usize,
        panel: Panel<'a, u32>,
    },
    /// `[m, steps]`, pairs of bf16 on both sides
    Bf16 {
        x: &'a [u32],
        stride: usize,
        panel: Panel<'a, u32>,
    },
    Int8(Int8<'a>),
}

/// Weights of 64 columns, `[64 / width, steps, width]`.
#[derive(Clone, Copy)]
pub struct Panel<'a, T> {
    /// Words or values of all steps.
    pub values: &'a [T],
    /// 64 as a panel is stored, 16 where it was laid out anew.
    pub width: usize,
}

impl<'a, T> Panel<'a, T> {
    /// As it is stored.
    pub fn stored(values: &'a [T]) -> Self {
        Self { values, width: COLUMNS }
    }

    /// Steps that it has, of one word a column.
    pub fn steps(self) -> usize {
        self.values.len() / COLUMNS
    }

    /// Of a panel as it is stored.
    fn part(self, from: usize, to: usize) -> Self {
        Self::stored(&self.values[from * COLUMNS..to * COLUMNS])
    }
}

/// Integers of 8 bits, four in each word.
#[derive(Clone, Copy)]
pub struct Int8<'a> {
    /// `[m, quads]`: integers around `levels + 1`
    pub x: &'a [u32],
    /// Words from one row of `x` to the next.
    pub stride: usize,
    /// The largest integer of `x`.
    pub levels: i32,
    /// `[m, blocks]`: what an integer of a block of 64 stands for; or `[m, 1]`, of the whole row
    pub scales: &'a [f32],
    /// Scales from one row to the next.
    pub scale_stride: usize,
    /// What an integer of each column of the product stands for.
    pub column_scales: &'a [f32; COLUMNS],
    /// For each block: `[64]` sums of its weights, negative, then `[16, 64]` words, fewer in the last.
    pub panel: &'a [u32],
    /// Words of a row.
    pub quads: usize,
    /// What sums of whole rows begin with. See [`Int8::with_starts`].
    pub starts: &'a [i32; COLUMNS],
    /// The panel laid out anew.
    pub groups: Option<Groups<'a>>,
}

impl<'a> Int8<'a> {
    /// For kernels that sum up whole rows from there: once for all tiles of a job.
    fn with_starts(self, starts: &'a mut [i32; COLUMNS]) -> Self {
        starts.fill(0);
        for block in self.panel.chunks((QUADS + 1) * COLUMNS) {
            for (start, negative) in starts.iter_mut().zip(block) {
                *start += negative.cast_signed();
            }
        }
        starts.iter_mut().for_each(|start| *start *= self.levels + 1);
        Self { starts, ..self }
    }
}

/// Quads whose products are added in 16 bits, four at a time and 16 columns wide.
#[derive(Clone, Copy)]
pub struct Groups<'a> {
    /// `[1 + 4, 16]`: two sums of 16 bits, with which those of the group begin, and the quads
    pub words: &'a [[u32; Groups::WORDS]],
    /// A group's first quad
    pub first: &'a [usize],
    /// `[4, blocks]`: where the groups of 16 columns' block end
    pub ends: &'a [usize],
}

impl Groups<'_> {
    /// Words of a group: sums that it begins with, and its quads, for 16 columns.
    pub const WORDS: usize = (1 + GROUP) * NARROW;

    /// Groups of a panel of so many quads, at most.
    pub fn most(quads: usize) -> usize {
        (PARTS * quads.div_ceil(GROUP) * 5).div_ceil(4)
    }
}

/// Quads of a group.
pub const GROUP: usize = 4;

/// Words of a column in a block.
pub const QUADS: usize = crate::rows::BLOCK / 4;

impl<'a> Operands<'a> {
    fn steps(&self) -> usize {
        match *self {
            Self::F32 { panel, .. } => panel.steps(),
            Self::WeightsBf16 { panel, .. } | Self::Bf16 { panel, .. } => panel.steps(),
            Self::Int8(Int8 { quads, .. }) => quads,
        }
    }

    /// The steps `from..to`, whole tiles and blocks of integers, of a panel as it is stored.
    fn part(self, from: usize, to: usize, kernel: Kernel) -> Self {
        let first = if kernel.has_tiles() { TILE * from } else { from };
        match self {
            Self::F32 { x, stride, panel } => Self::F32 { x: &x[from..], stride, panel: panel.part(from, to) },
            Self::WeightsBf16 { x, stride, panel } => {
                Self::WeightsBf16 { x: &x[2 * from..], stride, panel: panel.part(from, to) }
            }
            Self::Bf16 { x, stride, panel } => Self::Bf16 { x: &x[first..], stride, panel: panel.part(from, to) },
            Self::Int8(operands) => {
                let (block, blocks) = (from / QUADS, (to - from).div_ceil(QUADS));
                let panel = &operands.panel[block * (QUADS + 1) * COLUMNS..][..(to - from + blocks) * COLUMNS];
                let scales = &operands.scales[if operands.scale_stride == 1 { 0 } else { block }..];
                let x = &operands.x[first..];
                Self::Int8(Int8 { x, scales, panel, quads: to - from, ..operands })
            }
        }
    }

    /// The panel.
    fn words(&self) -> &'a [u32] {
        match *self {
            Self::F32 { panel, .. } => bytemuck::cast_slice(panel.values),
            Self::WeightsBf16 { panel, .. } | Self::Bf16 { panel, .. } => panel.values,
            Self::Int8(Int8 { panel, .. }) => panel,
        }
    }
}

/// Goes through the rows, six at a time or, where that would leave a short rest, fewer: 10 rows are 5 and 5.
///
/// A macro, as the loop has to be compiled with the features of the kernel that it calls. `$kernel` is called with the
/// number of rows as its constant and with the place of the first one.
macro_rules! rows {
    ($part:expr, $sums:expr, $simd:expr, $fused:literal, $scales:expr, |$row:ident, $tile:ident, $ahead:ident| $kernel:ident($($argument:expr),*)) => {{
        let (part, sums): (&Part, &mut Sums) = ($part, $sums);
        let rows = part.job.rows;
        let blocks = rows.div_ceil(ROWS);
        for block in 0..blocks {
            let ($row, to) = (rows * block / blocks, rows * (block + 1) / blocks);
            let at = part.place($row, 1);
            let $tile = &mut sums[at..at + to - $row];
            let $ahead = part.ahead_of_tile($simd, block, blocks);
            if part.last {
                ($row..to).for_each(|row| part.job.out.prefetch(row, part.job.column));
            }
            match $tile.len() {
                1 => $kernel::<1>($($argument),*),
                2 => $kernel::<2>($($argument),*),
                3 => $kernel::<3>($($argument),*),
                4 => $kernel::<4>($($argument),*),
                5 => $kernel::<5>($($argument),*),
                _ => $kernel::<6>($($argument),*),
            }
            part.finish::<_, $fused>($simd, &mut sums[at..at + to - $row], $row, $scales);
        }
    }};
}

/// The loop for every kind of operands.
macro_rules! product {
    ($part:expr, $sums:expr, $simd:expr, $fused:literal, $f32:ident, $weights_bf16:ident, $bf16:ident, $int8:ident) => {{
        let add = $part.add;
        match $part.operands {
            Operands::F32 { x, stride, panel } => {
                rows!($part, $sums, $simd, $fused, None, |row, tile, ahead| $f32(
                    &x[row * stride..],
                    stride,
                    panel,
                    ahead,
                    add,
                    tile
                ))
            }
            Operands::WeightsBf16 { x, stride, panel } => {
                rows!($part, $sums, $simd, $fused, None, |row, tile, ahead| $weights_bf16(
                    &x[row * stride..],
                    stride,
                    panel,
                    ahead,
                    add,
                    tile
                ))
            }
            Operands::Bf16 { x, stride, panel } => {
                rows!($part, $sums, $simd, $fused, None, |row, tile, ahead| $bf16(
                    &x[row * stride..],
                    stride,
                    panel,
                    ahead,
                    add,
                    tile
                ))
            }
            Operands::Int8(operands) => {
                rows!($part, $sums, $simd, $fused, Some(operands.column_scales), |row, tile, ahead| $int8(
                    &operands.x[row * operands.stride..],
                    &operands.scales[row * operands.scale_stride..],
                    &operands,
                    ahead,
                    add,
                    tile
                ))
            }
        }
    }};
}

pub(crate) use {product, rows};

impl Job<'_> {
    /// # Panics
    /// If this machine cannot run `kernel`.
    pub fn run(&self, kernel: Kernel) {
        let layout = Layout::of(&self.operands, self.rows, kernel);
        let steps = self.operands.steps();
        // Equal parts, of integers in whole blocks.
        let size = steps.div_ceil(steps.div_ceil(layout.steps())).next_multiple_of(QUADS);
        let part = |from| self.operands.part(from, steps.min(from + size), kernel);
        let mut places = vec![0; layout.places(size)];
        let rows = self.rows.next_multiple_of(TILE);
        scratch(rows * COLUMNS + layout.words(size), |values| {
            let (sums, room) = values.split_at_mut(rows * COLUMNS);
            let sums = sums.as_chunks_mut().0;
            let mut starts = [0; COLUMNS];
            for from in (0..steps).step_by(size) {
                let (add, last) = (from > 0, from + size >= steps);
                let ahead = if last { self.ahead } else { part(from + size).words() };
                // Of the next job no more than its first part, and scales that may precede it.
                let ahead = &ahead[..ahead.len().min(part(0).words().len() + COLUMNS)];
                let operands = match layout.apply(part(from), room, &mut places) {
                    Operands::Int8(int8) if int8.scale_stride == 1 && kernel.has_dot() && !kernel.has_tiles() => {
                        Operands::Int8(int8.with_starts(&mut starts))
                    }
                    operands => operands,
                };
                Part { job: self, operands, ahead, add, last }.run(kernel, sums);
            }
        });
    }
}

impl Part<'_> {
    /// Where the sums of rows from this one on are. Where there is no other part to keep them for, rows that are a multiple
    /// of `turn` apart have the same place.
    #[inline(always)]
    pub fn place(&self, row: usize, turn: usize) -> usize {
        if self.last && !self.add { row % turn } else { row }
    }

    /// What one of so many blocks of rows is to fetch.
    #[inline(always)]
    pub fn share_of_ahead(&self, block: usize, blocks: usize) -> &[u32] {
        let len = self.ahead.len();
        &self.ahead[len * block / blocks..len * (block + 1) / blocks]
    }

    /// What a tile of [`ROWS`] is to fetch. Of few tiles that are as wide as the panel the last one fetches: the
    /// others have the panel itself to wait for.
    ///
    /// Narrower ones wait for its parts, each of them.
    #[inline(always)]
    pub fn ahead_of_tile<S: Simd>(&self, _: S, tile: usize, tiles: usize) -> &[u32] {
        match tiles {
            1 if S::F32_LANES == LINE => &[],
            2..=FEW if S::F32_LANES == LINE => {
                if tile + 1 == tiles {
                    self.ahead
                } else {
                    &[]
                }
            }
            _ => self.share_of_ahead(tile, tiles),
        }
    }

    /// Takes the sums of some rows, `row` being the first, to their end if they are complete.
    #[inline(always)]
    pub fn finish<S: Simd, const FUSED: bool>(
        &self,
        simd: S,
        sums: &mut Sums,
        row: usize,
        scales: Option<&[f32; COLUMNS]>,
    ) {
        let job = self.job;
        if self.last {
            let columns = job.column..job.column + job.width;
            job.epilogue.apply::<S, FUSED>(simd, sums, scales, columns, job.out.rounds());
            job.out.store(job.row + row, job.column, job.width, sums);
        }
    }

    #[allow(unsafe_code)]
    fn run(&self, kernel: Kernel, sums: &mut Sums) {
        assert!(kernel.runs_here(), "{kernel:?} does not run on this machine");
        match kernel {
            Kernel::Portable => portable(self, sums),
            // SAFETY: the machine has the instructions, as asserted.
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 => unsafe { crate::x86::avx2(self, sums) },
            // SAFETY: the same.
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512 => unsafe { crate::x86::avx512(self, sums) },
            // SAFETY: the same.
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512Vnni => unsafe { crate::x86::avx512_vnni(self, sums) },
            // SAFETY: the same.
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512Bf16 => unsafe { crate::x86::avx512_bf16(self, sums) },
            // SAFETY: the same.
            #[cfg(target_arch = "x86_64")]
            Kernel::Amx => unsafe { crate::x86::amx(self, sums) },
            #[cfg(not(target_arch = "x86_64"))]
            Kernel::Avx2 | Kernel::Avx512 | Kernel::Avx512Vnni | Kernel::Avx512Bf16 | Kernel::Amx => {
                portable(self, sums)
            }
        }
    }
}

fn portable(part: &Part, sums: &mut Sums) {
    product!(part, sums, Scalar128b, false, sums_f32, sums_weights_bf16, sums_bf16, sums_int8);
}

/// Adds up the products of one step for a part of a panel, for `M` rows. Sixteen columns at a time, which is what the
/// registers of any machine hold of six rows.
macro_rules! portable_sums {
    ($name:ident, $x:ty, $w:ty, |$row:ident, $s:ident, $weight:ident, $sum:ident| $step:expr) => {
        fn $name<const M: usize>(x: &[$x], stride: usize, panel: Panel<$w>, _: &[u32], add: bool, tile: &mut Sums) {
            for first in (0..COLUMNS).step_by(16) {
                let mut sums = [[0.0f32; 16]; M];
                if add {
                    for (sums, row) in sums.iter_mut().zip(&*tile) {
                        sums.copy_from_slice(&row[first..first + 16]);
                    }
                }
                for ($s, weights) in panel.values.as_chunks::<COLUMNS>().0.iter().enumerate() {
                    for ($row, sums) in x.chunks(stride).zip(&mut sums) {
                        for ($sum, $weight) in sums.iter_mut().zip(&weights[first..first + 16]) {
                            $step;
                        }
                    }
                }
                for (row, sums) in tile.iter_mut().zip(&sums) {
                    row[first..first + 16].copy_from_slice(sums);
                }
            }
        }
    };
}

portable_sums!(sums_f32, f32, f32, |x, s, w, sum| *sum += x[s] * w);
portable_sums!(sums_weights_bf16, f32, u32, |x, s, w, sum| {
    let w = halves(*w);
    *sum += x[2 * s] * w.0;
    *sum += x[2 * s + 1] * w.1
});
portable_sums!(sums_bf16, u32, u32, |x, s, w, sum| {
    let (x, w) = (halves(x[s]), halves(*w));
    *sum += x.0 * w.0;
    *sum += x.1 * w.1
});

fn sums_int8<const M: usize>(x: &[u32], scales: &[f32], operands: &Int8, _: &[u32], add: bool, tile: &mut Sums) {
    for (i, row) in tile[..M].iter_mut().enumerate() {
        if !add {
            row.fill(0.0);
        }
        let x = &x[i * operands.stride..][..operands.quads];
        let scales = &scales[i * operands.scale_stride..];
        let blocks = operands.panel.chunks((QUADS + 1) * COLUMNS);
        for ((x, scale), block) in x.chunks(QUADS).zip(scales).zip(blocks) {
            let (negative, words) = block.split_at(COLUMNS);
            for (column, sum) in row.iter_mut().enumerate() {
                let mut dot = negative[column].cast_signed() * (operands.levels + 1);
                for (x, words) in x.iter().zip(words.as_chunks::<COLUMNS>().0) {
                    let w = words[column].to_le_bytes().map(u8::cast_signed);
                    for (x, w) in x.to_le_bytes().into_iter().zip(w) {
                        dot += i32::from(x) * i32::from(w);
                    }
                }
                *sum += dot as f32 * scale;
            }
        }
    }
}
