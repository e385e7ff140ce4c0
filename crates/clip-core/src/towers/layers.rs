//! The building blocks that both towers share, on candle tensors in f32.
//!
//! Rows of all sequences of a batch lie one after the other, without padding: a tensor is `[rows, width]`, and
//! attention goes sequence by sequence. So a batch gives the same numbers as its items alone.

use candle_core::{Device, Tensor};
use candle_nn::ops::layer_norm;

use super::attention::Attention;
use super::ops::Linear;
use crate::compute::Context;
use crate::error::{Error, Result};
use crate::spec::TowerSpec;
use crate::weights::Weights;

pub struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    eps: f32,
}

impl LayerNorm {
    pub fn load(weights: &Weights, name: &str, eps: f64) -> Result<Self> {
        let tensor =
            |part: &str| Ok::<_, Error>(Tensor::new(weights.values(&format!("{name}.{part}"))?, &Device::Cpu)?);
        Ok(Self { weight: tensor("weight")?, bias: tensor("bias")?, eps: eps as f32 })
    }

    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(layer_norm(x, &self.weight, &self.bias, self.eps)?)
    }
}

/// The pre-norm transformer of CLIP and SigLIP (transformers, `modeling_clip.py`, `CLIPEncoder`).
pub struct Encoder {
    layers: Vec<Layer>,
    causal: bool,
}

struct Layer {
    norm1: LayerNorm,
    /// Query, key and value side by side.
    qkv: Linear,
    out: Linear,
    norm2: LayerNorm,
    fc1: Linear,
    fc2: Linear,
    heads: usize,
}

/// The sequences of a batch, their rows one after the other.
pub struct Sequences {
    /// Rows of each.
    pub lengths: Vec<usize>,
    /// Which row of each stands for it in the end.
    pub pooled: Vec<usize>,
}

impl Sequences {
    /// The pooled rows, counted over all sequences.
    fn rows(&self) -> Vec<u32> {
        let mut start = 0;
        let row = |(length, pooled): (&usize, &usize)| {
            let row = start + pooled;
            start += length;
            row as u32
        };
        self.lengths.iter().zip(&self.pooled).map(row).collect()
    }
}

impl Encoder {
    pub fn load(weights: &Weights, prefix: &str, spec: &TowerSpec, causal: bool) -> Result<Self> {
        let layers = (0..spec.layers)
            .map(|i| Layer::load(weights, &format!("{prefix}.encoder.layers.{i}"), spec))
            .collect::<Result<_>>()?;
        Ok(Self { layers, causal })
    }

    /// `x`: `[sum of lengths, hidden]`. Returns the pooled rows, `[sequences, hidden]`.
    pub fn forward(&self, x: Tensor, sequences: &Sequences, ctx: &Context) -> Result<Tensor> {
        let Some((last, layers)) = self.layers.split_last() else {
            return Err(Error::internal("a tower without layers"));
        };
        let x = self.run(layers, x, sequences, ctx)?;
        ctx.check()?;
        ctx.compute.run(|| last.forward_pooled(&x, sequences, self.causal))
    }

    /// The same for all rows.
    pub fn forward_all(&self, x: Tensor, sequences: &Sequences, ctx: &Context) -> Result<Tensor> {
        self.run(&self.layers, x, sequences, ctx)
    }

    fn run(&self, layers: &[Layer], mut x: Tensor, sequences: &Sequences, ctx: &Context) -> Result<Tensor> {
        for layer in layers {
            ctx.check()?;
            x = ctx.compute.run(|| layer.forward(&x, sequences, self.causal))?;
        }
        Ok(x)
    }
}

impl Layer {
    fn load(weights: &Weights, name: &str, spec: &TowerSpec) -> Result<Self> {
        let part = |part: &str| format!("{name}.{part}");
        let norm = |name: &str| LayerNorm::load(weights, &part(name), spec.layer_norm_eps);
        Ok(Self {
            norm1: norm("layer_norm1")?,
            qkv: Linear::load(weights, &part("self_attn.qkv_proj"))?,
            out: Linear::load(weights, &part("self_attn.out_proj"))?,
            norm2: norm("layer_norm2")?,
            fc1: Linear::load(weights, &part("mlp.fc1"))?.with_activation(spec.activation),
            fc2: Linear::load(weights, &part("mlp.fc2"))?,
            heads: spec.heads,
        })
    }

    fn forward(&self, x: &Tensor, sequences: &Sequences, causal: bool) -> Result<Tensor> {
        let attention = Attention { heads: self.heads, lengths: &sequences.lengths, causal, queries: None };
        let mixed = attention.forward(&self.qkv.forward(&self.norm1.forward(x)?)?)?;
        self.mlp(&self.out.forward_onto(&mixed, x)?)
    }

    /// The last layer, of which only the pooled rows are asked for.
    fn forward_pooled(&self, x: &Tensor, sequences: &Sequences, causal: bool) -> Result<Tensor> {
        let queries = Some(sequences.pooled.as_slice());
        let attention = Attention { heads: self.heads, lengths: &sequences.lengths, causal, queries };
        let mixed = attention.forward(&self.qkv.forward(&self.norm1.forward(x)?)?)?;
        let rows = Tensor::new(sequences.rows(), x.device())?;
        self.mlp(&self.out.forward_onto(&mixed, &x.index_select(&rows, 0)?)?)
    }

    fn mlp(&self, x: &Tensor) -> Result<Tensor> {
        self.fc2.forward_onto(&self.fc1.forward(&self.norm2.forward(x)?)?, x)
    }
}
