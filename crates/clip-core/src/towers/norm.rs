//! Layer norm.

use candle_core::{CpuStorage, InplaceOp1, InplaceOp2, Layout, Tensor};
use packed_gemm::Rows;
use pulp::{Arch, Simd};

use crate::compute::Compute;
use crate::error::Result;
use crate::weights::Weights;

/// `(x - mean) / sqrt(variance + eps) * weight + bias` of each row, as torch's `LayerNorm` computes it.
///
/// Mean and variance are those of the row itself, the variance without Bessel's correction.
pub struct LayerNorm {
    weight: Vec<f32>,
    bias: Vec<f32>,
    eps: f32,
}

impl LayerNorm {
    /// Weight and bias of `name`, each `[width]`.
    pub fn load(weights: &Weights, name: &str, eps: f64) -> Result<Self> {
        let part = |part: &str| weights.values(&format!("{name}.{part}"));
        Ok(Self { weight: part("weight")?, bias: part("bias")?, eps: eps as f32 })
    }

    /// Norms one row `x` into `out`, both of as many values as the norm has.
    pub fn apply(&self, x: &[f32], out: &mut [f32]) {
        norm(self, x, out);
    }

    /// Norms `count` rows of `width` values, each as `read(i, values)` writes it, into the left-hand side of a product.
    pub fn fill(
        &self,
        count: usize,
        width: usize,
        rows: &mut Rows,
        compute: &Compute,
        read: impl Fn(usize, &mut [f32]) + Sync,
    ) -> candle_core::Result<()> {
        self.check(width)?;
        rows.fill(compute.pool(), count, width, |i, out| {
            let mut row = vec![0.0; width];
            read(i, &mut row);
            norm(self, &row, out);
        });
        Ok(())
    }

    /// Norms `x`, `[rows, width]`, into the left-hand side of a product.
    pub fn to_rows(&self, x: &[f32], width: usize, rows: &mut Rows, compute: &Compute) -> candle_core::Result<()> {
        self.check(width)?;
        rows.fill(compute.pool(), x.len() / width, width, |i, out| {
            norm(self, &x[i * width..][..width], out);
        });
        Ok(())
    }

    /// Norms each row of `x`, `[rows, width]`, in place.
    pub fn in_place(&self, x: &Tensor, compute: &Compute) -> Result<()> {
        Ok(x.inplace_op1(&InPlace { norm: self, compute })?)
    }

    /// Adds the normed rows of `x` to those of `to`, both `[rows, width]`. `x` is overwritten.
    pub fn add_to(&self, x: &Tensor, to: &Tensor, compute: &Compute) -> Result<()> {
        self.in_place(x, compute)?;
        Ok(to.inplace_op2(x, &Add)?)
    }

    /// Has the norm as many values as a row? Otherwise the product is an error.
    fn check(&self, width: usize) -> candle_core::Result<()> {
        if width == 0 || (self.weight.len(), self.bias.len()) != (width, width) {
            candle_core::bail!("a norm of {} values does not fit rows of {width}", self.weight.len())
        }
        Ok(())
    }
}

/// Rows that a thread norms at a time.
const ROWS_PER_TASK: usize = 16;

/// A norm as candle calls it.
struct InPlace<'a> {
    norm: &'a LayerNorm,
    compute: &'a Compute,
}

impl InplaceOp1 for InPlace<'_> {
    fn name(&self) -> &'static str {
        "layer-norm"
    }

    fn cpu_fwd(&self, x: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
        let width = layout.shape().dims2()?.1;
        self.norm.check(width)?;
        let (start, end) = layout.contiguous_offsets().ok_or_else(|| candle_core::Error::msg("rows lie apart"))?;
        let CpuStorage::F32(x) = x else { candle_core::bail!("tensor is not of f32") };
        self.compute.for_each_chunk(&mut x[start..end], ROWS_PER_TASK * width, |_, rows| {
            let mut row = vec![0.0; width];
            for out in rows.chunks_exact_mut(width) {
                row.copy_from_slice(out);
                norm(self.norm, &row, out);
            }
        });
        Ok(())
    }
}

/// A sum in place as candle calls it.
struct Add;

impl InplaceOp2 for Add {
    fn name(&self) -> &'static str {
        "add"
    }

    fn cpu_fwd(&self, to: &mut CpuStorage, to_at: &Layout, x: &CpuStorage, at: &Layout) -> candle_core::Result<()> {
        let (CpuStorage::F32(to), CpuStorage::F32(x)) = (to, x) else { candle_core::bail!("tensor is not of f32") };
        let apart = || candle_core::Error::msg("rows lie apart");
        let (start, end) = to_at.contiguous_offsets().ok_or_else(apart)?;
        let (first, last) = at.contiguous_offsets().ok_or_else(apart)?;
        to[start..end].iter_mut().zip(&x[first..last]).for_each(|(to, x)| *to += x);
        Ok(())
    }
}

#[pulp::with_simd(norm = Arch::new())]
#[inline(always)]
fn norm_with<'a, S: Simd>(_: S, parameters: &'a LayerNorm, x: &'a [f32], out: &'a mut [f32]) {
    let count = x.len() as f32;
    let mean = sum(x, |x| x) / count;
    let variance = sum(x, |x| (x - mean) * (x - mean)) / count;
    let scale = 1.0 / (variance + parameters.eps).sqrt();
    for (((out, x), weight), bias) in out.iter_mut().zip(x).zip(&parameters.weight).zip(&parameters.bias) {
        *out = (x - mean) * scale * weight + bias;
    }
}

/// In 64 sums side by side, which is both faster than one and closer to the exact value: four vectors, none of which waits for
/// the one before.
#[inline(always)]
fn sum(x: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let (blocks, rest) = x.as_chunks::<64>();
    let mut sums = [0.0; 64];
    for block in blocks {
        sums.iter_mut().zip(block).for_each(|(sum, x)| *sum += f(*x));
    }
    sums.iter_mut().zip(rest).for_each(|(sum, x)| *sum += f(*x));
    let (quarters, _) = sums.as_chunks::<16>();
    let mut sum = [0.0; 16];
    for quarter in quarters {
        sum.iter_mut().zip(quarter).for_each(|(sum, x)| *sum += x);
    }
    sum.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Tensor};
    use packed_gemm::{Epilogue, Kernel, PackedMatrix, Precision};

    #[test]
    fn as_candles_own() {
        let compute = Compute::new(2).unwrap();
        for width in [1, 15, 48, 100] {
            let x = (Tensor::randn(0f32, 3., (5, width), &Device::Cpu).unwrap() + 1.0).unwrap();
            let [weight, bias] = [1f32, 2.].map(|at| Tensor::randn(at, 1., width, &Device::Cpu).unwrap());
            let expected = candle_nn::ops::layer_norm_slow(&x, &weight, &bias, 1e-5).unwrap();
            let norm = LayerNorm { weight: weight.to_vec1().unwrap(), bias: bias.to_vec1().unwrap(), eps: 1e-5 };
            let values: Vec<f32> = x.flatten_all().unwrap().to_vec1().unwrap();
            let mut given = vec![0.0; values.len()];
            given.chunks_mut(width).zip(values.chunks(width)).for_each(|(out, x)| norm.apply(x, out));
            let given = Tensor::from_vec(given, (5, width), &Device::Cpu).unwrap();
            let error = (&given - &expected).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
            assert!(error < 1e-5, "{error}");

            // In place.
            let rows = Tensor::from_slice(&values, (5, width), &Device::Cpu).unwrap();
            norm.in_place(&rows, &compute).unwrap();
            assert_eq!(rows.to_vec2::<f32>().unwrap(), given.to_vec2::<f32>().unwrap());
            assert!(norm.in_place(&rows.reshape((1, 5 * width)).unwrap(), &compute).is_err());

            // As the input of a product with the identity.
            let identity: Vec<f32> = (0..width * width).map(|i| f32::from(u8::from(i % (width + 1) == 0))).collect();
            let identity = PackedMatrix::pack(Precision::F32, &identity, width, width).unwrap();
            let mut rows = Rows::new(Precision::F32, Kernel::best());
            norm.to_rows(&values, width, &mut rows, &compute).unwrap();
            let rows = identity.multiply(compute.pool(), &rows, &Epilogue::default()).unwrap();
            assert_eq!(rows, given.flatten_all().unwrap().to_vec1::<f32>().unwrap());
            assert!(
                norm.to_rows(&values, width + 1, &mut Rows::new(Precision::F32, Kernel::best()), &compute).is_err()
            );
        }
    }
}
