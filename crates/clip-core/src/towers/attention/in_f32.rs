//! Attention in f32, by whatever vectors the processor has.

use pulp::{Simd, WithSimd};

use super::head::{Head, LANES};
use super::softmax::softmax;

/// Rows that ask together: each key and value that is read then serves four of them.
const QUERIES: usize = 4;

/// One head's output, `[queries, size]`, for the rows of the sequence from `first` on.
///
/// `FUSED`: the processor has an instruction that multiplies and adds. Without one it would be a call into the C
/// library.
pub struct Mix<'a, const FUSED: bool> {
    pub head: &'a Head<'a>,
    pub first: usize,
    pub out: &'a mut [f32],
}

impl<const FUSED: bool> WithSimd for Mix<'_, FUSED> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        mix::<S, FUSED>(simd, self.head, self.first, self.out);
    }
}

/// Four queries at a time: scores by a product with the keys, a softmax, then a product with the values.
#[inline(always)]
fn mix<S: Simd, const FUSED: bool>(simd: S, head: &Head, first: usize, out: &mut [f32]) {
    let (length, size) = (head.length, head.size);
    let (wide_length, wide_size) = (length.next_multiple_of(LANES), size.next_multiple_of(LANES));
    head.prefetch(first, out.len() / size);
    // Keys as columns, values as rows, both filled up with zeros to whole vectors.
    let mut keys = vec![0.0; size * wide_length];
    let mut values = vec![0.0; length * wide_size];
    let mut key = vec![0.0; size];
    for (i, value) in values.chunks_exact_mut(wide_size).enumerate() {
        head.qkv.read(head.start + i, head.keys, &mut key);
        keys[i..].iter_mut().step_by(wide_length).zip(&key).for_each(|(to, from)| *to = *from);
        head.qkv.read(head.start + i, head.values, &mut value[..size]);
    }
    let scale = (size as f32).powf(-0.5);
    let mut queries = vec![0.0; QUERIES * size];
    let mut scores = vec![0.0; QUERIES * wide_length];
    let mut sums = vec![0.0; QUERIES * wide_size];
    for (block, out) in out.chunks_mut(QUERIES * size).enumerate() {
        let first = first + block * QUERIES;
        let count = out.len() / size;
        for (i, query) in queries.chunks_exact_mut(size).take(count).enumerate() {
            match head.given {
                Some(given) => query.copy_from_slice(&given[head.query..][..size]),
                None => head.qkv.read(head.start + first + i, head.query, query),
            }
            query.iter_mut().for_each(|x| *x *= scale);
        }
        let most = if head.causal { first + count } else { length };
        let wide_most = most.next_multiple_of(LANES);
        product::<S, FUSED>(simd, &queries, size, &keys, wide_length, wide_most, &mut scores);
        let mut totals = [1.0; QUERIES];
        for (i, scores) in scores.chunks_exact_mut(wide_length).take(count).enumerate() {
            let seen = if head.causal { first + i + 1 } else { length };
            totals[i] = softmax::<S, FUSED, false>(simd, &mut scores[..wide_most], seen, 1.0);
        }
        product::<S, FUSED>(simd, &scores, most, &values, wide_size, wide_size, &mut sums);
        for ((out, sums), total) in out.chunks_exact_mut(size).zip(sums.chunks_exact(wide_size)).zip(totals) {
            let share = 1.0 / total;
            out.iter_mut().zip(sums).for_each(|(to, from)| *to = from * share);
        }
    }
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
