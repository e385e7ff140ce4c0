//! Products of few rows of pairs of bf16, none of them packed: those of attention.

use crate::convert::{bf16, halves};
pub use crate::geometry::PAIR_ROWS;
use crate::isa::Kernel;

/// `out = weights matrix` for the first `columns` columns, a multiple of 16.
///
/// `weights` are rows of pairs of bf16, as many as `matrix`, `[pairs, width]`, has: the pairs of one column below
/// each other. `out` is `[4, width]` in f32.
///
/// # Panics
/// If lengths do not fit, or this machine cannot run `kernel`.
#[allow(unsafe_code)]
pub fn multiply_pairs(
    kernel: Kernel,
    weights: [&[u32]; PAIR_ROWS],
    matrix: &[u32],
    width: usize,
    columns: usize,
    out: &mut [f32],
) {
    let steps = weights[0].len();
    assert!(weights.iter().all(|row| row.len() == steps) && matrix.len() >= steps * width);
    assert!(columns <= width && columns.is_multiple_of(16) && out.len() >= PAIR_ROWS * width);
    #[cfg(target_arch = "x86_64")]
    if kernel.has_bf16() {
        assert!(kernel.runs_here(), "{kernel:?} does not run on this machine");
        // SAFETY: the machine has the instructions and lengths fit, as asserted.
        return unsafe { crate::kernels::avx512::attention::multiply_pairs(weights, matrix, width, columns, out) };
    }
    #[cfg(target_arch = "aarch64")]
    if kernel.has_bf16() {
        assert!(kernel.runs_here(), "{kernel:?} does not run on this machine");
        // SAFETY: the same.
        return unsafe { crate::kernels::neon::attention::multiply_pairs(weights, matrix, width, columns, out) };
    }
    for (weights, out) in weights.iter().zip(out.chunks_mut(width)) {
        out[..columns].fill(0.0);
        for (weight, row) in weights.iter().map(|pair| halves(*pair)).zip(matrix.chunks(width)) {
            for (sum, pair) in out[..columns].iter_mut().zip(row) {
                let x = halves(*pair);
                *sum += weight.0 * x.0 + weight.1 * x.1;
            }
        }
    }
}

/// Rounds values to pairs of bf16, to the nearest, ties to even. A zero fills up the last pair.
///
/// Values below the smallest normal one may become zero.
///
/// # Panics
/// If lengths do not fit, or this machine cannot run `kernel`.
#[allow(unsafe_code)]
#[cfg_attr(not(target_arch = "x86_64"), allow(unused_variables))]
pub fn to_pairs(kernel: Kernel, values: &[f32], out: &mut [u32]) {
    assert!(out.len() == values.len().div_ceil(2));
    #[cfg(target_arch = "x86_64")]
    if kernel.has_bf16() {
        assert!(kernel.runs_here(), "{kernel:?} does not run on this machine");
        // SAFETY: the machine has the instructions, as asserted.
        return unsafe { crate::convert::to_bf16(values, out) };
    }
    bf16(values, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_in_f64() {
        for kernel in Kernel::available() {
            for (steps, width, columns) in [(1, 16, 16), (32, 64, 64), (25, 80, 80), (7, 96, 48), (40, 160, 160)] {
                let values = |count: usize, seed: usize| -> Vec<f32> {
                    (0..count).map(|i| ((i * 37 + seed) % 1013) as f32 / 500.0 - 1.0).collect()
                };
                let pairs = |values: &[f32]| {
                    let mut pairs = vec![0; values.len() / 2];
                    to_pairs(kernel, values, &mut pairs);
                    pairs
                };
                let weights = pairs(&values(PAIR_ROWS * 2 * steps, 1));
                let matrix = pairs(&values(2 * steps * width, 2));
                let rows = std::array::from_fn(|i| &weights[i * steps..][..steps]);
                let mut out = vec![f32::NAN; PAIR_ROWS * width];
                multiply_pairs(kernel, rows, &matrix, width, columns, &mut out);
                for (row, out) in rows.iter().zip(out.chunks(width)) {
                    for column in 0..columns {
                        let product = |(pair, row): (&u32, &[u32])| {
                            let (a, b) = (halves(*pair), halves(row[column]));
                            f64::from(a.0) * f64::from(b.0) + f64::from(a.1) * f64::from(b.1)
                        };
                        let exact: f64 = row.iter().zip(matrix.chunks(width)).map(product).sum();
                        assert!((f64::from(out[column]) - exact).abs() < 1e-4, "{kernel:?} {steps} {width}");
                    }
                    assert!(out[columns..].iter().all(|x| x.is_nan()), "what was not asked for");
                }
            }
        }
    }
}
