//! Whose layers a text tower has.

use serde::{Deserialize, Serialize};

use super::{Architecture, LayerParts, Norms};

/// Which layers a text tower has beside its transformer, and how that is put together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TextParts {
    /// A token does not see those behind it.
    pub causal: bool,
    /// What its layers have.
    pub layers: LayerParts,
    /// Positions that the attention goes by. `None`: a learnt row of each is added to the tokens'.
    pub positions: Option<TextPositions>,
    /// From the pooled row to the vector.
    pub head: TextHead,
}

/// From the pooled row of the text tower to its vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextHead {
    /// A matrix.
    Projection,
    /// A linear layer with a bias.
    Biased,
    /// Two matrices with the exact GELU in between (open_clip, `hf_model.py`, `proj_type = "mlp"`).
    Mlp {
        /// Values between them.
        intermediate: usize,
    },
    /// Nothing: the vector has the tower's width.
    None,
}

/// Positions of tokens that are no rows of a table.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum TextPositions {
    /// Queries and keys are turned: value `i` of a head with value `i + size / 2`, by the position's multiple of
    /// `base^(-2 i / size)` (RoFormer, arXiv 2104.09864; halves as in GPT-NeoX).
    Rotary {
        /// More of it reaches farther.
        base: f32,
    },
    /// From each score the distance of its tokens is subtracted, times a factor of the head (ALiBi, arXiv 2108.12409), both
    /// ways.
    Alibi,
}

/// Whose layers a text tower has: some models put an encoder of many languages beside a CLIP's vision tower.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextLayers {
    /// Those of the model's [`Architecture`].
    #[default]
    Own,
    /// The same, but all tokens see each other and what texts are filled up with, to the whole context (open_clip,
    /// `no_causal_mask`).
    Unmasked {
        /// The token that texts are filled up with, below `vocab_size`.
        pad: u32,
    },
    /// BERT's, which are also XLM-RoBERTa's and DistilBERT's (transformers, `modeling_bert.py`). The embeddings of
    /// token types are part of those of positions here, as all tokens are of the first type.
    Bert {
        /// What follows the pooling.
        head: TextHead,
    },
    /// M2M-100's encoder, which is also NLLB's (transformers, `modeling_m2m_100.py`). Texts begin with the token of their
    /// language. The table of tokens is scaled here, and the positions, which are waves, are written down.
    M2m100 {
        /// What follows the pooling.
        head: TextHead,
    },
    /// BERT's without a table of positions, and nothing after the pooling: Jina AI's XLM-RoBERTa and JinaBERT. The embedding
    /// of the first token type is part of every token's here.
    Jina {
        /// In the place of the table.
        positions: TextPositions,
        /// MLPs multiply two rows ([`Gating::Plain`](super::Gating::Plain)).
        gated: bool,
    },
}

impl TextLayers {
    /// What of the tower no size tells. `own`: the family whose own it may be.
    pub fn parts(self, own: Architecture) -> TextParts {
        let bert = |head| TextParts { causal: false, layers: Norms::After.into(), positions: None, head };
        match self {
            Self::Own => own.text(),
            Self::Unmasked { .. } => TextParts { causal: false, ..own.text() },
            Self::Bert { head } => bert(head),
            Self::M2m100 { head } => TextParts { layers: Norms::Before.into(), ..bert(head) },
            Self::Jina { positions, gated } => {
                let layers = LayerParts::from(Norms::After);
                let layers = if gated { LayerParts { gating: super::Gating::Plain, ..layers } } else { layers };
                TextParts { layers, positions: Some(positions), ..bert(TextHead::None) }
            }
        }
    }
}
