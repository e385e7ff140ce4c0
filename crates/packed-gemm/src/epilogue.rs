//! What happens to a product before it is stored.

use crate::math::{erf, exp, sigmoid};
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

/// `activation(sums + bias) + residual`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Epilogue<'a> {
    /// `[n]`
    pub bias: Option<&'a [f32]>,
    pub activation: Activation,
    /// `[m, n]`
    pub residual: Option<&'a [f32]>,
}

impl Epilogue<'_> {
    /// Finishes the sums of row `row`, columns `column..column + out.len()` of `n`.
    #[inline(always)]
    pub(crate) fn apply(&self, sums: &[f32; COLUMNS], row: usize, column: usize, n: usize, out: &mut [f32]) {
        let mut values = *sums;
        let width = out.len();
        if let Some(bias) = self.bias {
            add(&mut values, &bias[column..][..width]);
        }
        match self.activation {
            Activation::None => {}
            Activation::QuickGelu => values.iter_mut().for_each(|x| *x *= sigmoid(1.702 * *x)),
            Activation::Gelu => {
                values.iter_mut().for_each(|x| *x *= 0.5 + 0.5 * erf(*x * std::f32::consts::FRAC_1_SQRT_2));
            }
            Activation::GeluTanh => values.iter_mut().for_each(|x| *x *= gate_tanh(*x)),
        }
        if let Some(residual) = self.residual {
            add(&mut values, &residual[row * n + column..][..width]);
        }
        out.copy_from_slice(&values[..width]);
    }
}

/// `(1 + tanh(u)) / 2` with `u = sqrt(2 / pi) (x + 0.044715 x³)`, which is a sigmoid of `2 u`.
#[inline(always)]
fn gate_tanh(x: f32) -> f32 {
    1.0 / (1.0 + exp(-1.595_769 * (x + 0.044_715 * x * x * x)))
}

#[inline(always)]
fn add(values: &mut [f32; COLUMNS], other: &[f32]) {
    match other.as_array::<COLUMNS>() {
        Some(other) => values.iter_mut().zip(other).for_each(|(v, o)| *v += o),
        None => values.iter_mut().zip(other).for_each(|(v, o)| *v += o),
    }
}
