//! Scaled dot-product attention, sequence by sequence and head by head.

use std::f32::consts::LOG2_E;

use packed_gemm::{Kernel, Rows, exp2};
use pulp::{Arch, Scalar128b, Simd, WithSimd};

use super::attention_pairs::MixPairs;
use crate::compute::Compute;

/// What attends to what, in a batch of sequences: `softmax(Q Kᵀ / sqrt(size)) V` for each head.
///
/// Rows of all sequences lie one after the other, and so do queries, keys and values of a row.
pub struct Attention<'a> {
    /// Heads that share the width of a row evenly.
    pub heads: usize,
    /// Rows of each sequence.
    pub lengths: &'a [usize],
    /// A row sees itself and those before it, not those behind it.
    pub causal: bool,
    /// Which rows ask.
    pub queries: Queries<'a>,
}

/// Which rows ask. Where only one row of a sequence counts in the end, the others need not.
#[derive(Clone, Copy)]
pub enum Queries<'a> {
    /// Every row.
    All,
    /// One row of each sequence, counted within it.
    Rows(&'a [usize]),
    /// One row of each sequence, counted within it, with `queries` for them, `[sequences, hidden]`. Rows then have
    /// keys and values alone.
    Given { rows: &'a [usize], queries: &'a [f32] },
}

impl Attention<'_> {
    /// Reads `qkv`, `[sum of lengths, width]`, and fills `rows` with `[rows that ask, hidden]`.
    ///
    /// `width` is three times the hidden size, or twice where queries are given. Sizes that do not fit each other are
    /// an error.
    pub fn to_rows(&self, qkv: &Rows, rows: &mut Rows, compute: &Compute) -> candle_core::Result<()> {
        let (starts, total) = self.starts();
        let parts = if matches!(self.queries, Queries::Given { .. }) { 2 } else { 3 };
        let hidden = qkv.width() / parts;
        let there = |rows: &[usize]| {
            rows.len() == self.lengths.len() && rows.iter().zip(self.lengths).all(|(row, length)| row < length)
        };
        let fits = match self.queries {
            Queries::All => true,
            Queries::Rows(rows) => there(rows),
            Queries::Given { rows, queries } => there(rows) && queries.len() == rows.len() * hidden,
        };
        if !fits || hidden == 0 || !hidden.is_multiple_of(self.heads) || qkv.width() != parts * hidden {
            candle_core::bail!("attention of {} heads does not fit rows of {}", self.heads, qkv.width());
        }
        if total != qkv.len() {
            candle_core::bail!("sequences of {:?} are not {} rows", self.lengths, qkv.len());
        }
        let size = hidden / self.heads;
        let heights: Vec<usize> =
            self.lengths.iter().map(|n| if matches!(self.queries, Queries::All) { *n } else { 1 }).collect();
        rows.fill_grid(compute.pool(), &heights, self.heads, size, |i, head, out| {
            let keys = (parts - 2) * hidden + head * size;
            let head = Head {
                qkv,
                start: starts[i],
                length: self.lengths[i],
                size,
                query: head * size,
                given: match self.queries {
                    Queries::Given { queries, .. } => Some(&queries[i * hidden..][..hidden]),
                    _ => None,
                },
                keys,
                values: keys + hidden,
                causal: self.causal,
            };
            let first = match self.queries {
                Queries::All => 0,
                Queries::Rows(rows) | Queries::Given { rows, .. } => rows[i],
            };
            head.run(first, out, compute.kernel());
        });
        Ok(())
    }

    /// The first row of each sequence, and how many rows there are.
    fn starts(&self) -> (Vec<usize>, usize) {
        let mut total = 0;
        let starts = self.lengths.iter().map(|length| {
            total += length;
            total - length
        });
        (starts.collect(), total)
    }
}

/// One head of one sequence.
pub(super) struct Head<'a> {
    /// Queries, keys and values of all sequences, a row of the batch in each.
    pub qkv: &'a Rows,
    /// First row of the sequence, counted over all of them.
    pub start: usize,
    /// Rows of the sequence.
    pub length: usize,
    /// Columns of the head.
    pub size: usize,
    /// The first column of its queries.
    pub query: usize,
    /// The first column of its keys.
    pub keys: usize,
    /// The first column of its values.
    pub values: usize,
    /// The sequence's query, `[hidden]`, where it is not in the rows.
    given: Option<&'a [f32]>,
    /// A row sees itself and those before it, not those behind it.
    pub causal: bool,
}

/// Scores and values are filled up to a multiple of so many: whole vectors of any processor.
pub(super) const LANES: usize = 16;
/// Rows that ask together: each key and value that is read then serves four of them.
const QUERIES: usize = 4;

/// One head's output, `[queries, size]`, for the rows of the sequence from `first` on.
///
/// `FUSED`: the processor has an instruction that multiplies and adds. Without one it would be a call into the C
/// library.
struct Mix<'a, const FUSED: bool> {
    head: &'a Head<'a>,
    first: usize,
    out: &'a mut [f32],
}

impl<const FUSED: bool> WithSimd for Mix<'_, FUSED> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        self.head.mix::<S, FUSED>(simd, self.first, self.out);
    }
}

impl Head<'_> {
    /// Asks for all keys and values, and for `queries` queries from row `first` on.
    ///
    /// Rows are far apart: what is asked for at once need not be waited for one after the other.
    #[inline(always)]
    pub fn prefetch(&self, first: usize, queries: usize) {
        for part in [self.keys, self.values] {
            (0..self.length).for_each(|i| self.qkv.prefetch(self.start + i, part, self.size));
        }
        if self.given.is_none() {
            (first..first + queries).for_each(|i| self.qkv.prefetch(self.start + i, self.query, self.size));
        }
    }

    /// Fills `out`, `[queries, size]`, for the rows of the sequence from `first` on, by the code that the kernel has.
    fn run(&self, first: usize, out: &mut [f32], kernel: Kernel) {
        if self.given.is_none() && self.qkv.is_of_pairs() && self.size.is_multiple_of(LANES) {
            return Arch::new().dispatch(MixPairs { head: self, first, out });
        }
        match kernel {
            Kernel::Portable => Simd::vectorize(Scalar128b, Mix::<false> { head: self, first, out }),
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 if let Some(simd) = pulp::x86::V3::try_new() => {
                Simd::vectorize(simd, Mix::<true> { head: self, first, out });
            }
            _ => Arch::new().dispatch(Mix::<true> { head: self, first, out }),
        }
    }

    /// Four queries at a time: scores by a product with the keys, a softmax, then a product with the values.
    #[inline(always)]
    fn mix<S: Simd, const FUSED: bool>(&self, simd: S, first: usize, out: &mut [f32]) {
        let (length, size) = (self.length, self.size);
        let (wide_length, wide_size) = (length.next_multiple_of(LANES), size.next_multiple_of(LANES));
        self.prefetch(first, out.len() / size);
        // Keys as columns, values as rows, both filled up with zeros to whole vectors.
        let mut keys = vec![0.0; size * wide_length];
        let mut values = vec![0.0; length * wide_size];
        let mut key = vec![0.0; size];
        for (i, value) in values.chunks_exact_mut(wide_size).enumerate() {
            self.qkv.read(self.start + i, self.keys, &mut key);
            keys[i..].iter_mut().step_by(wide_length).zip(&key).for_each(|(to, from)| *to = *from);
            self.qkv.read(self.start + i, self.values, &mut value[..size]);
        }
        let scale = (size as f32).powf(-0.5);
        let mut queries = vec![0.0; QUERIES * size];
        let mut scores = vec![0.0; QUERIES * wide_length];
        let mut sums = vec![0.0; QUERIES * wide_size];
        for (block, out) in out.chunks_mut(QUERIES * size).enumerate() {
            let first = first + block * QUERIES;
            let count = out.len() / size;
            for (i, query) in queries.chunks_exact_mut(size).take(count).enumerate() {
                match self.given {
                    Some(given) => query.copy_from_slice(&given[self.query..][..size]),
                    None => self.qkv.read(self.start + first + i, self.query, query),
                }
                query.iter_mut().for_each(|x| *x *= scale);
            }
            let most = if self.causal { first + count } else { length };
            let wide_most = most.next_multiple_of(LANES);
            product::<S, FUSED>(simd, &queries, size, &keys, wide_length, wide_most, &mut scores);
            let mut totals = [1.0; QUERIES];
            for (i, scores) in scores.chunks_exact_mut(wide_length).take(count).enumerate() {
                let seen = if self.causal { first + i + 1 } else { length };
                totals[i] = softmax::<S, FUSED, false>(simd, &mut scores[..wide_most], seen, 1.0);
            }
            product::<S, FUSED>(simd, &scores, most, &values, wide_size, wide_size, &mut sums);
            for ((out, sums), total) in out.chunks_exact_mut(size).zip(sums.chunks_exact(wide_size)).zip(totals) {
                let share = 1.0 / total;
                out.iter_mut().zip(sums).for_each(|(to, from)| *to = from * share);
            }
        }
    }
}

/// Replaces the first `seen` scores, times `scale`, by weights, and what follows by zeros.
///
/// Returns the sum of the weights, by which they are still to be divided. `ROUGH` takes the less exact exponential,
/// which is enough for bf16.
#[inline(always)]
pub(super) fn softmax<S: Simd, const FUSED: bool, const ROUGH: bool>(
    simd: S,
    scores: &mut [f32],
    seen: usize,
    scale: f32,
) -> f32 {
    // Whole vectors: what is not seen weighs 1e-38 of the largest in the sum.
    scores[seen..].fill(f32::NEG_INFINITY);
    let vectors = S::as_mut_simd_f32s(scores).0;
    // A NaN is never larger, and comes through as what it is.
    let mut largest = simd.splat_f32s(f32::NEG_INFINITY);
    for x in vectors.iter() {
        largest = simd.select_f32s(simd.greater_than_f32s(*x, largest), *x, largest);
    }
    let largest = simd.splat_f32s(simd.reduce_max_f32s(largest));
    let mut sum = simd.splat_f32s(0.0);
    for x in vectors.iter_mut() {
        let y = simd.mul_f32s(simd.splat_f32s(scale * LOG2_E), simd.sub_f32s(*x, largest));
        *x = exp2::<S, FUSED, ROUGH>(simd, y);
        sum = simd.add_f32s(sum, *x);
    }
    scores[seen..].fill(0.0);
    simd.reduce_sum_f32s(sum)
}

/// `out = weights * matrix` for [`QUERIES`] rows.
///
/// `weights` holds those of all rows, evenly apart, of which the first `steps` count. `matrix` is `[steps, width]`,
/// of which the first `columns` count, and `out` is `[QUERIES, width]`. `width` and `columns` are multiples of
/// [`LANES`].
#[inline(always)]
fn product<S: Simd, const FUSED: bool>(
    simd: S,
    weights: &[f32],
    steps: usize,
    matrix: &[f32],
    width: usize,
    columns: usize,
    out: &mut [f32],
) {
    let stride = weights.len() / QUERIES;
    let weights = std::array::from_fn(|i| &weights[i * stride..][..steps]);
    let (matrix, out) = (S::as_simd_f32s(matrix).0, S::as_mut_simd_f32s(out).0);
    let (width, vectors) = (width / S::F32_LANES, columns / S::F32_LANES);
    // As many sums as the registers hold, so that one need not wait for the one before.
    let mut first = 0;
    if S::F32_LANES == 16 {
        while first + 4 <= vectors {
            vectors_of::<S, FUSED, 4>(simd, weights, &matrix[first..], width, &mut out[first..]);
            first += 4;
        }
    }
    while first + 2 <= vectors {
        vectors_of::<S, FUSED, 2>(simd, weights, &matrix[first..], width, &mut out[first..]);
        first += 2;
    }
    if first < vectors {
        vectors_of::<S, FUSED, 1>(simd, weights, &matrix[first..], width, &mut out[first..]);
    }
}

/// `VECTORS` vectors of columns of that product. The sums stay in registers over all steps.
#[inline(always)]
fn vectors_of<S: Simd, const FUSED: bool, const VECTORS: usize>(
    simd: S,
    [a, b, c, d]: [&[f32]; QUERIES],
    matrix: &[S::f32s],
    width: usize,
    out: &mut [S::f32s],
) {
    let mut sums = [[simd.splat_f32s(0.0); VECTORS]; QUERIES];
    for ((((a, b), c), d), row) in a.iter().zip(b).zip(c).zip(d).zip(matrix.chunks(width)) {
        let Some(row) = row.first_chunk::<VECTORS>() else { break };
        for (sums, weight) in sums.iter_mut().zip([a, b, c, d]) {
            let weight = simd.splat_f32s(*weight);
            for (sum, x) in sums.iter_mut().zip(row) {
                *sum = if FUSED {
                    simd.mul_add_f32s(*x, weight, *sum)
                } else {
                    simd.add_f32s(simd.mul_f32s(*x, weight), *sum)
                };
            }
        }
    }
    for (i, sums) in sums.iter().enumerate() {
        out[i * width..][..VECTORS].copy_from_slice(sums);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{D, DType, Device, Tensor};
    use candle_nn::ops::softmax_last_dim;
    use packed_gemm::Precision;

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
            for (causal, kernel) in [false, true].into_iter().flat_map(|c| Kernel::available().map(move |k| (c, k))) {
                let run = |queries| {
                    let attention = Attention { heads, lengths: &lengths, causal, queries };
                    values_of(&attention, &qkv, kernel)
                };
                let last: Vec<usize> = lengths.iter().map(|n| n - 1).collect();
                let (all, one) = (run(Queries::All), run(Queries::Rows(&last)));
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

    #[test]
    fn rounded_to_bf16() {
        for (heads, size, lengths) in [(1, 16, vec![1]), (3, 32, vec![5, 1, 17, 2]), (2, 64, vec![50, 77, 130])] {
            let rows = lengths.iter().sum::<usize>();
            let qkv = Tensor::randn(0f32, 1., (rows, 3 * heads * size), &Device::Cpu).unwrap();
            // What attention reads, so that its own rounding alone is left.
            let qkv = qkv.to_dtype(DType::BF16).unwrap().to_dtype(DType::F32).unwrap();
            for (causal, kernel) in [false, true].into_iter().flat_map(|c| Kernel::available().map(move |k| (c, k))) {
                let attention = Attention { heads, lengths: &lengths, causal, queries: Queries::All };
                let all = rounded_values_of(&attention, &qkv, Precision::Bf16, kernel);
                let mut start = 0;
                for &length in &lengths {
                    let expected = reference(&qkv.narrow(0, start, length).unwrap(), heads, causal).unwrap();
                    within(1e-2, &all.narrow(0, start, length).unwrap(), &expected);
                    start += length;
                }
            }
        }
    }

    #[test]
    fn a_query_of_its_own() {
        let (heads, size, lengths) = (2, 20, [3, 17]);
        let hidden = heads * size;
        let random = |rows, width| Tensor::randn(0f32, 1., (rows, width), &Device::Cpu).unwrap();
        let (all, kv, rows) = (random(20, hidden), random(20, 2 * hidden), [1, 16]);
        let qkv = Tensor::cat(&[&all, &kv], 1).unwrap();
        let all: Vec<f32> = all.flatten_all().unwrap().to_vec1().unwrap();
        let queries = [&all[hidden..][..hidden], &all[(3 + 16) * hidden..]].concat();
        for (precision, kernel) in Kernel::available().flat_map(|k| [(Precision::F32, k), (Precision::Bf16, k)]) {
            for causal in [false, true] {
                let run = |queries, qkv: &Tensor| {
                    let attention = Attention { heads, lengths: &lengths, causal, queries };
                    rounded_values_of(&attention, qkv, precision, kernel)
                };
                // The query itself is not rounded.
                let tolerance = if precision == Precision::F32 { 2e-6 } else { 1e-2 };
                let given = run(Queries::Given { rows: &rows, queries: &queries }, &kv);
                within(tolerance, &given, &run(Queries::Rows(&rows), &qkv));
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let compute = Compute::new(1).unwrap();
        let mut qkv = Rows::new(Precision::F32, compute.kernel());
        qkv.copy_from(compute.pool(), &[0.0; 5 * 24], 24).unwrap();
        let run = |heads, lengths: &[usize], queries| {
            let attention = Attention { heads, lengths, causal: false, queries };
            let mut rows = Rows::new(Precision::F32, compute.kernel());
            attention.to_rows(&qkv, &mut rows, &compute).is_ok()
        };
        assert!(
            run(2, &[2, 3], Queries::All)
                && run(2, &[5], Queries::Rows(&[4]))
                && run(2, &[5], Queries::Given { rows: &[0], queries: &[0.0; 12] })
        );
        assert!(!run(3, &[2, 3], Queries::All), "heads");
        assert!(!run(2, &[2, 2], Queries::All), "lengths");
        assert!(!run(2, &[5], Queries::Rows(&[5])), "no such row");
        assert!(!run(2, &[2, 3], Queries::Rows(&[1])), "a row too few");
        assert!(!run(2, &[5], Queries::Given { rows: &[0], queries: &[0.0; 8] }), "the query's length");
        assert!(!run(2, &[5], Queries::Given { rows: &[5], queries: &[0.0; 12] }), "the query's row");
    }

    fn values_of(attention: &Attention, qkv: &Tensor, kernel: Kernel) -> Tensor {
        rounded_values_of(attention, qkv, Precision::F32, kernel)
    }

    /// What attention gives for `qkv` in a precision.
    fn rounded_values_of(attention: &Attention, qkv: &Tensor, precision: Precision, kernel: Kernel) -> Tensor {
        let (width, compute) = (qkv.dims2().unwrap().1, Compute::with_kernel(2, kernel).unwrap());
        let (mut rounded, mut rows) = (Rows::new(precision, kernel), Rows::new(Precision::F32, kernel));
        let values: Vec<f32> = qkv.flatten_all().unwrap().to_vec1().unwrap();
        rounded.copy_from(compute.pool(), &values, width).unwrap();
        attention.to_rows(&rounded, &mut rows, &compute).unwrap();
        let mut values = vec![0.0; rows.len() * rows.width()];
        for (i, values) in values.chunks_mut(rows.width()).enumerate() {
            rows.read(i, 0, values);
        }
        Tensor::from_vec(values, (rows.len(), rows.width()), &Device::Cpu).unwrap()
    }

    fn close(a: &Tensor, b: &Tensor) {
        within(2e-6, a, b);
    }

    fn within(tolerance: f32, a: &Tensor, b: &Tensor) {
        let error = (a - b).unwrap().abs().unwrap().flatten_all().unwrap().max(D::Minus1).unwrap();
        assert!(error.to_scalar::<f32>().unwrap() < tolerance, "{error}");
    }
}
