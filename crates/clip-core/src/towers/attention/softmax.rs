//! Scores become weights.

use std::f32::consts::LOG2_E;

use packed_gemm::exp2;
use pulp::Simd;

/// Replaces the first `seen` scores, times `scale`, by weights, and what follows by 1e-38 or less.
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
    // Whole vectors: what is not seen weighs nothing beside the largest.
    scores[seen..].fill(f32::NEG_INFINITY);
    // Four vectors at a time, so that one need not wait for the one before.
    let (fours, rest) = S::as_mut_simd_f32s(scores).0.as_chunks_mut::<4>();
    // A NaN comes through as what it is, whether it counts as the largest or not.
    let mut largest = [simd.splat_f32s(f32::NEG_INFINITY); 4];
    for four in fours.iter() {
        for j in 0..4 {
            largest[j] = simd.max_f32s(four[j], largest[j]);
        }
    }
    for (j, x) in rest.iter().enumerate() {
        largest[j] = simd.max_f32s(*x, largest[j]);
    }
    let [a, b, c, d] = largest;
    let largest = simd.max_f32s(simd.max_f32s(a, b), simd.max_f32s(c, d));
    let (largest, scale) = (simd.reduce_max_f32s(largest), scale * LOG2_E);
    let mut sums = [simd.splat_f32s(0.0); 4];
    for four in fours.iter_mut() {
        for j in 0..4 {
            four[j] = weight::<S, FUSED, ROUGH>(simd, four[j], largest, scale);
            sums[j] = simd.add_f32s(sums[j], four[j]);
        }
    }
    for (j, x) in rest.iter_mut().enumerate() {
        *x = weight::<S, FUSED, ROUGH>(simd, *x, largest, scale);
        sums[j] = simd.add_f32s(sums[j], *x);
    }
    let [a, b, c, d] = sums;
    simd.reduce_sum_f32s(simd.add_f32s(simd.add_f32s(a, b), simd.add_f32s(c, d)))
}

/// `2^(scale (x - largest))`
#[inline(always)]
fn weight<S: Simd, const FUSED: bool, const ROUGH: bool>(simd: S, x: S::f32s, largest: f32, scale: f32) -> S::f32s {
    let factor = simd.splat_f32s(scale);
    let exponent = if FUSED {
        // How the last of these is rounded is a factor that all weights have in common.
        simd.mul_add_f32s(x, factor, simd.splat_f32s(-scale * largest))
    } else {
        simd.mul_f32s(factor, simd.sub_f32s(x, simd.splat_f32s(largest)))
    };
    exp2::<S, FUSED, ROUGH>(simd, exponent)
}
