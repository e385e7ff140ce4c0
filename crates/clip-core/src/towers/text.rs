//! The text tower (transformers, `modeling_clip.py`, `CLIPTextTransformer`; `modeling_siglip.py`, `SiglipTextModel`).

use candle_core::{Device, Tensor};
use scopeguard::defer;

use super::layers::{Encoder, Sequences};
use super::norm::LayerNorm;
use super::ops::Linear;
use crate::compute::Context;
use crate::error::{Error, Result};
use crate::layout::TEXT;
use crate::spec::{Architecture, ModelSpec, TextPooling};
use crate::weights::{Table, Weights};

/// Token ids in, `[dimensions]` a text out.
pub struct TextTower {
    /// `[vocabulary, hidden]`
    tokens: Table,
    /// `[context, hidden]`
    positions: Vec<f32>,
    encoder: Encoder,
    norm: LayerNorm,
    projection: Linear,
    pooling: TextPooling,
}

impl TextTower {
    /// Reads the tower. The token table stays in the map, and so do the matrices.
    pub fn load(weights: &Weights, spec: &ModelSpec) -> Result<Self> {
        let tower = &spec.text.tower;
        Ok(Self {
            tokens: weights.table(&format!("{TEXT}.embeddings.token_embedding.weight"))?,
            positions: weights.values(&format!("{TEXT}.embeddings.position_embedding.weight"))?,
            encoder: Encoder::load(weights, TEXT, tower, spec.architecture == Architecture::Clip)?,
            norm: LayerNorm::load(weights, &format!("{TEXT}.final_layer_norm"), tower.layer_norm_eps)?,
            projection: match spec.architecture {
                Architecture::Clip => Linear::load_without_bias(weights, "text_projection.weight")?,
                Architecture::Siglip => Linear::load(weights, &format!("{TEXT}.head"))?,
            },
            pooling: spec.text.pooling,
        })
    }

    /// Tokens of a text at most.
    fn context(&self) -> usize {
        self.positions.len() / self.tokens.width()
    }

    /// Of a text's tokens, how many go through the layers: what the text costs.
    pub fn rows(&self, text: &[u32]) -> usize {
        match self.pooling {
            // All tokens see each other and the padding.
            TextPooling::Last { .. } => text.len().max(self.context()),
            // Attention is causal: what follows the pooled token cannot matter.
            TextPooling::FirstEos(eos) => first_eos(text, eos) + 1,
            TextPooling::LargestId => largest_id(text) + 1,
        }
    }

    /// Embeds token sequences of any lengths up to the context's: `[texts, dimensions]`, not normalised.
    ///
    /// # Errors
    ///
    /// `Internal` for a sequence that is empty, too long, or has an id beyond the vocabulary. `Cancelled` where the
    /// caller stops.
    pub fn forward(&self, texts: &[&[u32]], ctx: &Context) -> Result<Tensor> {
        defer! { ctx.compute.free_rows() }
        let (width, context) = (self.tokens.width(), self.context());
        let padding = if let TextPooling::Last { pad } = self.pooling { pad } else { 0 };
        let (mut x, mut lengths) = (Vec::new(), Vec::new());
        for text in texts {
            let length = self.rows(text);
            if text.is_empty() || length > context {
                return Err(Error::internal(format!("{} tokens, expected 1 to {context}", text.len())));
            }
            let ids = text.iter().chain(std::iter::repeat(&padding)).take(length);
            for (id, position) in ids.zip(self.positions.chunks_exact(width)) {
                let start = x.len();
                self.tokens.read(*id as usize, &mut x)?;
                x[start..].iter_mut().zip(position).for_each(|(x, p)| *x += p);
            }
            lengths.push(length);
        }
        let x = Tensor::from_vec(x, (lengths.iter().sum::<usize>(), width), &Device::Cpu)?;
        let pooled = lengths.iter().map(|length| length - 1).collect();
        let pooled = self.encoder.forward(x, &Sequences { lengths, pooled }, ctx)?;
        self.projection.forward_normed(&self.norm, &pooled, ctx.compute)
    }
}

/// Where the first end token is. Where there is none it is the first position, as torch's `argmax` over zeros gives
/// it.
fn first_eos(ids: &[u32], eos: u32) -> usize {
    ids.iter().position(|id| *id == eos).unwrap_or(0)
}

/// Where the largest id is, of equal ones the first, as torch's `argmax` gives it.
fn largest_id(ids: &[u32]) -> usize {
    ids.iter().max().and_then(|largest| ids.iter().position(|id| id == largest)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_eos_pools() {
        assert_eq!(first_eos(&[7, 1, 9, 2, 9], 9), 2);
        assert_eq!(first_eos(&[7, 1], 9), 0);
    }

    #[test]
    fn first_of_the_largest_ids_pools() {
        assert_eq!(largest_id(&[3, 8, 2, 8]), 1);
    }
}
