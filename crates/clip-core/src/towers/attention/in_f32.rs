//! Attention in f32, by whatever vectors the processor has.

use packed_gemm::to_columns;
use pulp::{Simd, WithSimd, bytemuck};

use super::head::{Head, QUERIES};
use super::panels::Panels;
use super::product::{Product, panel_groups};
use super::scratch::Scratch;
use super::softmax::softmax;

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
        let Self { head, first, out } = self;
        let Head { length, size, causal, .. } = *head;
        let groups = panel_groups::<S>();
        let (key_panels, value_panels) = (Panels::new(length, groups), Panels::new(size, groups));
        let (wide_length, wide_size) = (key_panels.columns(), value_panels.columns());
        let at_once = head.queries_at_once();
        head.prefetch(first, out.len() / size);
        let (stride, queries) = (wide_length + Panels::GROUP, at_once.min(out.len() / size));
        let lens = [
            size * wide_length,
            length * wide_size,
            Panels::GROUP * size,
            queries * size,
            queries * stride,
            queries * wide_size,
        ];
        let mut scratch = Scratch::new(lens);
        let [keys, values, rows, asking, scores, sums] = scratch.buffers::<f32, _>(lens);
        pack_keys(head, key_panels, rows, keys);
        pack_values(head, value_panels, values);
        let scale = (size as f32).powf(-0.5);
        for (block, out) in out.chunks_mut(at_once * size).enumerate() {
            let (first, rows) = (first + block * at_once, out.len() / size);
            for (i, query) in asking.chunks_exact_mut(size).take(rows).enumerate() {
                head.read_query(first + i, query);
            }
            for panel in key_panels.ranges() {
                // Rows before these do not see it.
                let from = if causal { panel.start.saturating_sub(first) } else { 0 };
                if from >= rows {
                    break;
                }
                simd.vectorize(Product::<FUSED> {
                    x: &asking[from * size..],
                    x_stride: size,
                    rows: rows - from,
                    panel: &keys[panel.start * size..panel.end * size],
                    width: panel.len(),
                    out: &mut scores[from * stride + panel.start..],
                    out_stride: stride,
                });
            }
            let most = head.seen(first + rows - 1);
            let wide_most = most.next_multiple_of(Panels::GROUP);
            let mut totals = [1.0; QUERIES];
            for (i, scores) in scores.chunks_exact_mut(stride).take(rows).enumerate() {
                let seen = head.seen(first + i);
                head.lower(first + i, &mut scores[..seen]);
                totals[i] = softmax::<S, FUSED, false>(simd, &mut scores[..wide_most], seen, scale);
            }
            for panel in value_panels.ranges() {
                simd.vectorize(Product::<FUSED> {
                    x: scores,
                    x_stride: stride,
                    rows,
                    panel: &values[panel.start * length..][..panel.len() * most],
                    width: panel.len(),
                    out: &mut sums[panel.start..],
                    out_stride: wide_size,
                });
            }
            for ((out, sums), total) in out.chunks_exact_mut(size).zip(sums.chunks_exact(wide_size)).zip(totals) {
                let share = 1.0 / total;
                out.iter_mut().zip(sums).for_each(|(to, from)| *to = from * share);
            }
        }
    }
}

/// Keys become columns.
#[inline(always)]
fn pack_keys(head: &Head, panels: Panels, rows: &mut [f32], keys: &mut [f32]) {
    let (size, kernel) = (head.size, head.qkv.kernel());
    for panel in panels.ranges() {
        let keys = &mut keys[panel.start * size..panel.end * size];
        for column in (0..panel.len()).step_by(Panels::GROUP) {
            for (i, row) in rows.chunks_exact_mut(size).enumerate() {
                match panel.start + column + i {
                    key if key < head.length => head.read_key(key, row),
                    _ => row.fill(0.0),
                }
            }
            let (from, to) = (bytemuck::cast_slice(rows), bytemuck::cast_slice_mut(&mut keys[column..]));
            to_columns(kernel, from, to, panel.len());
        }
    }
}

/// Values stay rows, cut to panels.
#[inline(always)]
fn pack_values(head: &Head, panels: Panels, values: &mut [f32]) {
    let length = head.length;
    for panel in panels.ranges() {
        let there = panel.len().min(head.size - panel.start);
        let values = &mut values[panel.start * length..panel.end * length];
        for (i, row) in values.chunks_exact_mut(panel.len()).enumerate() {
            head.qkv.read(head.start + i, head.values + panel.start, &mut row[..there]);
        }
    }
}
