//! The text tower (transformers, `modeling_clip.py`, `CLIPTextTransformer`; `modeling_siglip.py`, `SiglipTextModel`;
//! `modeling_bert.py`, `BertModel`).

use candle_core::{Device, Tensor};
use scopeguard::defer;

use super::attention::{Positions, Turns, slopes};
use super::layers::{Encoder, Sequences};
use super::norm::LayerNorm;
use super::ops::Linear;
use crate::compute::Context;
use crate::error::{Error, Result};
use crate::layout::TEXT;
use crate::spec::{Activation, ModelSpec, Norms, TextHead, TextLayers, TextPooling, TextPositions};
use crate::weights::{Table, Weights};

/// Token ids in, `[dimensions]` a text out.
pub struct TextTower {
    /// `[vocabulary, hidden]`
    tokens: Table,
    /// `[context, hidden]`, where there is such a table.
    positions: Option<Vec<f32>>,
    /// Tokens of a text at most.
    context: usize,
    /// Between the embeddings and the first layer, where norms come after.
    first_norm: Option<LayerNorm>,
    encoder: Encoder,
    /// After the last layer, where norms come before.
    last_norm: Option<LayerNorm>,
    /// From the pooled row to the vector, where that is not the same.
    head: Option<Linear>,
    /// After the head, where that is two layers.
    second: Option<Linear>,
    pooling: TextPooling,
    /// What texts are filled up with, to the whole context, where all tokens see it.
    pad: Option<u32>,
}

impl TextTower {
    /// Reads the tower. The token table stays in the map, and so do the matrices.
    pub fn load(weights: &Weights, spec: &ModelSpec) -> Result<Self> {
        let (tower, parts) = (&spec.text.tower, spec.text_parts());
        let norm = |name: &str| LayerNorm::load(weights, &format!("{TEXT}.{name}"), tower.layer_norm_eps);
        let (first_norm, last_norm) = match parts.layers.norms {
            Norms::Before | Norms::Inside => (None, Some(norm("final_layer_norm")?)),
            Norms::After => (Some(norm("embeddings.layer_norm")?), None),
        };
        let matrix = |name: &str| Linear::load_without_bias(weights, name);
        let (head, second) = match parts.head {
            TextHead::Projection => (Some(matrix("text_projection.weight")?), None),
            TextHead::Biased => (Some(Linear::load(weights, &format!("{TEXT}.head"))?), None),
            TextHead::Mlp { .. } => (
                Some(matrix(&format!("{TEXT}.head.fc1.weight"))?.with_activation(Activation::Gelu)),
                Some(matrix(&format!("{TEXT}.head.fc2.weight"))?),
            ),
            TextHead::None => (None, None),
        };
        let (context, size) = (spec.text.context_length, tower.hidden / tower.heads);
        let relative = parts.positions.map(|positions| match positions {
            TextPositions::Rotary { base } => Positions::Rotary(Turns::of_texts(base, context, size)),
            TextPositions::Alibi => Positions::Alibi(slopes(tower.heads, size)),
        });
        let positions = match relative {
            None => Some(weights.values(&format!("{TEXT}.embeddings.position_embedding.weight"))?),
            Some(_) => None,
        };
        Ok(Self {
            tokens: weights.table(&format!("{TEXT}.embeddings.token_embedding.weight"))?,
            positions,
            context,
            first_norm,
            encoder: Encoder::load(weights, TEXT, tower, parts.causal, parts.layers)?.with_positions(relative),
            last_norm,
            head,
            second,
            pooling: spec.text.pooling,
            pad: match (spec.text.pooling, spec.text.layers) {
                (TextPooling::Last { pad }, _) | (_, TextLayers::Unmasked { pad }) => Some(pad),
                _ => None,
            },
        })
    }

    /// Of a text's tokens, how many go through the layers: what the text costs.
    pub fn rows(&self, text: &[u32]) -> usize {
        match self.pooling {
            // All tokens see each other and the padding.
            _ if self.pad.is_some() => text.len().max(self.context),
            TextPooling::Mean | TextPooling::First | TextPooling::Last { .. } => text.len(),
            // Attention is causal: what follows the pooled token cannot matter.
            TextPooling::FirstEos(eos) => first_eos(text, eos) + 1,
            TextPooling::LargestId => largest_id(text) + 1,
        }
    }

    /// Which row of a text's stands for it.
    fn pooled(&self, text: &[u32]) -> usize {
        match self.pooling {
            TextPooling::Mean | TextPooling::First => 0,
            TextPooling::FirstEos(eos) => first_eos(text, eos),
            TextPooling::LargestId => largest_id(text),
            TextPooling::Last { .. } => self.rows(text).saturating_sub(1),
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
        let (width, context) = (self.tokens.width(), self.context);
        let padding = self.pad.unwrap_or_default();
        let (mut x, mut lengths, mut pooled) = (Vec::new(), Vec::new(), Vec::new());
        for text in texts {
            let length = self.rows(text);
            if text.is_empty() || length > context {
                return Err(Error::internal(format!("{} tokens, expected 1 to {context}", text.len())));
            }
            let ids = text.iter().chain(std::iter::repeat(&padding)).take(length);
            let start = x.len();
            for id in ids {
                self.tokens.read(*id as usize, &mut x)?;
            }
            if let Some(positions) = &self.positions {
                x[start..].iter_mut().zip(positions).for_each(|(x, p)| *x += p);
            }
            lengths.push(length);
            pooled.push(self.pooled(text));
        }
        let sequences = Sequences { lengths, pooled };
        let x = Tensor::from_vec(x, (sequences.lengths.iter().sum::<usize>(), width), &Device::Cpu)?;
        if let Some(norm) = &self.first_norm {
            norm.in_place(&x, ctx.compute)?;
        }
        let pooled = match self.pooling {
            TextPooling::Mean => {
                let x = self.encoder.forward_all(x, &sequences, ctx)?;
                means(&x, &sequences.lengths)?
            }
            TextPooling::First | TextPooling::FirstEos(_) | TextPooling::LargestId | TextPooling::Last { .. } => {
                self.encoder.forward(x, &sequences, ctx)?
            }
        };
        let x = match (&self.last_norm, &self.head) {
            (Some(norm), Some(head)) => head.forward_normed(norm, &pooled, ctx.compute)?,
            (None, Some(head)) => head.forward(&pooled, ctx.compute)?,
            (norm, None) => {
                norm.as_ref().map_or(Ok(()), |norm| norm.in_place(&pooled, ctx.compute))?;
                pooled
            }
        };
        match &self.second {
            Some(second) => second.forward(&x, ctx.compute),
            None => Ok(x),
        }
    }
}

/// The mean of each sequence's rows: of `x`, `[sum of lengths, width]`, it makes `[sequences, width]`.
fn means(x: &Tensor, lengths: &[usize]) -> Result<Tensor> {
    let mut start = 0;
    let means = lengths.iter().map(|length| {
        start += length;
        x.narrow(0, start - length, *length)?.mean_keepdim(0)
    });
    Ok(Tensor::cat(&means.collect::<candle_core::Result<Vec<_>>>()?, 0)?)
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
