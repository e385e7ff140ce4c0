//! What happens to a product before it is stored.

use std::ops::Range;

use pulp::Simd;

use crate::math::{erf, multiply_add, times_sigmoid};
use crate::tile::COLUMNS;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activation {
    #[default]
    None,
    /// `x * sigmoid(1.702 x)`
    QuickGelu,
    /// `x * Phi(x)`, with the error function
    Gelu,
    /// The tanh approximation of GELU
    GeluTanh,
}

/// `activation(sums + bias)`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Epilogue<'a> {
    /// `[n]`
    pub bias: Option<&'a [f32]>,
    pub activation: Activation,
}

impl Epilogue<'_> {
    /// Finishes the sums of some columns of a row. `scales`: what the sums of a column are in units of.
    ///
    /// Vector by vector, each read and written once: stores are what would take the time.
    #[inline(always)]
    pub(crate) fn apply<S: Simd, const FUSED: bool>(
        &self,
        simd: S,
        values: &mut [f32; COLUMNS],
        scales: Option<&[f32; COLUMNS]>,
        columns: Range<usize>,
    ) {
        let filled;
        let bias = match self.bias.map(|bias| &bias[columns]) {
            None => None,
            Some(bias) => Some(match bias.as_array() {
                Some(bias) => bias,
                None => {
                    filled = fill(bias);
                    &filled
                }
            }),
        };
        // A loop for each of them.
        match self.activation {
            Activation::None => each::<S, FUSED>(simd, values, scales, bias, Activation::None),
            Activation::QuickGelu => each::<S, FUSED>(simd, values, scales, bias, Activation::QuickGelu),
            Activation::Gelu => each::<S, FUSED>(simd, values, scales, bias, Activation::Gelu),
            Activation::GeluTanh => each::<S, FUSED>(simd, values, scales, bias, Activation::GeluTanh),
        }
    }
}

/// Up to a whole panel.
fn fill(values: &[f32]) -> [f32; COLUMNS] {
    let mut filled = [0.0; COLUMNS];
    filled[..values.len()].copy_from_slice(values);
    filled
}

/// No closure for the activation: it would be a function without the kernel's features.
#[inline(always)]
fn each<S: Simd, const FUSED: bool>(
    simd: S,
    values: &mut [f32; COLUMNS],
    scales: Option<&[f32; COLUMNS]>,
    bias: Option<&[f32; COLUMNS]>,
    activation: Activation,
) {
    let (values, scales) = (S::as_mut_simd_f32s(values).0, scales.map(|scales| S::as_simd_f32s(scales).0));
    let bias = bias.map(|bias| S::as_simd_f32s(bias).0);
    for (i, value) in values.iter_mut().enumerate() {
        let x = *value;
        let x = match (scales, bias) {
            (Some(scales), Some(bias)) => multiply_add::<S, FUSED>(simd, x, scales[i], bias[i]),
            (Some(scales), None) => simd.mul_f32s(x, scales[i]),
            (None, Some(bias)) => simd.add_f32s(x, bias[i]),
            (None, None) => x,
        };
        *value = activate::<S, FUSED>(simd, activation, x);
    }
}

#[inline(always)]
fn activate<S: Simd, const FUSED: bool>(simd: S, activation: Activation, x: S::f32s) -> S::f32s {
    match activation {
        Activation::None => x,
        Activation::QuickGelu => times_sigmoid::<S, FUSED>(simd, x, simd.mul_f32s(simd.splat_f32s(1.702), x)),
        Activation::Gelu => {
            let half = simd.mul_f32s(simd.splat_f32s(0.5), x);
            let erf = erf::<S, FUSED>(simd, simd.mul_f32s(simd.splat_f32s(std::f32::consts::FRAC_1_SQRT_2), x));
            simd.add_f32s(half, simd.mul_f32s(half, erf))
        }
        // (1 + tanh(u)) / 2 with u = sqrt(2 / pi) (x + 0.044715 x³) is a sigmoid of 2 u.
        Activation::GeluTanh => {
            let cube = simd.mul_f32s(simd.mul_f32s(simd.splat_f32s(0.044_715), x), simd.mul_f32s(x, x));
            let y = simd.mul_f32s(simd.splat_f32s(1.595_769), simd.add_f32s(x, cube));
            times_sigmoid::<S, FUSED>(simd, x, y)
        }
    }
}

/// Adds as many values as there are. The loop over a whole panel's has a fixed length.
#[inline(always)]
pub(crate) fn add(to: &mut [f32], values: &[f32]) {
    match (to.as_mut_array::<COLUMNS>(), values.as_array::<COLUMNS>()) {
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
