//! The inner loops: some rows of `x` times one panel of 64 columns.

use crate::encode::scratch;
use crate::epilogue::Epilogue;
use crate::kernel::Kernel;
use crate::output::Output;

/// Columns of a panel.
pub const COLUMNS: usize = 64;
/// Rows of a tile: 6 × 64 sums fill 24 of the 32 registers of AVX-512.
pub const ROWS: usize = 6;

/// Sums of a few rows; those beyond the last row mean nothing.
pub type Tile = [[f32; COLUMNS]; ROWS];

/// A panel's share of the product for some rows.
pub struct Job<'a> {
    pub operands: Operands<'a>,
    /// The first row, of which `operands` has the values.
    pub row: usize,
    /// First column of the panel, and how many of its 64 there are.
    pub column: usize,
    pub width: usize,
    /// Columns of the whole product.
    pub n: usize,
    pub epilogue: &'a Epilogue<'a>,
    pub out: &'a Output<'a>,
}

#[derive(Clone, Copy)]
pub enum Operands<'a> {
    /// `[m, k]` and `[k, 64]`
    F32 {
        x: &'a [f32],
        panel: &'a [f32],
        k: usize,
    },
    /// `[m, 2 * pairs]` and `[pairs, 64]`, two bf16 in each word, the first one in the low half
    WeightsBf16 {
        x: &'a [f32],
        panel: &'a [u32],
        pairs: usize,
    },
    /// `[m, pairs]` and `[pairs, 64]`, both of them pairs of bf16
    Bf16 {
        x: &'a [u32],
        panel: &'a [u32],
        pairs: usize,
    },
    Int8 {
        x: &'a [u32],
        scales: &'a [f32],
        panel: Int8Panel<'a>,
    },
}

/// Integers of 8 bits, four of one column in each word.
#[derive(Clone, Copy)]
pub struct Int8Panel<'a> {
    /// Of each column.
    pub scales: &'a [f32; COLUMNS],
    /// For each block of 64 of k: `[64]` sums of the block's weights, negative, then `[16, 64]` words, fewer in the last.
    pub blocks: &'a [u32],
    /// Words of a column: a quarter of k.
    pub quads: usize,
    /// `x` has integers around `levels + 1`.
    pub levels: i32,
}

/// Words of a column in a block.
pub const QUADS: usize = crate::rows::BLOCK / 4;

/// Goes through the rows, six at a time or, where that would leave a short rest, fewer: 10 rows are 5 and 5.
///
/// A macro, as the loop has to be compiled with the features of the kernel that it calls. `$sums` is called with the
/// number of rows as its constant, the first row, the one after the last, and the tile.
macro_rules! rows {
    ($job:expr, $fused:literal, $m:expr, $scales:expr, |$from:ident, $to:ident, $tile:ident| $sums:ident($($argument:expr),*)) => {{
        let (job, m): (&Job, usize) = ($job, $m);
        let blocks = m.div_ceil(ROWS);
        let mut tile: Tile = [[0.0; COLUMNS]; ROWS];
        for block in 0..blocks {
            let ($from, $to) = (m * block / blocks, m * (block + 1) / blocks);
            let $tile = &mut tile;
            match $to - $from {
                1 => $sums::<1>($($argument),*),
                2 => $sums::<2>($($argument),*),
                3 => $sums::<3>($($argument),*),
                4 => $sums::<4>($($argument),*),
                5 => $sums::<5>($($argument),*),
                _ => $sums::<6>($($argument),*),
            }
            for (i, sums) in tile[..$to - $from].iter_mut().enumerate() {
                let row = job.row + $from + i;
                job.epilogue.apply::<$fused>(sums, $scales, row, job.column..job.column + job.width, job.n);
                job.out.store(row, job.column, &sums[..job.width]);
            }
        }
    }};
}

/// The loop for every kind of operands.
macro_rules! product {
    ($job:expr, $fused:literal, $f32:ident, $weights_bf16:ident, $bf16:ident, $int8:ident) => {
        match $job.operands {
            Operands::F32 { x, panel, k } => {
                rows!($job, $fused, x.len() / k, None, |from, to, tile| $f32(&x[from * k..to * k], k, panel, tile))
            }
            Operands::WeightsBf16 { x, panel, pairs } => {
                let k = 2 * pairs;
                rows!($job, $fused, x.len() / k, None, |from, to, tile| $weights_bf16(&x[from * k..to * k], pairs, panel, tile))
            }
            Operands::Bf16 { x, panel, pairs } => {
                rows!($job, $fused, x.len() / pairs, None, |from, to, tile| $bf16(
                    &x[from * pairs..to * pairs],
                    pairs,
                    panel,
                    tile
                ))
            }
            Operands::Int8 { x, scales, panel } => {
                let (quads, blocks) = (panel.quads, panel.quads.div_ceil(QUADS));
                rows!($job, $fused, x.len() / quads, Some(panel.scales), |from, to, tile| $int8(
                    &x[from * quads..to * quads],
                    &scales[from * blocks..to * blocks],
                    panel,
                    tile
                ))
            }
        }
    };
}

pub(crate) use {product, rows};

impl Job<'_> {
    /// # Panics
    /// If this machine cannot run `kernel`.
    #[allow(unsafe_code)]
    pub fn run(&self, kernel: Kernel) {
        /// From so many rows on it is faster to make f32 of a panel first.
        const UNPACK: usize = 12;
        if let Operands::WeightsBf16 { x, panel, pairs } = self.operands
            && x.len() >= UNPACK * 2 * pairs
        {
            return scratch(panel.len() * 2, |unpacked| {
                pulp::Arch::new().dispatch(|| unpack(panel, unpacked));
                Job { operands: Operands::F32 { x, panel: unpacked, k: 2 * pairs }, ..*self }.run(kernel);
            });
        }
        assert!(kernel.runs_here(), "{kernel:?} does not run on this machine");
        match kernel {
            Kernel::Portable => portable(self),
            // SAFETY: the machine has the instructions, as asserted.
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 => unsafe { crate::x86::avx2(self) },
            // SAFETY: the same.
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512 => unsafe { crate::x86::avx512(self) },
            // SAFETY: the same.
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512Vnni => unsafe { crate::x86::avx512_vnni(self) },
            // SAFETY: the same.
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512Bf16 => unsafe { crate::x86::avx512_bf16(self) },
            #[cfg(not(target_arch = "x86_64"))]
            Kernel::Avx2 | Kernel::Avx512 | Kernel::Avx512Vnni | Kernel::Avx512Bf16 => portable(self),
        }
    }
}

/// `[pairs, 64]` pairs of bf16 to `[2 * pairs, 64]` of f32.
#[inline(always)]
fn unpack(panel: &[u32], out: &mut [f32]) {
    let (steps, out) = (panel.as_chunks::<COLUMNS>().0, out.as_chunks_mut::<COLUMNS>().0);
    for (step, out) in steps.iter().zip(out.as_chunks_mut::<2>().0) {
        let [first, second] = out;
        for ((pair, first), second) in step.iter().zip(first).zip(second) {
            (*first, *second) = halves(*pair);
        }
    }
}

/// A bf16 is the upper half of an f32.
#[inline(always)]
fn halves(pair: u32) -> (f32, f32) {
    (f32::from_bits(pair << 16), f32::from_bits(pair & 0xffff_0000))
}

fn portable(job: &Job) {
    product!(job, false, sums_f32, sums_weights_bf16, sums_bf16, sums_int8);
}

/// Adds up the products of one step for a part of a panel, for `M` rows. Sixteen columns at a time, which is what the
/// registers of any machine hold of six rows.
macro_rules! portable_sums {
    ($name:ident, $x:ty, $w:ty, $words:literal, |$row:ident, $s:ident, $weight:ident, $sum:ident| $step:expr) => {
        fn $name<const M: usize>(x: &[$x], steps: usize, panel: &[$w], tile: &mut Tile) {
            for first in (0..COLUMNS).step_by(16) {
                let mut sums = [[0.0f32; 16]; M];
                for ($s, weights) in panel.as_chunks::<COLUMNS>().0.iter().enumerate() {
                    for ($row, sums) in x.chunks_exact(steps * $words).zip(&mut sums) {
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

portable_sums!(sums_f32, f32, f32, 1, |x, s, w, sum| *sum += x[s] * w);
portable_sums!(sums_weights_bf16, f32, u32, 2, |x, s, w, sum| {
    let w = halves(*w);
    *sum += x[2 * s] * w.0;
    *sum += x[2 * s + 1] * w.1
});
portable_sums!(sums_bf16, u32, u32, 1, |x, s, w, sum| {
    let (x, w) = (halves(x[s]), halves(*w));
    *sum += x.0 * w.0;
    *sum += x.1 * w.1
});

fn sums_int8<const M: usize>(x: &[u32], scales: &[f32], panel: Int8Panel, tile: &mut Tile) {
    let blocks = panel.quads.div_ceil(QUADS);
    for (i, row) in tile[..M].iter_mut().enumerate() {
        row.fill(0.0);
        let (x, scales) = (&x[i * panel.quads..][..panel.quads], &scales[i * blocks..][..blocks]);
        let blocks = panel.blocks.chunks((QUADS + 1) * COLUMNS);
        for ((x, scale), block) in x.chunks(QUADS).zip(scales).zip(blocks) {
            let (negative, words) = block.split_at(COLUMNS);
            for (column, sum) in row.iter_mut().enumerate() {
                let mut dot = negative[column].cast_signed() * (panel.levels + 1);
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
