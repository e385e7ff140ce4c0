//! SigLIP's pooling head: a learnt query looks at all patches (transformers, `modeling_siglip.py`,
//! `SiglipMultiheadAttentionPoolingHead`).

use candle_core::{Device, Tensor};

use super::attention::Attention;
use super::norm::LayerNorm;
use super::ops::{Linear, Mlp};
use crate::compute::Compute;
use crate::error::Result;
use crate::spec::TowerSpec;
use crate::weights::Weights;

pub struct PoolingHead {
    /// What the probe asks of the patches, `[1, hidden]`: the same for every image.
    query: Tensor,
    /// Key and value side by side.
    kv: Linear,
    out: Linear,
    mlp: Mlp,
    heads: usize,
}

impl PoolingHead {
    pub fn load(weights: &Weights, name: &str, spec: &TowerSpec) -> Result<Self> {
        let part = |part: &str| format!("{name}.{part}");
        let probe = Tensor::from_vec(weights.values(&part("probe"))?, (1, spec.hidden), &Device::Cpu)?;
        Ok(Self {
            query: Linear::load(weights, &part("attention.q_proj"))?.forward(&probe, &Compute::new(1)?)?,
            kv: Linear::load(weights, &part("attention.kv_proj"))?,
            out: Linear::load(weights, &part("attention.out_proj"))?,
            mlp: Mlp::new(
                LayerNorm::load(weights, &part("layernorm"), spec.layer_norm_eps)?,
                Linear::load(weights, &part("mlp.fc1"))?.with_activation(spec.activation),
                Linear::load(weights, &part("mlp.fc2"))?,
            ),
            heads: spec.heads,
        })
    }

    /// `x`: `[images * rows, hidden]`, not yet normed. Returns `[images, hidden]`.
    pub fn forward(
        &self,
        norm: &LayerNorm,
        x: &Tensor,
        images: usize,
        rows: usize,
        compute: &Compute,
    ) -> Result<Tensor> {
        // One row of each image asks, with the probe's query; what stands there in the other rows is not looked at.
        let query = self.query.broadcast_as((images * rows, self.query.dim(1)?))?;
        let qkv = Tensor::cat(&[&query.contiguous()?, &self.kv.forward_normed(norm, x, compute)?], 1)?;
        let (lengths, first) = (vec![rows; images], vec![0; images]);
        let attention = Attention { heads: self.heads, lengths: &lengths, causal: false, queries: Some(&first) };
        self.mlp.forward(&self.out.forward_attention(&attention, &qkv, None, compute)?, compute)
    }
}
