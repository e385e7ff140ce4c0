//! What happens to a product before it is stored.

use std::ops::Range;

use pulp::Simd;

use super::math::{erf, multiply_add, times_sigmoid};
use crate::geometry::{AccTile, NR};

/// The function that follows a linear layer, value by value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activation {
    /// Sums and bias as they are.
    #[default]
    None,
    /// `x * sigmoid(1.702 x)`, OpenAI's CLIP.
    QuickGelu,
    /// `x * Phi(x)`, with the error function within 2e-7.
    Gelu,
    /// `0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x³)))`
    GeluTanh,
    /// `max(x, 0)`
    Relu,
    /// `x * sigmoid(x)`
    Silu,
}

/// What is done to the sums of a product, while they are in the cache: `activation(sums + bias)`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Epilogue<'a> {
    /// `[n]`, one value a column of the product. Another length is a [`ShapeError`](crate::ShapeError).
    pub bias: Option<&'a [f32]>,
    /// Follows the bias.
    pub activation: Activation,
}

impl Epilogue<'_> {
    /// Finishes the sums of some columns of some rows. `scales`: what the sums of a column are in units of. `approx`: they will
    /// be rounded.
    ///
    /// Vector by vector, each read and written once: stores are what would take the time.
    #[inline(always)]
    pub(crate) fn apply<S: Simd, const FMA: bool>(
        &self,
        simd: S,
        sums: &mut AccTile,
        scales: Option<&[f32; NR]>,
        columns: Range<usize>,
        approx: bool,
    ) {
        let scales = scales.unwrap_or(&[1.0; NR]);
        let mut bias = [0.0; NR];
        if let Some(all) = self.bias {
            bias[..columns.len()].copy_from_slice(&all[columns]);
        }
        // A loop for each of them.
        match (self.activation, approx) {
            (Activation::None, _) => each::<S, FMA, false>(simd, sums, scales, &bias, Activation::None),
            (Activation::QuickGelu, false) => each::<S, FMA, false>(simd, sums, scales, &bias, Activation::QuickGelu),
            (Activation::QuickGelu, true) => each::<S, FMA, true>(simd, sums, scales, &bias, Activation::QuickGelu),
            (Activation::Gelu, false) => each::<S, FMA, false>(simd, sums, scales, &bias, Activation::Gelu),
            (Activation::Gelu, true) => each::<S, FMA, true>(simd, sums, scales, &bias, Activation::Gelu),
            (Activation::GeluTanh, false) => each::<S, FMA, false>(simd, sums, scales, &bias, Activation::GeluTanh),
            (Activation::GeluTanh, true) => each::<S, FMA, true>(simd, sums, scales, &bias, Activation::GeluTanh),
            (Activation::Relu, _) => each::<S, FMA, false>(simd, sums, scales, &bias, Activation::Relu),
            (Activation::Silu, false) => each::<S, FMA, false>(simd, sums, scales, &bias, Activation::Silu),
            (Activation::Silu, true) => each::<S, FMA, true>(simd, sums, scales, &bias, Activation::Silu),
        }
    }
}

/// No closure for the activation: it would be a function without the kernel's features.
#[inline(always)]
fn each<S: Simd, const FMA: bool, const APPROX: bool>(
    simd: S,
    sums: &mut AccTile,
    scales: &[f32; NR],
    bias: &[f32; NR],
    activation: Activation,
) {
    let (scales, bias) = (S::as_simd_f32s(scales).0, S::as_simd_f32s(bias).0);
    for values in sums {
        for ((value, scale), bias) in S::as_mut_simd_f32s(values).0.iter_mut().zip(scales).zip(bias) {
            let x = multiply_add::<S, FMA>(simd, *value, *scale, *bias);
            *value = activate::<S, FMA, APPROX>(simd, activation, x);
        }
    }
}

#[inline(always)]
fn activate<S: Simd, const FMA: bool, const APPROX: bool>(simd: S, activation: Activation, x: S::f32s) -> S::f32s {
    match activation {
        Activation::None => x,
        Activation::QuickGelu => times_sigmoid::<S, FMA, APPROX>(simd, x, simd.mul_f32s(simd.splat_f32s(1.702), x)),
        Activation::Gelu => {
            let half = simd.mul_f32s(simd.splat_f32s(0.5), x);
            let erf = erf::<S, FMA, APPROX>(simd, simd.mul_f32s(simd.splat_f32s(std::f32::consts::FRAC_1_SQRT_2), x));
            simd.add_f32s(half, simd.mul_f32s(half, erf))
        }
        // (1 + tanh(u)) / 2 with u = sqrt(2 / pi) (x + 0.044715 x³) is a sigmoid of 2 u.
        Activation::GeluTanh => {
            let cube = simd.mul_f32s(simd.mul_f32s(simd.splat_f32s(0.044_715), x), simd.mul_f32s(x, x));
            let y = simd.mul_f32s(simd.splat_f32s(1.595_769), simd.add_f32s(x, cube));
            times_sigmoid::<S, FMA, APPROX>(simd, x, y)
        }
        Activation::Relu => simd.max_f32s(x, simd.splat_f32s(0.0)),
        Activation::Silu => times_sigmoid::<S, FMA, APPROX>(simd, x, x),
    }
}

/// Adds values to others, as many as both have. The loop over a whole panel's has a fixed length.
#[inline(always)]
pub(crate) fn add(to: &mut [f32], values: &[f32]) {
    match (to.as_mut_array::<NR>(), values.as_array::<NR>()) {
        (Some(to), Some(values)) => {
            for (to, value) in to.iter_mut().zip(values) {
                *to += value;
            }
        }
        _ => {
            for (to, value) in to.iter_mut().zip(values) {
                *to += value;
            }
        }
    }
}
