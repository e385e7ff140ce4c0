//! The inner loops: all rows of `x` times one panel of 64 columns.

use crate::epilogue::Epilogue;
use crate::kernel::Kernel;
use crate::output::Output;

/// Columns of a panel.
pub const COLUMNS: usize = 64;
/// Rows of a tile: 6 × 64 sums fill 24 of the 32 registers of AVX-512.
pub const ROWS: usize = 6;

/// Sums of a few rows; those beyond the last row mean nothing.
pub type Tile = [[f32; COLUMNS]; ROWS];

/// One panel's share of a product.
pub struct Job<'a> {
    pub operands: Operands<'a>,
    /// First column of the panel, and how many of its 64 there are.
    pub column: usize,
    pub width: usize,
    pub epilogue: &'a Epilogue<'a>,
    pub out: &'a Output<'a>,
}

#[derive(Clone, Copy)]
pub enum Operands<'a> {
    /// `[m, k]` and `[k, 64]`
    F32 { x: &'a [f32], panel: &'a [f32], k: usize },
    /// `[m, pairs]` and `[pairs, 64]`, two bf16 in each word, the first one in the low half
    Bf16 { x: &'a [u32], panel: &'a [u32], pairs: usize },
}

/// Goes through the rows, six at a time or, where that would leave a short rest, fewer: 10 rows are 5 and 5.
///
/// A macro, as the loop has to be compiled with the features of the kernel that it calls.
macro_rules! rows {
    ($job:expr, $x:expr, $panel:expr, $k:expr, $sums:ident) => {{
        let (job, k) = ($job, $k);
        let m = $x.len() / k;
        let blocks = m.div_ceil(ROWS);
        let mut tile: Tile = [[0.0; COLUMNS]; ROWS];
        for block in 0..blocks {
            let (row, end) = (m * block / blocks, m * (block + 1) / blocks);
            let x = &$x[row * k..end * k];
            match end - row {
                1 => $sums::<1>(x, k, $panel, &mut tile),
                2 => $sums::<2>(x, k, $panel, &mut tile),
                3 => $sums::<3>(x, k, $panel, &mut tile),
                4 => $sums::<4>(x, k, $panel, &mut tile),
                5 => $sums::<5>(x, k, $panel, &mut tile),
                _ => $sums::<6>(x, k, $panel, &mut tile),
            }
            for (i, sums) in tile[..end - row].iter().enumerate() {
                job.out.store(row + i, job.column, job.width, |n, out| {
                    job.epilogue.apply(sums, row + i, job.column, n, out);
                });
            }
        }
    }};
}

/// The loop for either kind of operands.
macro_rules! product {
    ($job:expr, $f32:ident, $bf16:ident) => {
        match $job.operands {
            Operands::F32 { x, panel, k } => rows!($job, x, panel, k, $f32),
            Operands::Bf16 { x, panel, pairs } => rows!($job, x, panel, pairs, $bf16),
        }
    };
}

pub(crate) use {product, rows};

impl Job<'_> {
    /// # Panics
    /// If this machine cannot run `kernel`.
    #[allow(unsafe_code)]
    pub fn run(&self, kernel: Kernel) {
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
            Kernel::Avx512Bf16 => unsafe { crate::x86::avx512_bf16(self) },
            #[cfg(not(target_arch = "x86_64"))]
            Kernel::Avx2 | Kernel::Avx512 | Kernel::Avx512Bf16 => portable(self),
        }
    }
}

fn portable(job: &Job) {
    product!(job, sums_f32, sums_bf16);
}

/// Sixteen columns at a time, which is what the registers of any machine hold of six rows.
fn sums_f32<const M: usize>(x: &[f32], k: usize, panel: &[f32], tile: &mut Tile) {
    for first in (0..COLUMNS).step_by(16) {
        let mut sums = [[0.0f32; 16]; M];
        for (s, weights) in panel.as_chunks::<COLUMNS>().0.iter().enumerate() {
            let weights: &[f32; 16] = weights[first..].first_chunk().unwrap_or(&[0.0; 16]);
            for (i, sums) in sums.iter_mut().enumerate() {
                let x = x[i * k + s];
                sums.iter_mut().zip(weights).for_each(|(sum, w)| *sum += x * w);
            }
        }
        for (row, sums) in tile.iter_mut().zip(&sums) {
            row[first..first + 16].copy_from_slice(sums);
        }
    }
}

/// A bf16 is the upper half of an f32.
fn halves(pair: u32) -> (f32, f32) {
    (f32::from_bits(pair << 16), f32::from_bits(pair & 0xffff_0000))
}

fn sums_bf16<const M: usize>(x: &[u32], pairs: usize, panel: &[u32], tile: &mut Tile) {
    for first in (0..COLUMNS).step_by(16) {
        let mut sums = [[0.0f32; 16]; M];
        for (s, weights) in panel.as_chunks::<COLUMNS>().0.iter().enumerate() {
            let weights: &[u32; 16] = weights[first..].first_chunk().unwrap_or(&[0; 16]);
            for (i, sums) in sums.iter_mut().enumerate() {
                let x = halves(x[i * pairs + s]);
                for (sum, w) in sums.iter_mut().zip(weights) {
                    let w = halves(*w);
                    *sum += x.0 * w.0 + x.1 * w.1;
                }
            }
        }
        for (row, sums) in tile.iter_mut().zip(&sums) {
            row[first..first + 16].copy_from_slice(sums);
        }
    }
}
