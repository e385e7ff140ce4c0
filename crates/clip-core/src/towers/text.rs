//! The text tower (transformers, `modeling_clip.py`, `CLIPTextTransformer`).

use candle_core::Tensor;

use super::layers::{Encoder, LayerNorm, Sequences};
use super::ops::Linear;
use crate::compute::Context;
use crate::error::{Error, Result};
use crate::layout::TEXT;
use crate::spec::{ModelSpec, TextPooling};
use crate::weights::Weights;

pub struct TextTower {
    /// `[vocabulary, hidden]`
    tokens: Tensor,
    /// `[context, hidden]`
    positions: Tensor,
    encoder: Encoder,
    norm: LayerNorm,
    projection: Linear,
    pooling: TextPooling,
}

impl TextTower {
    pub fn load(weights: &Weights, spec: &ModelSpec) -> Result<Self> {
        let tower = &spec.text.tower;
        Ok(Self {
            tokens: weights.tensor(&format!("{TEXT}.embeddings.token_embedding.weight"))?,
            positions: weights.tensor(&format!("{TEXT}.embeddings.position_embedding.weight"))?,
            encoder: Encoder::load(weights, TEXT, tower, true)?,
            norm: LayerNorm::load(weights, &format!("{TEXT}.final_layer_norm"), tower.layer_norm_eps)?,
            projection: Linear::load_without_bias(weights, "text_projection.weight")?,
            pooling: spec.text.pooling,
        })
    }

    /// `[texts, dimensions]` for any number of token sequences of any lengths up to the context's.
    pub fn forward(&self, texts: &[&[u32]], ctx: &Context) -> Result<Tensor> {
        let (vocabulary, context) = (self.tokens.dim(0)?, self.positions.dim(0)?);
        let (mut ids, mut lengths) = (Vec::new(), Vec::new());
        for text in texts {
            // Attention is causal: what follows the pooled token cannot matter.
            let length = pooled_position(text, self.pooling) + 1;
            if text.is_empty() || length > context {
                return Err(Error::internal(format!("{} tokens, expected 1 to {context}", text.len())));
            }
            if let Some(id) = text.iter().find(|id| **id as usize >= vocabulary) {
                return Err(Error::internal(format!("token id {id}, expected less than {vocabulary}")));
            }
            ids.extend_from_slice(&text[..length]);
            lengths.push(length);
        }
        let device = self.tokens.device();
        let tokens = self.tokens.index_select(&Tensor::from_vec(ids.clone(), ids.len(), device)?, 0)?;
        let places: Vec<u32> = lengths.iter().flat_map(|n| 0..*n as u32).collect();
        let positions = self.positions.index_select(&Tensor::from_vec(places, ids.len(), device)?, 0)?;
        let pooled = lengths.iter().map(|length| length - 1).collect();
        let pooled = self.encoder.forward((tokens + positions)?, &Sequences { lengths, pooled }, ctx)?;
        ctx.compute.run(|| self.projection.forward(&self.norm.forward(&pooled)?))
    }
}

/// As the reference does: where no end token is found, the first position.
fn pooled_position(ids: &[u32], pooling: TextPooling) -> usize {
    let found = match pooling {
        TextPooling::FirstEos(eos) => ids.iter().position(|id| *id == eos),
        TextPooling::LargestId => ids.iter().max().and_then(|largest| ids.iter().position(|id| id == largest)),
    };
    found.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_eos_pools() {
        assert_eq!(pooled_position(&[7, 1, 9, 2, 9], TextPooling::FirstEos(9)), 2);
        assert_eq!(pooled_position(&[7, 1], TextPooling::FirstEos(9)), 0);
    }

    #[test]
    fn first_of_the_largest_ids_pools() {
        assert_eq!(pooled_position(&[3, 8, 2, 8], TextPooling::LargestId), 1);
    }
}
