//! Scaled dot-product attention, sequence by sequence and head by head.

use packed_gemm::{Kernel, Rows, exp, multiply_add};
use pulp::{Arch, Simd};

use crate::compute::Compute;

/// Rows of all sequences lie one after the other, and so do queries, keys and values of a row.
pub struct Attention<'a> {
    pub heads: usize,
    /// Rows of each sequence.
    pub lengths: &'a [usize],
    /// A row sees itself and those before it.
    pub causal: bool,
    pub queries: Queries<'a>,
}

/// What asks.
#[derive(Clone, Copy)]
pub enum Queries<'a> {
    /// Every row.
    All,
    /// One of each sequence.
    Rows(&'a [usize]),
    /// This query, `[hidden]`, in each sequence. Its rows have keys and values alone.
    Given(&'a [f32]),
}

impl Attention<'_> {
    /// `qkv`: `[sum of lengths, width]`, `width` being three times the hidden size, or twice where the query is given.
    /// Fills `[rows that ask, hidden]`.
    pub fn to_rows(&self, qkv: &Rows, rows: &mut Rows, compute: &Compute) -> candle_core::Result<()> {
        let (starts, total) = self.starts();
        let parts = if matches!(self.queries, Queries::Given(_)) { 2 } else { 3 };
        let hidden = qkv.width() / parts;
        let fits = match self.queries {
            Queries::All => true,
            Queries::Rows(rows) => {
                rows.len() == self.lengths.len() && rows.iter().zip(self.lengths).all(|(row, length)| row < length)
            }
            Queries::Given(query) => query.len() == hidden,
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
        rows.fill_grid(compute.team(), &heights, self.heads, size, |i, head, out| {
            let keys = (parts - 2) * hidden + head * size;
            let head = Head {
                qkv,
                start: starts[i],
                length: self.lengths[i],
                size,
                query: head * size,
                given: if let Queries::Given(query) = self.queries { Some(query) } else { None },
                keys,
                values: keys + hidden,
                causal: self.causal,
            };
            let first = if let Queries::Rows(rows) = self.queries { rows[i] } else { 0 };
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
struct Head<'a> {
    qkv: &'a Rows,
    /// First row of the sequence.
    start: usize,
    length: usize,
    /// Columns of the head, the first ones of its queries, keys and values.
    size: usize,
    query: usize,
    keys: usize,
    values: usize,
    /// Asks instead of the rows.
    given: Option<&'a [f32]>,
    causal: bool,
}

/// Columns of a block of sums that stays in registers.
const LANES: usize = 16;
/// Its rows: as many as the registers hold, so that one sum need not wait for the one before.
const QUERIES: usize = 4;
const QUERIES_512: usize = 8;
/// Steps of a sum that are checked to be there at a time.
const STEPS: usize = 8;

impl Head<'_> {
    /// `out`: `[queries, size]`, for the rows of the sequence from `first` on.
    fn run(&self, first: usize, out: &mut [f32], kernel: Kernel) {
        // A fused multiplication and addition is a call into the C library where the processor has no instruction for it.
        match kernel {
            Kernel::Portable => self.mix::<false, QUERIES>(first, out),
            Kernel::Avx2 => mix_256(self, first, out),
            _ => mix_512(self, first, out),
        }
    }

    #[inline(always)]
    fn mix<const FUSED: bool, const QUERIES: usize>(&self, first: usize, out: &mut [f32]) {
        let (length, size) = (self.length, self.size);
        let (wide_length, wide_size) = (length.next_multiple_of(LANES), size.next_multiple_of(LANES));
        // Keys as columns, values as rows, both filled up with zeros to whole blocks.
        let mut keys = vec![0.0; wide_size * wide_length];
        let mut values = vec![0.0; wide_length * wide_size];
        let mut key = vec![0.0; size];
        for (i, value) in values.chunks_exact_mut(wide_size).take(length).enumerate() {
            self.qkv.read(self.start + i, self.keys, &mut key);
            keys[i..].iter_mut().step_by(wide_length).zip(&key).for_each(|(to, from)| *to = *from);
            self.qkv.read(self.start + i, self.values, &mut value[..size]);
        }
        let scale = (size as f32).powf(-0.5);
        let mut queries = vec![0.0; QUERIES * wide_size];
        let mut scores = vec![0.0; QUERIES * wide_length];
        let mut sums = vec![0.0; QUERIES * wide_size];
        for (block, out) in out.chunks_mut(QUERIES * size).enumerate() {
            let first = first + block * QUERIES;
            let count = out.len() / size;
            for (i, query) in queries.chunks_exact_mut(wide_size).take(count).enumerate() {
                let query = &mut query[..size];
                match self.given {
                    Some(given) => query.copy_from_slice(&given[self.query..][..size]),
                    None => self.qkv.read(self.start + first + i, self.query, query),
                }
                query.iter_mut().for_each(|x| *x *= scale);
            }
            product::<FUSED, QUERIES>(&queries, wide_size, size, &keys, wide_length, &mut scores);
            let mut totals = [1.0; QUERIES];
            for (i, scores) in scores.chunks_exact_mut(wide_length).take(count).enumerate() {
                let seen = if self.causal { first + i + 1 } else { length };
                totals[i] = softmax::<FUSED>(scores, seen);
            }
            let seen = if self.causal { first + count } else { length };
            product::<FUSED, QUERIES>(&scores, wide_length, seen, &values, wide_size, &mut sums);
            for ((out, sums), total) in out.chunks_exact_mut(size).zip(sums.chunks_exact(wide_size)).zip(totals) {
                out.iter_mut().zip(sums).for_each(|(to, from)| *to = from / total);
            }
        }
    }
}

#[pulp::with_simd(mix_256 = Arch::new())]
#[inline(always)]
fn mix_256_with<'a, S: Simd>(_: S, head: &'a Head<'a>, first: usize, out: &'a mut [f32]) {
    head.mix::<true, QUERIES>(first, out);
}

#[pulp::with_simd(mix_512 = Arch::new())]
#[inline(always)]
fn mix_512_with<'a, S: Simd>(_: S, head: &'a Head<'a>, first: usize, out: &'a mut [f32]) {
    head.mix::<true, QUERIES_512>(first, out);
}

/// Replaces the first `seen` scores by weights, what follows by zeros, and returns their sum, by which they are still to
/// be divided.
#[inline(always)]
fn softmax<const FUSED: bool>(scores: &mut [f32], seen: usize) -> f32 {
    // Whole blocks: what is not seen weighs 1e-38 of the largest in the sum.
    scores[seen..].fill(f32::NEG_INFINITY);
    let blocks = &mut scores.as_chunks_mut::<LANES>().0[..seen.div_ceil(LANES)];
    let mut largest = [f32::NEG_INFINITY; LANES];
    for block in blocks.iter() {
        largest.iter_mut().zip(block).for_each(|(l, s)| *l = if *s > *l { *s } else { *l });
    }
    let largest = largest.into_iter().fold(f32::NEG_INFINITY, f32::max);
    let mut sums = [0.0; LANES];
    for block in blocks {
        for (sum, s) in sums.iter_mut().zip(block) {
            *s = exp::<FUSED>(*s - largest);
            *sum += *s;
        }
    }
    scores[seen..].fill(0.0);
    sums.iter().sum()
}

/// `out = weights * matrix` for `QUERIES` rows: `steps` of each row's `stride` weights, `matrix` of `[stride, width]`.
/// `stride` and `width` are multiples of [`LANES`], and what is beyond `steps` is zero in both or in the weights alone.
#[inline(always)]
fn product<const FUSED: bool, const QUERIES: usize>(
    weights: &[f32],
    stride: usize,
    steps: usize,
    matrix: &[f32],
    width: usize,
    out: &mut [f32],
) {
    let weights: [_; QUERIES] = std::array::from_fn(|i| weights[i * stride..][..stride].as_chunks::<STEPS>().0);
    for first in (0..width).step_by(LANES) {
        let mut sums = [[0.0f32; LANES]; QUERIES];
        for (block, rows) in matrix.chunks_exact(STEPS * width).take(steps.div_ceil(STEPS)).enumerate() {
            let weights: [_; QUERIES] = std::array::from_fn(|i| &weights[i][block]);
            for s in 0..STEPS {
                let Some(row) = rows[s * width + first..].first_chunk::<LANES>() else { break };
                for (sums, weights) in sums.iter_mut().zip(weights) {
                    for (sum, x) in sums.iter_mut().zip(row) {
                        *sum = multiply_add::<FUSED>(*x, weights[s], *sum);
                    }
                }
            }
        }
        for (i, sums) in sums.iter().enumerate() {
            out[i * width + first..][..LANES].copy_from_slice(sums);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{D, Device, Tensor};
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
    fn a_query_of_its_own() {
        let (heads, size, lengths) = (2, 20, [3, 17]);
        let hidden = heads * size;
        let random = |rows, width| Tensor::randn(0f32, 1., (rows, width), &Device::Cpu).unwrap();
        let (query, kv) = (random(1, hidden), random(20, 2 * hidden));
        // As if every row asked so.
        let qkv = Tensor::cat(&[&query.broadcast_as((20, hidden)).unwrap(), &kv], 1).unwrap();
        let query: Vec<f32> = query.flatten_all().unwrap().to_vec1().unwrap();
        for (precision, kernel) in Kernel::available().flat_map(|k| [(Precision::F32, k), (Precision::Bf16, k)]) {
            let run = |queries, qkv: &Tensor| {
                let attention = Attention { heads, lengths: &lengths, causal: false, queries };
                rounded_values_of(&attention, qkv, precision, kernel)
            };
            // The query itself is not rounded.
            let tolerance = if precision == Precision::F32 { 2e-6 } else { 1e-2 };
            let (given, expected) = (run(Queries::Given(&query), &kv), run(Queries::Rows(&[0, 0]), &qkv));
            within(tolerance, &given, &expected);
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let compute = Compute::new(1).unwrap();
        let mut qkv = Rows::new(Precision::F32, compute.kernel());
        qkv.copy_from(compute.team(), &[0.0; 5 * 24], 24).unwrap();
        let run = |heads, lengths: &[usize], queries| {
            let attention = Attention { heads, lengths, causal: false, queries };
            let mut rows = Rows::new(Precision::F32, compute.kernel());
            attention.to_rows(&qkv, &mut rows, &compute).is_ok()
        };
        assert!(
            run(2, &[2, 3], Queries::All)
                && run(2, &[5], Queries::Rows(&[4]))
                && run(2, &[5], Queries::Given(&[0.0; 12]))
        );
        assert!(!run(3, &[2, 3], Queries::All), "heads");
        assert!(!run(2, &[2, 2], Queries::All), "lengths");
        assert!(!run(2, &[5], Queries::Rows(&[5])), "no such row");
        assert!(!run(2, &[2, 3], Queries::Rows(&[1])), "a row too few");
        assert!(!run(2, &[5], Queries::Given(&[0.0; 8])), "the query's length");
    }

    fn values_of(attention: &Attention, qkv: &Tensor, kernel: Kernel) -> Tensor {
        rounded_values_of(attention, qkv, Precision::F32, kernel)
    }

    /// What attention gives for `qkv` in a precision.
    fn rounded_values_of(attention: &Attention, qkv: &Tensor, precision: Precision, kernel: Kernel) -> Tensor {
        let (width, compute) = (qkv.dims2().unwrap().1, Compute::with_kernel(2, kernel).unwrap());
        let (mut rounded, mut rows) = (Rows::new(precision, kernel), Rows::new(Precision::F32, kernel));
        let values: Vec<f32> = qkv.flatten_all().unwrap().to_vec1().unwrap();
        rounded.copy_from(compute.team(), &values, width).unwrap();
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
