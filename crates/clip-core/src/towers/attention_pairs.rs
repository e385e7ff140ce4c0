//! Attention on pairs of bf16, for processors that multiply those: queries, keys and values as they were rounded, and the
//! weights of values rounded, too. Sums are f32.

use packed_gemm::{PAIR_ROWS, multiply_pairs, to_pairs};
use pulp::{Simd, WithSimd};

use super::attention::{Head, LANES, softmax};

/// A head's output: `[queries, size]`, for the rows of the sequence from `first` on.
pub struct MixPairs<'a> {
    pub head: &'a Head<'a>,
    pub first: usize,
    pub out: &'a mut [f32],
}

impl WithSimd for MixPairs<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { head, first, out } = self;
        let Head { qkv, start, length, size, causal, .. } = *head;
        let (kernel, words, wide_length) = (qkv.kernel(), size / 2, length.next_multiple_of(LANES));
        head.prefetch(first, out.len() / size);
        let keys = keys(head, wide_length);
        let values = values(head);
        let scale = (size as f32).powf(-0.5);
        let mut queries = vec![0; PAIR_ROWS * words];
        let mut scores = vec![0.0; PAIR_ROWS * wide_length];
        let mut weights = vec![0; PAIR_ROWS * wide_length / 2];
        let mut sums = vec![0.0; PAIR_ROWS * size];
        for (block, out) in out.chunks_mut(PAIR_ROWS * size).enumerate() {
            let first = first + block * PAIR_ROWS;
            let count = out.len() / size;
            for (i, query) in queries.chunks_exact_mut(words).take(count).enumerate() {
                qkv.read_pairs(start + first + i, head.query, query);
            }
            let most = if causal { first + count } else { length };
            let wide_most = most.next_multiple_of(LANES);
            let rows = std::array::from_fn(|i| &queries[i * words..][..words]);
            multiply_pairs(kernel, rows, &keys, wide_length, wide_most, &mut scores);
            let mut totals = [1.0; PAIR_ROWS];
            let all = scores.chunks_exact_mut(wide_length).zip(weights.chunks_exact_mut(wide_length / 2));
            for (i, (scores, weights)) in all.take(count).enumerate() {
                let (scores, seen) = (&mut scores[..wide_most], if causal { first + i + 1 } else { length });
                totals[i] = softmax::<S, true>(simd, scores, seen, scale);
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
    let words = head.size / 2;
    let (mut keys, mut key) = (vec![0; words * wide_length], vec![0; words]);
    for i in 0..head.length {
        head.qkv.read_pairs(head.start + i, head.keys, &mut key);
        keys[i..].iter_mut().step_by(wide_length).zip(&key).for_each(|(to, from)| *to = *from);
    }
    keys
}

/// `[ceil(length / 2), size]`: pairs of what two rows have in a column, a zero filling up the last ones.
#[inline(always)]
fn values(head: &Head) -> Vec<u32> {
    let words = head.size / 2;
    let mut values = vec![0; head.length.div_ceil(2) * head.size];
    let (mut first, mut second) = (vec![0; words], vec![0; words]);
    for (i, values) in values.chunks_exact_mut(head.size).enumerate() {
        head.qkv.read_pairs(head.start + 2 * i, head.values, &mut first);
        if 2 * i + 1 < head.length {
            head.qkv.read_pairs(head.start + 2 * i + 1, head.values, &mut second);
        } else {
            second.fill(0);
        }
        for (pairs, (first, second)) in values.as_chunks_mut::<2>().0.iter_mut().zip(first.iter().zip(&second)) {
            *pairs = [first & 0xffff | second << 16, first >> 16 | second & 0xffff_0000];
        }
    }
    values
}
