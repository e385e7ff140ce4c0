//! Scaled dot-product attention, sequence by sequence and head by head, as one operation on candle tensors.

use candle_core::{CpuStorage, CustomOp1, Layout, Shape, Tensor};
use packed_gemm::exp;
use pulp::Arch;
use rayon::prelude::*;

use super::ops::values;
use crate::error::Result;

/// Rows of all sequences lie one after the other, and so do queries, keys and values of a row.
pub struct Attention<'a> {
    pub heads: usize,
    /// Rows of each sequence.
    pub lengths: &'a [usize],
    /// A row sees itself and those before it.
    pub causal: bool,
    /// Which row of each sequence asks; all of them where this is `None`.
    pub queries: Option<&'a [usize]>,
}

impl Attention<'_> {
    /// `qkv`: `[sum of lengths, 3 * hidden]`. Returns `[rows that ask, hidden]`.
    pub fn forward(&self, qkv: &Tensor) -> Result<Tensor> {
        Ok(qkv.apply_op1_no_bwd(self)?)
    }
}

impl CustomOp1 for Attention<'_> {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let (rows, width) = layout.shape().dims2()?;
        let qkv = values(storage, layout)?;
        let (hidden, asked) = (width / 3, self.queries.map_or(rows, <[usize]>::len));
        if !width.is_multiple_of(3 * self.heads) || self.lengths.iter().sum::<usize>() != rows {
            candle_core::bail!(
                "attention of {} heads over {:?} does not fit {rows} x {width}",
                self.heads,
                self.lengths
            );
        }
        let size = hidden / self.heads;
        let mut jobs = Vec::with_capacity(self.lengths.len() * self.heads);
        let mut mixed = vec![0.0; asked * hidden];
        let (mut rest, mut start) = (mixed.as_mut_slice(), 0);
        for (i, &length) in self.lengths.iter().enumerate() {
            let queries = match self.queries {
                Some(queries) if queries[i] < length => queries[i]..queries[i] + 1,
                Some(_) => candle_core::bail!("row {i} of the queries is not in its sequence"),
                None => 0..length,
            };
            for head in 0..self.heads {
                let out;
                (out, rest) = rest.split_at_mut(queries.len() * size);
                let sequence = &qkv[start * width..][..length * width];
                jobs.push((Head { sequence, width, size, at: head * size, causal: self.causal }, queries.clone(), out));
            }
            start += length;
        }
        let arch = Arch::new();
        jobs.into_par_iter().for_each(|(head, queries, out)| arch.dispatch(|| head.mix(queries, out)));
        // From one head after the other to the heads of a row side by side.
        let mut out = vec![0.0; asked * hidden];
        let mut start = 0;
        for &length in self.lengths {
            let n = if self.queries.is_some() { 1 } else { length };
            let (from, to) = (&mixed[start * hidden..][..n * hidden], &mut out[start * hidden..][..n * hidden]);
            for (head, from) in from.chunks_exact(n * size).enumerate() {
                for (from, to) in from.chunks_exact(size).zip(to.chunks_exact_mut(hidden)) {
                    to[head * size..][..size].copy_from_slice(from);
                }
            }
            start += n;
        }
        Ok((CpuStorage::F32(out), (asked, hidden).into()))
    }
}

/// One head of one sequence.
struct Head<'a> {
    /// `[length, width]`, of which the head has `size` columns from `at` on, and again for keys and values.
    sequence: &'a [f32],
    width: usize,
    size: usize,
    at: usize,
    causal: bool,
}

/// Columns of a block that stays in registers.
const LANES: usize = 16;

impl Head<'_> {
    /// `out`: `[queries, size]`.
    #[inline(always)]
    fn mix(&self, queries: std::ops::Range<usize>, out: &mut [f32]) {
        let (length, size, hidden) = (self.sequence.len() / self.width, self.size, self.width / 3);
        let (wide_length, wide_size) = (length.next_multiple_of(LANES), size.next_multiple_of(LANES));
        // Keys as columns, values as rows, both filled up with zeros to whole blocks.
        let mut keys = vec![0.0; size * wide_length];
        let mut values = vec![0.0; length * wide_size];
        for (i, row) in self.sequence.chunks_exact(self.width).enumerate() {
            let key = &row[hidden + self.at..][..size];
            keys[i..].iter_mut().step_by(wide_length).zip(key).for_each(|(to, from)| *to = *from);
            values[i * wide_size..][..size].copy_from_slice(&row[2 * hidden + self.at..][..size]);
        }
        let scale = (size as f32).powf(-0.5);
        let mut query = vec![0.0; size];
        let mut scores = vec![0.0; wide_length];
        let mut sum = vec![0.0; wide_size];
        for (i, out) in queries.zip(out.chunks_exact_mut(size)) {
            let row = &self.sequence[i * self.width + self.at..][..size];
            query.iter_mut().zip(row).for_each(|(to, from)| *to = from * scale);
            combine(&query, &keys, &mut scores);
            let seen = if self.causal { i + 1 } else { length };
            let total = softmax(&mut scores[..seen]);
            combine(&scores[..seen], &values, &mut sum);
            out.iter_mut().zip(&sum).for_each(|(to, from)| *to = from / total);
        }
    }
}

/// Replaces scores by weights and returns their sum, by which they are still to be divided.
#[inline(always)]
fn softmax(scores: &mut [f32]) -> f32 {
    let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    scores.iter_mut().for_each(|s| *s = exp(*s - largest));
    scores.iter().sum()
}

/// `out = weights * matrix`, rows of `matrix` being as wide as `out`, a multiple of [`LANES`].
#[inline(always)]
fn combine(weights: &[f32], matrix: &[f32], out: &mut [f32]) {
    let width = out.len();
    let mut done = 0;
    for block in out.chunks_exact_mut(4 * LANES) {
        columns::<{ 4 * LANES }>(weights, matrix, width, done, block);
        done += 4 * LANES;
    }
    for block in out[done..].chunks_exact_mut(LANES) {
        columns::<LANES>(weights, matrix, width, done, block);
        done += LANES;
    }
}

#[inline(always)]
fn columns<const N: usize>(weights: &[f32], matrix: &[f32], width: usize, first: usize, out: &mut [f32]) {
    let mut sums = [0.0; N];
    for (weight, row) in weights.iter().zip(matrix.chunks_exact(width)) {
        sums.iter_mut().zip(&row[first..first + N]).for_each(|(sum, x)| *sum += weight * x);
    }
    out.copy_from_slice(&sums);
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{D, Device};
    use candle_nn::ops::softmax_last_dim;

    /// The same on candle's own operations, for one sequence.
    fn reference(qkv: &Tensor, heads: usize, causal: bool) -> candle_core::Result<Tensor> {
        let (length, width) = qkv.dims2()?;
        let size = width / 3 / heads;
        let part = |i: usize| {
            qkv.narrow(1, i * width / 3, width / 3)?.reshape((length, heads, size))?.transpose(0, 1)?.contiguous()
        };
        let mut scores = (part(0)?.matmul(&part(1)?.t()?)? / (size as f64).sqrt())?;
        if causal {
            let hide: Vec<f32> =
                (0..length * length).map(|i| if i % length > i / length { f32::NEG_INFINITY } else { 0.0 }).collect();
            scores = scores.broadcast_add(&Tensor::from_vec(hide, (length, length), &Device::Cpu)?)?;
        }
        softmax_last_dim(&scores)?.matmul(&part(2)?)?.transpose(0, 1)?.reshape((length, width / 3))
    }

    #[test]
    fn as_with_candles_own_operations() {
        for (heads, size, lengths) in [(1, 16, vec![1]), (3, 20, vec![5, 1, 17]), (2, 64, vec![50, 77])] {
            let hidden = heads * size;
            let rows = lengths.iter().sum::<usize>();
            let qkv = Tensor::randn(0f32, 1., (rows, 3 * hidden), &Device::Cpu).unwrap();
            for causal in [false, true] {
                let all = Attention { heads, lengths: &lengths, causal, queries: None }.forward(&qkv).unwrap();
                let last: Vec<usize> = lengths.iter().map(|n| n - 1).collect();
                let one = Attention { heads, lengths: &lengths, causal, queries: Some(&last) }.forward(&qkv).unwrap();
                let mut start = 0;
                for (i, &length) in lengths.iter().enumerate() {
                    let expected = reference(&qkv.narrow(0, start, length).unwrap(), heads, causal).unwrap();
                    let given = all.narrow(0, start, length).unwrap();
                    close(&given, &expected);
                    close(&one.narrow(0, i, 1).unwrap(), &expected.narrow(0, length - 1, 1).unwrap());
                    start += length;
                }
            }
        }
    }

    fn close(a: &Tensor, b: &Tensor) {
        let error = (a - b).unwrap().abs().unwrap().flatten_all().unwrap().max(D::Minus1).unwrap();
        assert!(error.to_scalar::<f32>().unwrap() < 2e-6, "{error}");
    }
}
