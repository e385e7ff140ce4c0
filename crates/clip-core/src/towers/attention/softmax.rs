//! Scores become weights.

use std::f32::consts::LOG2_E;

use packed_gemm::exp2;
use pulp::Simd;

/// Replaces the first `seen` scores, times `scale`, by weights, and what follows by zeros.
///
/// Returns the sum of the weights, by which they are still to be divided. `ROUGH` takes the less exact exponential,
/// which is enough for bf16.
#[inline(always)]
pub fn softmax<S: Simd, const FUSED: bool, const ROUGH: bool>(
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
