//! Attention on pairs of bf16, for processors that multiply those: queries, keys and values as they were rounded, and the
//! weights of values rounded, too. Sums are f32.

use packed_gemm::{PAIR_ROWS, multiply_pairs, to_pairs};
use pulp::{Simd, WithSimd};

use super::head::{Head, LANES};
use super::softmax::softmax;

/// One head's output, `[queries, size]`, for the rows of the sequence from `first` on.
pub struct MixPairs<'a> {
    /// Its rows are pairs of bf16, and its size is a multiple of the lanes.
    pub head: &'a Head<'a>,
    /// The first row that asks, counted within the sequence.
    pub first: usize,
    /// `[queries, size]`.
    pub out: &'a mut [f32],
}

impl WithSimd for MixPairs<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { head, first, out } = self;
        let Head { qkv, start, length, size, causal, .. } = *head;
        let (kernel, wide_length) = (qkv.kernel(), length.next_multiple_of(LANES));
        head.prefetch(first, out.len() / size);
        let keys = keys(head, wide_length);
        let values = values(head);
        let scale = (size as f32).powf(-0.5);
        let mut scores = vec![0.0; PAIR_ROWS * wide_length];
        let mut weights = vec![0; PAIR_ROWS * wide_length / 2];
        let mut sums = vec![0.0; PAIR_ROWS * size];
        for (block, out) in out.chunks_mut(PAIR_ROWS * size).enumerate() {
            let first = first + block * PAIR_ROWS;
            let count = out.len() / size;
            let most = if causal { first + count } else { length };
            let wide_most = most.next_multiple_of(LANES);
            // Of fewer the last one again.
            let rows = std::array::from_fn(|i| qkv.pairs(start + first + i.min(count - 1), head.query, size));
            multiply_pairs(kernel, rows, &keys, wide_length, wide_most, &mut scores);
            let mut totals = [1.0; PAIR_ROWS];
            let all = scores.chunks_exact_mut(wide_length).zip(weights.chunks_exact_mut(wide_length / 2));
            for (i, (scores, weights)) in all.take(count).enumerate() {
                let (scores, seen) = (&mut scores[..wide_most], if causal { first + i + 1 } else { length });
                totals[i] = softmax::<S, true, true>(simd, scores, seen, scale);
                to_pairs(kernel, scores, &mut weights[..wide_most / 2]);
            }
            let rows = std::array::from_fn(|i| &weights[i * wide_length / 2..][..most.div_ceil(2)]);
            multiply_pairs(kernel, rows, &values, size, size, &mut sums);
            for ((out, sums), total) in out.chunks_exact_mut(size).zip(sums.chunks_exact(size)).zip(totals) {
                let share = 1.0 / total;
                out.iter_mut().zip(sums).for_each(|(to, from)| *to = from * share);
            }
        }
    }
}

/// `[size / 2, wide_length]`: a key's pairs below each other.
#[inline(always)]
fn keys(head: &Head, wide_length: usize) -> Vec<u32> {
    let mut keys = vec![0; head.size / 2 * wide_length];
    for i in 0..head.length {
        let key = head.qkv.pairs(head.start + i, head.keys, head.size);
        keys[i..].iter_mut().step_by(wide_length).zip(key).for_each(|(to, from)| *to = *from);
    }
    keys
}

/// `[ceil(length / 2), size]`: pairs of what two rows have in a column, a zero filling up the last ones.
#[inline(always)]
fn values(head: &Head) -> Vec<u32> {
    let mut values = vec![0; head.length.div_ceil(2) * head.size];
    let none = vec![0; head.size / 2];
    let row = |i: usize| if i < head.length { head.qkv.pairs(head.start + i, head.values, head.size) } else { &none };
    for (i, values) in values.chunks_exact_mut(head.size).enumerate() {
        for (pairs, (first, second)) in
            values.as_chunks_mut::<2>().0.iter_mut().zip(row(2 * i).iter().zip(row(2 * i + 1)))
        {
            *pairs = [first & 0xffff | second << 16, first >> 16 | second & 0xffff_0000];
        }
    }
    values
}
