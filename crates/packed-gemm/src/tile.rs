//! The inner loops: all rows of `x` times one panel of 64 columns.

use crate::epilogue::Epilogue;
use crate::kernel::Kernel;
use crate::output::Output;

/// Columns of a panel.
pub const COLUMNS: usize = 64;
/// Rows of a tile: 6 × 64 sums fill 24 of the 32 registers of AVX-512.
const ROWS: usize = 6;

/// Sums of a few rows; those beyond the last row mean nothing.
pub type Tile = [[f32; COLUMNS]; ROWS];

/// One panel's share of a product.
pub struct Job<'a> {
    /// `[m, k]`
    pub x: &'a [f32],
    pub k: usize,
    /// `[k, 64]`
    pub panel: &'a [f32],
    /// First column of the panel, and how many of its 64 there are.
    pub column: usize,
    pub width: usize,
    pub epilogue: &'a Epilogue<'a>,
    pub out: &'a Output<'a>,
}

/// Goes through the rows, six at a time or, where that would leave a short rest, fewer: 10 rows are 5 and 5.
///
/// A macro, as the loop has to be compiled with the features of the kernel that it calls.
macro_rules! rows {
    ($job:expr, $sums:ident) => {{
        let job = $job;
        let m = job.x.len() / job.k;
        let blocks = m.div_ceil(ROWS);
        let mut tile: Tile = [[0.0; COLUMNS]; ROWS];
        for block in 0..blocks {
            let (row, end) = (m * block / blocks, m * (block + 1) / blocks);
            let x = &job.x[row * job.k..end * job.k];
            match end - row {
                1 => $sums::<1>(x, job.k, job.panel, &mut tile),
                2 => $sums::<2>(x, job.k, job.panel, &mut tile),
                3 => $sums::<3>(x, job.k, job.panel, &mut tile),
                4 => $sums::<4>(x, job.k, job.panel, &mut tile),
                5 => $sums::<5>(x, job.k, job.panel, &mut tile),
                _ => $sums::<6>(x, job.k, job.panel, &mut tile),
            }
            for (i, sums) in tile[..end - row].iter().enumerate() {
                job.out.store(row + i, job.column, job.width, |n, out| {
                    job.epilogue.apply(sums, row + i, job.column, n, out);
                });
            }
        }
    }};
}

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
            Kernel::Avx2 => unsafe { x86::avx2(self) },
            // SAFETY: the same.
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512 => unsafe { x86::avx512(self) },
            #[cfg(not(target_arch = "x86_64"))]
            Kernel::Avx2 | Kernel::Avx512 => portable(self),
        }
    }
}

fn portable(job: &Job) {
    rows!(job, sums_portable);
}

/// Sixteen columns at a time, which is what the registers of any machine hold of six rows.
fn sums_portable<const M: usize>(x: &[f32], k: usize, panel: &[f32], tile: &mut Tile) {
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

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod x86 {
    use super::*;
    use std::arch::x86_64::*;

    #[target_feature(enable = "avx512f")]
    pub fn avx512(job: &Job) {
        rows!(job, sums_avx512);
    }

    #[target_feature(enable = "avx2,fma")]
    pub fn avx2(job: &Job) {
        rows!(job, sums_avx2);
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn sums_avx512<const M: usize>(x: &[f32], k: usize, panel: &[f32], tile: &mut Tile) {
        assert!(x.len() == M * k && panel.len() == k * COLUMNS && M <= ROWS);
        let (x, panel) = (x.as_ptr(), panel.as_ptr());
        let mut sums = [[_mm512_setzero_ps(); 4]; M];
        for s in 0..k {
            // SAFETY: s < k, and by the assertion above `panel` has 64 values for each s and `x` k for each of M rows.
            // A prefetch may point anywhere.
            unsafe {
                let step = panel.add(s * COLUMNS);
                let w: [__m512; 4] = std::array::from_fn(|j| _mm512_loadu_ps(step.add(16 * j)));
                for j in 0..4 {
                    _mm_prefetch::<_MM_HINT_T0>(step.wrapping_add(512 + 16 * j).cast());
                }
                for (i, sums) in sums.iter_mut().enumerate() {
                    let x = _mm512_set1_ps(*x.add(i * k + s));
                    for (sum, w) in sums.iter_mut().zip(w) {
                        *sum = _mm512_fmadd_ps(x, w, *sum);
                    }
                }
            }
        }
        for (row, sums) in tile.iter_mut().zip(sums) {
            for (out, sum) in row.as_chunks_mut::<16>().0.iter_mut().zip(sums) {
                // SAFETY: `out` is 16 values.
                unsafe { _mm512_storeu_ps(out.as_mut_ptr(), sum) };
            }
        }
    }

    /// Sixteen columns at a time: 12 of the 16 registers are sums.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn sums_avx2<const M: usize>(x: &[f32], k: usize, panel: &[f32], tile: &mut Tile) {
        assert!(x.len() == M * k && panel.len() == k * COLUMNS && M <= ROWS);
        let (x, panel) = (x.as_ptr(), panel.as_ptr());
        for first in (0..COLUMNS).step_by(16) {
            let mut sums = [[_mm256_setzero_ps(); 2]; M];
            for s in 0..k {
                // SAFETY: as in `sums_avx512`; first + 16 <= 64.
                unsafe {
                    let step = panel.add(s * COLUMNS + first);
                    let w = [_mm256_loadu_ps(step), _mm256_loadu_ps(step.add(8))];
                    for (i, sums) in sums.iter_mut().enumerate() {
                        let x = _mm256_set1_ps(*x.add(i * k + s));
                        sums[0] = _mm256_fmadd_ps(x, w[0], sums[0]);
                        sums[1] = _mm256_fmadd_ps(x, w[1], sums[1]);
                    }
                }
            }
            for (row, sums) in tile.iter_mut().zip(sums) {
                for (out, sum) in row[first..first + 16].as_chunks_mut::<8>().0.iter_mut().zip(sums) {
                    // SAFETY: `out` is 8 values.
                    unsafe { _mm256_storeu_ps(out.as_mut_ptr(), sum) };
                }
            }
        }
    }
}
