//! The building blocks that both towers share, on candle tensors in f32.
//!
//! Rows of all sequences of a batch lie one after the other, without padding: a tensor is `[rows, width]`, and
//! attention goes sequence by sequence. So a batch gives the same numbers as its items alone.

use candle_core::{D, Tensor};
use candle_nn::ops::{layer_norm, sigmoid, softmax_last_dim};

use crate::compute::Context;
use crate::error::Result;
use crate::spec::{Activation, TowerSpec};
use crate::weights::Weights;

/// `y = x Wᵀ + b`. The one place where a tower multiplies by weights, so that another product can take over here.
pub struct Linear {
    /// `[inputs, outputs]`, a transposed view of the checkpoint's matrix.
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Linear {
    pub fn load(weights: &Weights, name: &str) -> Result<Self> {
        let mut linear = Self::load_without_bias(weights, &format!("{name}.weight"))?;
        linear.bias = Some(weights.tensor(&format!("{name}.bias"))?);
        Ok(linear)
    }

    pub fn load_without_bias(weights: &Weights, tensor: &str) -> Result<Self> {
        Self::from_matrix(weights.tensor(tensor)?)
    }

    /// `matrix`: `[outputs, inputs]`.
    pub fn from_matrix(matrix: Tensor) -> Result<Self> {
        Ok(Self { weight: matrix.t()?, bias: None })
    }

    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = x.matmul(&self.weight)?;
        Ok(match &self.bias {
            Some(bias) => y.broadcast_add(bias)?,
            None => y,
        })
    }
}

pub struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    eps: f32,
}

impl LayerNorm {
    pub fn load(weights: &Weights, name: &str, eps: f64) -> Result<Self> {
        Ok(Self {
            weight: weights.tensor(&format!("{name}.weight"))?,
            bias: weights.tensor(&format!("{name}.bias"))?,
            eps: eps as f32,
        })
    }

    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(layer_norm(x, &self.weight, &self.bias, self.eps)?)
    }
}

fn activate(x: &Tensor, activation: Activation) -> Result<Tensor> {
    Ok(match activation {
        Activation::QuickGelu => (x * sigmoid(&(x * 1.702)?)?)?,
        Activation::Gelu => x.gelu_erf()?,
        Activation::GeluTanh => x.gelu()?,
    })
}

/// The pre-norm transformer of CLIP (transformers, `modeling_clip.py`, `CLIPEncoder`).
pub struct Encoder {
    layers: Vec<Layer>,
    causal: bool,
}

struct Layer {
    norm1: LayerNorm,
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
    norm2: LayerNorm,
    fc1: Linear,
    fc2: Linear,
    heads: usize,
    activation: Activation,
}

impl Encoder {
    pub fn load(weights: &Weights, prefix: &str, spec: &TowerSpec, causal: bool) -> Result<Self> {
        let layers = (0..spec.layers)
            .map(|i| Layer::load(weights, &format!("{prefix}.encoder.layers.{i}"), spec))
            .collect::<Result<_>>()?;
        Ok(Self { layers, causal })
    }

    /// `x`: `[sum of lengths, hidden]`, the sequences one after the other.
    pub fn forward(&self, mut x: Tensor, lengths: &[usize], ctx: &Context) -> Result<Tensor> {
        for layer in &self.layers {
            ctx.check()?;
            x = ctx.compute.run(|| layer.forward(&x, lengths, self.causal))?;
        }
        Ok(x)
    }
}

impl Layer {
    fn load(weights: &Weights, name: &str, spec: &TowerSpec) -> Result<Self> {
        let linear = |part: &str| Linear::load(weights, &format!("{name}.{part}"));
        let norm = |part: &str| LayerNorm::load(weights, &format!("{name}.{part}"), spec.layer_norm_eps);
        Ok(Self {
            norm1: norm("layer_norm1")?,
            query: linear("self_attn.q_proj")?,
            key: linear("self_attn.k_proj")?,
            value: linear("self_attn.v_proj")?,
            out: linear("self_attn.out_proj")?,
            norm2: norm("layer_norm2")?,
            fc1: linear("mlp.fc1")?,
            fc2: linear("mlp.fc2")?,
            heads: spec.heads,
            activation: spec.activation,
        })
    }

    fn forward(&self, x: &Tensor, lengths: &[usize], causal: bool) -> Result<Tensor> {
        let x = (x + self.attention(&self.norm1.forward(x)?, lengths, causal)?)?;
        let y = activate(&self.fc1.forward(&self.norm2.forward(&x)?)?, self.activation)?;
        Ok((x + self.fc2.forward(&y)?)?)
    }

    fn attention(&self, x: &Tensor, lengths: &[usize], causal: bool) -> Result<Tensor> {
        let width = x.dim(D::Minus1)?;
        let scale = ((width / self.heads) as f64).powf(-0.5);
        let (q, k, v) = ((self.query.forward(x)? * scale)?, self.key.forward(x)?, self.value.forward(x)?);
        let mut start = 0;
        let mut parts = Vec::with_capacity(lengths.len());
        for &length in lengths {
            let head = |t: &Tensor| -> Result<Tensor> {
                let rows = t.narrow(0, start, length)?.reshape((length, self.heads, width / self.heads))?;
                Ok(rows.transpose(0, 1)?.contiguous()?)
            };
            let mut scores = head(&q)?.matmul(&head(&k)?.t()?)?;
            if causal {
                scores = scores.broadcast_add(&causal_mask(length, x)?)?;
            }
            let mixed = softmax_last_dim(&scores)?.matmul(&head(&v)?)?;
            parts.push(mixed.transpose(0, 1)?.reshape((length, width))?);
            start += length;
        }
        self.out.forward(&Tensor::cat(&parts, 0)?)
    }
}

/// `[length, length]`: 0 up to the diagonal, minus infinity beyond.
fn causal_mask(length: usize, like: &Tensor) -> Result<Tensor> {
    let mask: Vec<f32> =
        (0..length * length).map(|i| if i % length > i / length { f32::NEG_INFINITY } else { 0.0 }).collect();
    Ok(Tensor::from_vec(mask, (length, length), like.device())?)
}
