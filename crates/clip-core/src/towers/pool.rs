//! SigLIP's pooling head: a learnt query looks at all patches (transformers, `modeling_siglip.py`,
//! `SiglipMultiheadAttentionPoolingHead`).

use candle_core::{Device, Tensor};

use super::attention::{Attention, Queries};
use super::norm::LayerNorm;
use super::ops::{AttentionBlock, Linear, Mlp};
use crate::compute::Compute;
use crate::error::Result;
use crate::spec::TowerSpec;
use crate::weights::Weights;

/// The head of a vision tower that no class token stands for.
pub struct PoolingHead {
    /// What the probe asks of the patches, `[hidden]`: the same for every image.
    query: Vec<f32>,
    /// Its first linear layer makes keys and values alone.
    attention: AttentionBlock,
    mlp: Mlp,
    heads: usize,
}

impl PoolingHead {
    /// Reads the head, of so many `heads` itself. The probe meets its own projection here, once. `norm`: what the patches
    /// pass first.
    pub fn load(weights: &Weights, name: &str, norm: LayerNorm, spec: &TowerSpec, heads: usize) -> Result<Self> {
        let part = |part: &str| format!("{name}.{part}");
        let probe = Tensor::from_vec(weights.values(&part("probe"))?, (1, spec.hidden), &Device::Cpu)?;
        let query = Linear::load(weights, &part("attention.q_proj"))?.forward(&probe, &Compute::new(1)?)?;
        Ok(Self {
            query: query.flatten_all()?.to_vec1()?,
            attention: AttentionBlock::new(
                Some(norm),
                Linear::load(weights, &part("attention.kv_proj"))?,
                Linear::load(weights, &part("attention.out_proj"))?,
            ),
            mlp: Mlp::new(
                Some(LayerNorm::load(weights, &part("layernorm"), spec.layer_norm_eps)?),
                Linear::load(weights, &part("mlp.fc1"))?.with_activation(spec.activation),
                Linear::load(weights, &part("mlp.fc2"))?,
            ),
            heads,
        })
    }

    /// Reads `x`, `[sum of lengths, hidden]`, and returns one vector an image, `[images, hidden]`. `lengths`: rows of each.
    pub fn forward(&self, x: &Tensor, lengths: &[usize], compute: &Compute) -> Result<Tensor> {
        // It sees all rows, wherever it stands.
        let (first, asked) = (vec![0; lengths.len()], self.query.repeat(lengths.len()));
        let queries = Queries::Given { rows: &first, queries: &asked };
        let attention = Attention { heads: self.heads, lengths, causal: false, queries, positions: None };
        let x = self.attention.forward(&attention, x, compute)?;
        self.mlp.add_to(&x, compute)?;
        Ok(x)
    }
}
