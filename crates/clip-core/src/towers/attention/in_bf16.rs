//! Attention on pairs of bf16, for processors that multiply those: queries, keys and values as they were rounded, and the
//! weights of values rounded, too. Sums are f32.

use packed_gemm::{PairProduct, multiply_pairs, to_columns, to_pairs};
use pulp::{Simd, WithSimd, bytemuck};

use super::head::{Head, QUERIES};
use super::panels::Panels;
use super::scratch::Scratch;
use super::softmax::softmax;

/// Groups of columns of a panel.
const GROUPS: usize = 4;

/// One head's output, `[queries, size]`, for the rows of the sequence from `first` on.
pub struct MixPairs<'a> {
    /// Its rows are pairs of bf16, and its size is one of whole groups.
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
        let Head { qkv, length, size, causal, .. } = *head;
        let kernel = qkv.kernel();
        let (key_panels, value_panels) = (Panels::new(length, GROUPS), Panels::new(size, GROUPS));
        let (wide_length, pairs) = (key_panels.columns(), length.div_ceil(2));
        let at_once = head.queries_at_once();
        head.prefetch(first, out.len() / size);
        let (stride, queries) = (wide_length + Panels::GROUP, at_once.min(out.len() / size));
        let lens = [
            size / 2 * wide_length,
            pairs * size,
            Panels::GROUP * size / 2,
            queries * size / 2,
            queries * stride / 2,
            queries * stride,
            size,
        ];
        let mut scratch = Scratch::new(lens);
        let [keys, values, rows, asking, weights, scores, turned] = scratch.buffers::<u32, _>(lens);
        let (scores, turned) = (bytemuck::cast_slice_mut::<u32, f32>(scores), bytemuck::cast_slice_mut(turned));
        pack_keys(head, key_panels, turned, rows, keys);
        pack_values(head, value_panels, values);
        let scale = (size as f32).powf(-0.5);
        for (block, out) in out.chunks_mut(at_once * size).enumerate() {
            let (first, rows) = (first + block * at_once, out.len() / size);
            for (i, query) in asking.chunks_exact_mut(size / 2).take(rows).enumerate() {
                head.read_pairs(first + i, head.query, turned, query);
            }
            for panel in key_panels.ranges() {
                // Rows before these do not see it.
                let from = if causal { panel.start.saturating_sub(first) } else { 0 };
                if from >= rows {
                    break;
                }
                let product = PairProduct {
                    x: &asking[from * size / 2..],
                    x_stride: size / 2,
                    rows: rows - from,
                    steps: size / 2,
                    panel: &keys[panel.start * size / 2..panel.end * size / 2],
                    width: panel.len(),
                    out: &mut scores[from * stride + panel.start..],
                    out_stride: stride,
                };
                multiply_pairs(kernel, product);
            }
            let most = head.seen(first + rows - 1);
            let wide_most = most.next_multiple_of(Panels::GROUP);
            let mut totals = [1.0; QUERIES];
            let all = scores.chunks_exact_mut(stride).zip(weights.chunks_exact_mut(stride / 2));
            for (i, (scores, weights)) in all.take(rows).enumerate() {
                let (scores, seen) = (&mut scores[..wide_most], head.seen(first + i));
                head.lower(first + i, &mut scores[..seen]);
                totals[i] = softmax::<S, true, true>(simd, scores, seen, scale);
                to_pairs(kernel, scores, &mut weights[..wide_most / 2]);
            }
            for panel in value_panels.ranges() {
                let product = PairProduct {
                    x: weights,
                    x_stride: stride / 2,
                    rows,
                    steps: most.div_ceil(2),
                    panel: &values[panel.start * pairs..panel.end * pairs],
                    width: panel.len(),
                    out: &mut out[panel.start..],
                    out_stride: size,
                };
                multiply_pairs(kernel, product);
            }
            for (out, total) in out.chunks_exact_mut(size).zip(totals) {
                let share = 1.0 / total;
                out.iter_mut().for_each(|x| *x *= share);
            }
        }
    }
}

/// Keys become columns: their pairs below each other.
#[inline(always)]
fn pack_keys(head: &Head, panels: Panels, turned: &mut [f32], rows: &mut [u32], keys: &mut [u32]) {
    let steps = head.size / 2;
    for panel in panels.ranges() {
        let keys = &mut keys[panel.start * steps..panel.end * steps];
        for column in (0..panel.len()).step_by(Panels::GROUP) {
            for (i, row) in rows.chunks_exact_mut(steps).enumerate() {
                match panel.start + column + i {
                    key if key < head.length => head.read_pairs(key, head.keys, turned, row),
                    _ => row.fill(0),
                }
            }
            to_columns(head.qkv.kernel(), rows, &mut keys[column..], panel.len());
        }
    }
}

/// Pairs of what two rows have in a column, a zero filling up the last ones.
#[inline(always)]
fn pack_values(head: &Head, panels: Panels, values: &mut [u32]) {
    let (length, pairs) = (head.length, head.length.div_ceil(2));
    let none = [0; GROUPS * Panels::GROUP / 2];
    for panel in panels.ranges() {
        let at = head.values + panel.start;
        let row = |i: usize| match i < length {
            true => head.qkv.pairs(head.start + i, at, panel.len()),
            false => &none[..panel.len() / 2],
        };
        let values = &mut values[panel.start * pairs..panel.end * pairs];
        for (i, values) in values.chunks_exact_mut(panel.len()).enumerate() {
            for (pairs, (first, second)) in
                values.as_chunks_mut::<2>().0.iter_mut().zip(row(2 * i).iter().zip(row(2 * i + 1)))
            {
                *pairs = [first & 0xffff | second << 16, first >> 16 | second & 0xffff_0000];
            }
        }
    }
}
