//! The building blocks that both towers share, on candle tensors in f32.
//!
//! Rows of all sequences of a batch lie one after the other, without padding: a tensor is `[rows, width]`, and
//! attention goes sequence by sequence. So a batch gives the same numbers as its items alone.

use candle_core::Tensor;

use super::attention::{Attention, Positions, Queries};
use super::norm::LayerNorm;
use super::ops::{AttentionBlock, Gate, Linear, Mlp};
use crate::compute::{Compute, Context};
use crate::error::{Error, Result};
use crate::spec::{Gating, LayerParts, Norms, TowerSpec};
use crate::weights::Weights;

/// The transformer of CLIP and SigLIP, and BERT's (transformers, `modeling_clip.py`, `CLIPEncoder`; `modeling_bert.py`,
/// `BertEncoder`), and `Eva`'s (timm, `eva.py`).
pub struct Encoder {
    layers: Vec<Layer>,
    causal: bool,
    positions: Option<Positions>,
}

/// An attention and an MLP, each with a residual around it, and a norm before it, after it or after all.
struct Layer {
    attention: AttentionBlock,
    mlp: Mlp,
    heads: usize,
    norms: Outer,
}

/// Norms that are not part of the attention and the MLP: what follows each of them.
enum Outer {
    /// Of [`Norms::Before`]: none.
    None,
    /// Of [`Norms::After`], with the residual.
    After([LayerNorm; 2]),
    /// Of [`Norms::Inside`], without it.
    Inside([LayerNorm; 2]),
}

/// The sequences of a batch, their rows one after the other.
pub struct Sequences {
    /// Rows of each sequence.
    pub lengths: Vec<usize>,
    /// Which row of each sequence stands for it in the end, counted within it.
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
    /// Reads `prefix.encoder.layers.0` and so on. `causal`: a row does not see those behind it, as in CLIP's text
    /// tower.
    pub fn load(
        weights: &Weights,
        prefix: &str,
        spec: &TowerSpec,
        causal: bool,
        parts: impl Into<LayerParts>,
    ) -> Result<Self> {
        let parts = parts.into();
        let layers = (0..spec.layers)
            .map(|i| Layer::load(weights, &format!("{prefix}.encoder.layers.{i}"), spec, parts))
            .collect::<Result<_>>()?;
        Ok(Self { layers, causal, positions: None })
    }

    /// The same with positions that the attention goes by.
    pub fn with_positions(self, positions: Option<Positions>) -> Self {
        Self { positions, ..self }
    }

    /// What attends to what, in a layer of so many heads.
    fn attention<'a>(&'a self, layer: &Layer, sequences: &'a Sequences, queries: Queries<'a>) -> Attention<'a> {
        let (causal, positions) = (self.causal, self.positions.as_ref());
        Attention { heads: layer.heads, lengths: &sequences.lengths, causal, queries, positions }
    }

    /// Runs all layers on `x`, `[sum of lengths, hidden]`, which they overwrite. Returns the pooled rows,
    /// `[sequences, hidden]`.
    ///
    /// Of the last layer only the pooled rows are computed. The caller is asked whether to stop before each layer.
    pub fn forward(&self, x: Tensor, sequences: &Sequences, ctx: &Context) -> Result<Tensor> {
        let Some((last, layers)) = self.layers.split_last() else {
            return Err(Error::internal("a tower without layers"));
        };
        self.run(layers, &x, sequences, ctx)?;
        ctx.check()?;
        let attention = self.attention(last, sequences, Queries::Rows(&sequences.pooled));
        last.forward_pooled(&x, &sequences.rows(), &attention, ctx.compute)
    }

    /// Runs all layers on `x`, `[sum of lengths, hidden]`, and returns it with every row computed.
    pub fn forward_all(&self, x: Tensor, sequences: &Sequences, ctx: &Context) -> Result<Tensor> {
        self.run(&self.layers, &x, sequences, ctx)?;
        Ok(x)
    }

    /// Runs some layers on `x`, `[sum of lengths, hidden]`, in place.
    fn run(&self, layers: &[Layer], x: &Tensor, sequences: &Sequences, ctx: &Context) -> Result<()> {
        for layer in layers {
            ctx.check()?;
            layer.forward(x, &self.attention(layer, sequences, Queries::All), ctx.compute)?;
        }
        Ok(())
    }
}

impl Layer {
    /// Reads the layer of that name. Query, key and value are one matrix in the file.
    fn load(weights: &Weights, name: &str, spec: &TowerSpec, parts: LayerParts) -> Result<Self> {
        let part = |part: &str| format!("{name}.{part}");
        let linear = |name: &str| Linear::load(weights, &part(name));
        let norm = |name: &str| LayerNorm::load(weights, &part(name), spec.layer_norm_eps);
        let both = [norm("layer_norm1")?, norm("layer_norm2")?];
        let (before, norms) = match parts.norms {
            Norms::Before => (both.map(Some), Outer::None),
            Norms::After => ([None, None], Outer::After(both)),
            Norms::Inside => ([None, None], Outer::Inside(both)),
        };
        let [first, second] = before;
        let qkv = match (linear("self_attn.qkv_proj")?, parts.key_bias) {
            (qkv, true) => qkv,
            (qkv, false) => qkv.with_zeros(spec.hidden, spec.hidden),
        };
        let matrix = |name: &str| Linear::load_without_bias(weights, &part(name));
        let (up, inner, gate) = match parts.gating {
            Gating::None => (linear("mlp.fc1")?.with_activation(spec.activation), None, None),
            Gating::Normed => {
                let linear = linear("mlp.gate")?.with_activation(spec.activation);
                let gate = Gate { linear, norm: Some(norm("mlp.layer_norm")?) };
                (Linear::load(weights, &part("mlp.fc1"))?, Some(norm("self_attn.layer_norm")?), Some(gate))
            }
            Gating::Plain => {
                let linear = matrix("mlp.gate.weight")?.with_activation(spec.activation);
                (matrix("mlp.fc1.weight")?, None, Some(Gate { linear, norm: None }))
            }
        };
        Ok(Self {
            attention: AttentionBlock::new(first, qkv, linear("self_attn.out_proj")?).with_inner_norm(inner),
            mlp: Mlp::new(second, up, linear("mlp.fc2")?).with_gate(gate),
            heads: spec.heads,
            norms,
        })
    }

    /// Adds attention and MLP to every row of `x`, `[sum of lengths, hidden]`, in place.
    fn forward(&self, x: &Tensor, attention: &Attention, compute: &Compute) -> Result<()> {
        match &self.norms {
            Outer::Inside([norm, _]) => norm.add_to(&self.attention.forward(attention, x, compute)?, x, compute)?,
            Outer::None | Outer::After(_) => self.attention.add_to(attention, x, compute)?,
        }
        self.finish(x, compute)
    }

    /// The last layer, of which only the pooled `rows` are asked for: `[sequences, hidden]`. `x` stays as it is.
    fn forward_pooled(&self, x: &Tensor, rows: &[u32], attention: &Attention, compute: &Compute) -> Result<Tensor> {
        let pooled = x.index_select(&Tensor::new(rows, x.device())?, 0)?;
        match &self.norms {
            Outer::Inside([norm, _]) => {
                norm.add_to(&self.attention.forward(attention, x, compute)?, &pooled, compute)?
            }
            Outer::None | Outer::After(_) => self.attention.add_to_asking(attention, x, &pooled, compute)?,
        }
        self.finish(&pooled, compute)?;
        Ok(pooled)
    }

    /// What follows the attention, for `x`, `[rows, hidden]`, in place.
    fn finish(&self, x: &Tensor, compute: &Compute) -> Result<()> {
        match &self.norms {
            Outer::None => self.mlp.add_to(x, compute),
            Outer::After([attention, mlp]) => {
                attention.in_place(x, compute)?;
                self.mlp.add_to(x, compute)?;
                mlp.in_place(x, compute)
            }
            Outer::Inside([_, norm]) => norm.add_to(&self.mlp.forward(x, compute)?, x, compute),
        }
    }
}
