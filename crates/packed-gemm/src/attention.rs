//! What attention takes of products: rows and panels that are made for one head, and none of them packed ahead.

use crate::convert::{bf16, halves};
use crate::geometry::NR;
use crate::isa::Kernel;
pub use crate::kernels::pairs::PairProduct;

/// Does `out = x panel`.
///
/// # Panics
/// If lengths do not fit, or this machine cannot run `kernel`.
#[allow(unsafe_code)]
pub fn multiply_pairs(kernel: Kernel, mut product: PairProduct) {
    let PairProduct { x, x_stride, rows, steps, panel, width, .. } = product;
    let Some(last) = rows.checked_sub(1) else { return };
    assert!(width.is_multiple_of(16) && (16..=NR).contains(&width) && panel.len() >= steps * width);
    assert!(x.len() >= last * x_stride + steps && product.out.len() >= last * product.out_stride + width);
    #[cfg(target_arch = "x86_64")]
    if kernel.has_bf16() {
        assert!(kernel.runs_here(), "{kernel:?} does not run on this machine");
        // SAFETY: the machine has the instructions and lengths fit, as asserted.
        return unsafe { crate::kernels::avx512::attention::multiply_pairs(&mut product) };
    }
    #[cfg(target_arch = "aarch64")]
    if kernel.has_bf16() {
        assert!(kernel.runs_here(), "{kernel:?} does not run on this machine");
        // SAFETY: the same.
        return unsafe { crate::kernels::neon::attention::multiply_pairs(&mut product) };
    }
    for (i, out) in product.out.chunks_mut(product.out_stride).take(rows).enumerate() {
        out[..width].fill(0.0);
        let weights = x[i * x_stride..][..steps].iter().map(|pair| halves(*pair));
        for (weight, step) in weights.zip(panel.chunks_exact(width)) {
            for (sum, pair) in out.iter_mut().zip(step) {
                let x = halves(*pair);
                *sum += weight.0 * x.0 + weight.1 * x.1;
            }
        }
    }
}

/// The words of 16 rows, `[16, steps]`, become 16 columns of `out`, whose rows are `width` words apart.
///
/// # Panics
/// If lengths do not fit, or this machine cannot run `kernel`.
#[allow(unsafe_code)]
pub fn to_columns(kernel: Kernel, rows: &[u32], out: &mut [u32], width: usize) {
    let steps = rows.len() / 16;
    let Some(last) = steps.checked_sub(1) else { return };
    assert!(rows.len() == 16 * steps && width >= 16 && out.len() >= last * width + 16);
    assert!(kernel.runs_here(), "{kernel:?} does not run on this machine");
    #[cfg(target_arch = "x86_64")]
    match kernel {
        Kernel::Portable => {}
        Kernel::Avx2 if steps.is_multiple_of(8) => {
            // SAFETY: the machine has the instructions and lengths fit, as asserted.
            return unsafe { crate::kernels::avx512::attention::columns_of_16_avx2(rows, steps, out, width) };
        }
        Kernel::Avx2 => {}
        // SAFETY: the same.
        _ => return unsafe { crate::kernels::avx512::attention::columns_of_16(rows, steps, out, width) },
    }
    // Four by four: what the compiler makes shuffles of.
    let (whole, odd) = (steps / 4 * 4, steps % 4);
    for (i, rows) in rows.chunks_exact(4 * steps).enumerate() {
        let row = |j: usize| &rows[j * steps..][..steps];
        let fours = [row(0), row(1), row(2), row(3)].map(|row| row.as_chunks::<4>().0);
        for (s, (((a, b), c), d)) in fours[0].iter().zip(fours[1]).zip(fours[2]).zip(fours[3]).enumerate() {
            for j in 0..4 {
                out[(4 * s + j) * width + 4 * i..][..4].copy_from_slice(&[a[j], b[j], c[j], d[j]]);
            }
        }
        for s in whole..whole + odd {
            (0..4).for_each(|j| out[s * width + 4 * i + j] = row(j)[s]);
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
            for (rows, steps, width) in [(1, 1, 16), (2, 32, 64), (3, 25, 48), (6, 40, 32), (7, 7, 64), (23, 40, 16)] {
                let values = |count: usize, seed: usize| -> Vec<f32> {
                    (0..count).map(|i| ((i * 37 + seed) % 1013) as f32 / 500.0 - 1.0).collect()
                };
                let pairs = |values: &[f32]| {
                    let mut pairs = vec![0; values.len() / 2];
                    to_pairs(kernel, values, &mut pairs);
                    pairs
                };
                // Both sides' rows are further apart than they are long.
                let (x_stride, out_stride) = (steps + 3, width + 5);
                let x = pairs(&values(2 * rows * x_stride, 1));
                let panel = pairs(&values(2 * steps * width, 2));
                let mut out = vec![f32::NAN; rows * out_stride];
                let product =
                    PairProduct { x: &x, x_stride, rows, steps, panel: &panel, width, out: &mut out, out_stride };
                multiply_pairs(kernel, product);
                for (x, out) in x.chunks(x_stride).zip(out.chunks(out_stride)) {
                    for column in 0..width {
                        let product = |(pair, step): (&u32, &[u32])| {
                            let (a, b) = (halves(*pair), halves(step[column]));
                            f64::from(a.0) * f64::from(b.0) + f64::from(a.1) * f64::from(b.1)
                        };
                        let exact: f64 = x.iter().zip(panel.chunks(width)).map(product).sum();
                        assert!((f64::from(out[column]) - exact).abs() < 1e-4, "{kernel:?} {rows} {steps} {width}");
                    }
                    assert!(out[width..].iter().all(|x| x.is_nan()), "what was not asked for");
                }
            }
        }
    }

    #[test]
    fn rows_become_columns() {
        for kernel in Kernel::available() {
            for (steps, width) in
                [(1, 16), (4, 16), (10, 48), (16, 16), (20, 64), (32, 64), (40, 32), (64, 64), (80, 48)]
            {
                let rows: Vec<u32> = (1..).take(16 * steps).collect();
                let mut out = vec![0; steps * width];
                to_columns(kernel, &rows, &mut out, width);
                for (step, out) in out.chunks(width).enumerate() {
                    let expected: Vec<u32> = (0..16).map(|row| rows[row * steps + step]).collect();
                    assert_eq!(out[..16], expected, "{kernel:?} {steps} {width}");
                    assert!(out[16..].iter().all(|word| *word == 0), "what was not asked for");
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "assertion failed")]
    fn what_does_not_fit_is_refused() {
        let (x, panel, mut out) = ([0; 32], [0; 32 * 16], [0.0; 16]);
        let product = PairProduct {
            x: &x,
            x_stride: 16,
            rows: 2,
            steps: 16,
            panel: &panel,
            width: 16,
            out: &mut out,
            out_stride: 16,
        };
        multiply_pairs(Kernel::best(), product);
    }
}
