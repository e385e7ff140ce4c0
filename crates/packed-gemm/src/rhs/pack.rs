//! From a row-major matrix to panels of 64 columns.

use half::bf16;

use crate::geometry::{Aligned, CACHE_LINE, GROUP_WORDS, NR, QUANT_GROUP};
use crate::precision::Precision;

/// Words of a panel of 64 columns, each of `k` weights. `None` where that is no number.
pub fn panel_words(precision: Precision, k: usize) -> Option<usize> {
    let per_column = match precision {
        Precision::F32 => Some(k),
        Precision::Bf16 => Some(k.div_ceil(2)),
        // one for the scale, one a group for its sum
        Precision::Int8 => k.div_ceil(4).checked_add(1 + k.div_ceil(QUANT_GROUP)),
    };
    per_column?.checked_mul(NR)
}

/// Packs `weights`, `[n, k]` row-major. `words`: of the whole packed matrix.
pub fn pack(precision: Precision, weights: &[f32], k: usize, words: usize) -> Aligned<u32> {
    let mut out = Aligned::new(CACHE_LINE);
    out.resize(words, 0u32);
    let panel_words = panel_words(precision, k).unwrap_or(words);
    let rows = weights.chunks_exact(k);
    for (panel, rows) in out.chunks_exact_mut(panel_words).zip(rows.collect::<Vec<_>>().chunks(NR)) {
        for (column, row) in rows.iter().enumerate() {
            match precision {
                Precision::F32 => (0..k).for_each(|i| panel[i * NR + column] = row[i].to_bits()),
                Precision::Bf16 => {
                    for (i, value) in row.iter().enumerate() {
                        let bits = u32::from(bf16::from_f32(*value).to_bits());
                        panel[i / 2 * NR + column] |= bits << (16 * (i % 2));
                    }
                }
                Precision::Int8 => pack_int8(row, column, panel),
            }
        }
    }
    out
}

/// One column of a panel: its scale, then for each group the sum of its integers, negative, and the integers.
fn pack_int8(row: &[f32], column: usize, panel: &mut [u32]) {
    let largest = row.iter().fold(0f32, |largest, w| largest.max(w.abs()));
    let scale = largest / 127.0;
    panel[column] = scale.to_bits();
    for (group, values) in row.chunks(QUANT_GROUP).enumerate() {
        let at = (1 + group * (GROUP_WORDS + 1)) * NR + column;
        let mut sum = 0i32;
        for (i, value) in values.iter().enumerate() {
            let q = if scale > 0.0 { (value / scale).round().clamp(-127.0, 127.0) as i8 } else { 0 };
            sum += i32::from(q);
            panel[at + (1 + i / 4) * NR] |= u32::from(q.cast_unsigned()) << (8 * (i % 4));
        }
        panel[at] = (-sum).cast_unsigned();
    }
}
