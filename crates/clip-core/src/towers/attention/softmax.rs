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
        for (largest, x) in largest.iter_mut().zip(four) {
            *largest = simd.max_f32s(*x, *largest);
        }
    }
    for (largest, x) in largest.iter_mut().zip(rest.iter()) {
        *largest = simd.max_f32s(*x, *largest);
    }
    let [a, b, c, d] = largest;
    let largest = simd.max_f32s(simd.max_f32s(a, b), simd.max_f32s(c, d));
    let (largest, scale) = (simd.reduce_max_f32s(largest), scale * LOG2_E);
    let (factor, most) = (simd.splat_f32s(scale), simd.splat_f32s(largest));
    // Where it is one step, how `less` is rounded is a factor that all weights have in common.
    let less = simd.splat_f32s(-scale * largest);
    let exponent = |x: S::f32s| {
        if FUSED { simd.mul_add_f32s(x, factor, less) } else { simd.mul_f32s(factor, simd.sub_f32s(x, most)) }
    };
    let mut sums = [simd.splat_f32s(0.0); 4];
    for four in fours.iter_mut() {
        for (x, sum) in four.iter_mut().zip(&mut sums) {
            *x = exp2::<S, FUSED, ROUGH>(simd, exponent(*x));
            *sum = simd.add_f32s(*sum, *x);
        }
    }
    for (x, sum) in rest.iter_mut().zip(&mut sums) {
        *x = exp2::<S, FUSED, ROUGH>(simd, exponent(*x));
        *sum = simd.add_f32s(*sum, *x);
    }
    let [a, b, c, d] = sums;
    simd.reduce_sum_f32s(simd.add_f32s(simd.add_f32s(a, b), simd.add_f32s(c, d)))
}
