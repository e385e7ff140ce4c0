//! What happens to a product before it is stored.

use crate::math::{erf, sigmoid};
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
    /// Finishes the sums of some columns of a row. `scales`: what the sums of a column are
    /// in units of.
    #[inline(always)]
    pub(crate) fn apply<const FUSED: bool>(
        &self,
        values: &mut [f32; COLUMNS],
        scales: Option<&[f32; COLUMNS]>,
        columns: std::ops::Range<usize>,
    ) {
        if let Some(scales) = scales {
            for (v, s) in values.iter_mut().zip(scales) {
                *v *= s;
            }
        }
        if let Some(bias) = self.bias {
            add(values, &bias[columns]);
        }
        match self.activation {
            Activation::None => {}
            Activation::QuickGelu => {
                for x in values.iter_mut() {
                    *x *= sigmoid::<FUSED>(1.702 * *x);
                }
            }
            Activation::Gelu => {
                for x in values.iter_mut() {
                    *x *= 0.5 + 0.5 * erf::<FUSED>(*x * std::f32::consts::FRAC_1_SQRT_2);
                }
            }
            Activation::GeluTanh => {
                for x in values.iter_mut() {
                    *x *= gate_tanh::<FUSED>(*x);
                }
            }
        }
    }
}

/// `(1 + tanh(u)) / 2` with `u = sqrt(2 / pi) (x + 0.044715 x³)`, which is a sigmoid of `2 u`.
#[inline(always)]
fn gate_tanh<const FUSED: bool>(x: f32) -> f32 {
    sigmoid::<FUSED>(1.595_769 * (x + 0.044_715 * x * x * x))
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
