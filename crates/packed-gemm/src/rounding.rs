//! The left-hand side in bf16.

use pulp::Arch;
use rayon::prelude::*;

/// Rows of `k` values as rows of pairs, two bf16 in one word, the first one in the low half. Zeros fill up odd rows.
pub fn to_pairs(x: &[f32], k: usize, small: bool) -> Vec<u32> {
    let pairs = k.div_ceil(2);
    let mut out = vec![0; x.len() / k * pairs];
    let arch = Arch::new();
    let row = |(x, out): (&[f32], &mut [u32])| arch.dispatch(|| round_row(x, out));
    if small {
        x.chunks_exact(k).zip(out.chunks_exact_mut(pairs)).for_each(row);
    } else {
        x.par_chunks_exact(k).zip(out.par_chunks_exact_mut(pairs)).for_each(row);
    }
    out
}

#[inline(always)]
fn round_row(x: &[f32], out: &mut [u32]) {
    let (whole, odd) = x.as_chunks::<2>();
    for ([low, high], out) in whole.iter().zip(out.iter_mut()) {
        *out = round(*low) | round(*high) << 16;
    }
    if let ([last], Some(out)) = (odd, out.last_mut()) {
        *out = round(*last);
    }
}

/// To the nearest bf16, ties to even. Finite values only: a NaN may become an infinity, which ends as a NaN all the same.
#[inline(always)]
fn round(x: f32) -> u32 {
    let bits = x.to_bits();
    bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16
}

#[cfg(test)]
mod tests {
    use super::*;
    use half::bf16;

    #[test]
    fn rounds_as_the_half_crate_does() {
        let x: Vec<f32> = (0..10_001).map(|i| (i as f32 - 5000.0) * 1.000_31e-3).chain([f32::MAX, -0.0]).collect();
        for k in [1, 3, x.len()] {
            let rows = &x[..x.len() / k * k];
            for (row, pairs) in rows.chunks_exact(k).zip(to_pairs(rows, k, k == 3).chunks_exact(k.div_ceil(2))) {
                for (i, x) in row.iter().enumerate() {
                    let given = (pairs[i / 2] >> (16 * (i % 2))) as u16;
                    assert_eq!(given, bf16::from_f32(*x).to_bits(), "{x}");
                }
            }
        }
    }
}
