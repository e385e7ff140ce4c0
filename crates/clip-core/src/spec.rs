//! What a model is, fully resolved: nothing in a [`ModelSpec`] is optional, so that no code after import ever guesses.
//!
//! The spec is part of a model's fingerprint: two models with equal specs and equal tensors make the same vectors.

mod fast_vit;
mod image;
mod text_layers;
mod vision_layers;

use serde::{Deserialize, Serialize};

use crate::calibrate::Means;

pub use fast_vit::{FastVit, Stage};
pub use image::{AlphaRule, Centre, ImageSpec, Orientation, ResizeFilter, ResizeRule};
pub use text_layers::{TextHead, TextLayers, TextParts, TextPositions};
pub use vision_layers::{Gating, LayerParts, Pool, Rope, RopeOrder, STEM_PATCH, StemLayer, VisionLayers, stem};

/// The family of a model: which layers its towers have before and after the transformer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Architecture {
    /// OpenAI CLIP and OpenCLIP: a causal text tower, a class token in the vision tower, a projection after each.
    Clip,
    /// SigLIP and SigLIP 2, of fixed resolution and NaFlex: a text tower over padded texts in which all tokens see each other, a
    /// vision tower whose patches are pooled by attention.
    Siglip,
}

impl Architecture {
    /// As manifests and listings spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Clip => "clip",
            Self::Siglip => "siglip",
        }
    }

    /// What of the family's own vision tower no size tells.
    fn vision(self) -> VisionParts {
        match self {
            Self::Clip => VisionParts {
                class_token: true,
                conv_stem: false,
                patch_bias: false,
                pre_norm: true,
                head: VisionHead::Projection,
                layers: Norms::Before.into(),
                rope: None,
            },
            Self::Siglip => VisionParts {
                class_token: false,
                conv_stem: false,
                patch_bias: true,
                pre_norm: false,
                head: VisionHead::Attention,
                layers: Norms::Before.into(),
                rope: None,
            },
        }
    }

    /// What of the family's own text tower no size tells.
    fn text(self) -> TextParts {
        let parts = |causal, head| TextParts { causal, layers: Norms::Before.into(), positions: None, head };
        match self {
            Self::Clip => parts(true, TextHead::Projection),
            Self::Siglip => parts(false, TextHead::Biased),
        }
    }
}

/// Which layers a vision tower has beside its transformer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VisionParts {
    /// A learnt row before those of the patches.
    pub class_token: bool,
    /// [Convolutions](stem) make rows of patches, and the class's row has no position.
    pub conv_stem: bool,
    /// The layer that makes rows of patches has a bias.
    pub patch_bias: bool,
    /// A norm between the embeddings and the transformer.
    pub pre_norm: bool,
    /// From the last layer's rows to the vector.
    pub head: VisionHead,
    /// What its layers have.
    pub layers: LayerParts,
    /// Positions that turn queries and keys.
    pub rope: Option<Rope>,
}

/// From the rows of the vision tower's last layer to its vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VisionHead {
    /// The class token's row, normed and multiplied by a matrix.
    Projection,
    /// The class token's row, normed, and a linear layer with a bias.
    Linear,
    /// The class token's row, normed. The vector has the tower's width.
    Class,
    /// The mean over all pixels, and a linear layer with a bias.
    Mean,
    /// All rows, pooled by an attention that a learnt row asks. The vector has the tower's width.
    Attention,
    /// The same with sizes of its own, and then a linear layer with a bias.
    AttentionLinear(Pool),
}

/// Where a transformer has its layer norms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norms {
    /// Before each attention and each MLP, and one after the last layer.
    Before,
    /// One after the embeddings, and after each attention and each MLP, the residual included: as BERT has them.
    After,
    /// After each attention and each MLP, before the residual is added, and one after the last layer.
    Inside,
}

/// A model, but for its tensors and its tokenizer: what both towers, the preprocessing and the scores go by.
///
/// It is written to the manifest as JSON, whose bytes are part of the fingerprint. So a field that is added later is
/// left out where it has its default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSpec {
    /// Which family's layers the towers have.
    pub architecture: Architecture,
    /// Length of an embedding, the same for both towers. At most 16,000, as pgvector's `vector` has.
    pub dimensions: usize,
    /// Natural logarithm of the factor on cosines before a softmax or sigmoid over labels. It is the checkpoint's
    /// tensor `logit_scale`.
    pub logit_scale: f32,
    /// How scaled cosines become probabilities.
    ///
    /// Left out of the file where it is the softmax: models from before there was a choice keep their fingerprints.
    /// The same goes for [`TextSpec::cleaning`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub scoring: Scoring,
    /// The text tower.
    pub text: TextSpec,
    /// The vision tower.
    pub vision: VisionSpec,
    /// The preprocessing of images.
    pub image: ImageSpec,
    /// What happens to vectors after the towers.
    pub calibration: Calibration,
}

impl ModelSpec {
    /// Rows of the vision tower's table of positions: one a patch, and one for the class where there is a class token.
    pub fn positions(&self) -> usize {
        self.vision.patches().saturating_add(usize::from(self.vision_parts().class_token))
    }

    /// The family as listings spell it: that of the vision tower, where towers are of two.
    pub fn family(&self) -> &'static str {
        self.vision.layers.name().unwrap_or(self.architecture.name())
    }

    /// What of the vision tower no size tells.
    pub fn vision_parts(&self) -> VisionParts {
        self.vision.layers.parts(self.architecture.vision())
    }

    /// Rows of the vision tower for an image, at most.
    pub fn most_rows(&self) -> usize {
        match self.image.resize {
            ResizeRule::Patches { most, .. } => most as usize + usize::from(self.vision_parts().class_token),
            ResizeRule::ShortestEdge(_) | ResizeRule::Squash(_) => self.positions(),
        }
    }

    /// What of the text tower no size tells.
    pub fn text_parts(&self) -> TextParts {
        self.text.layers.parts(self.architecture)
    }
}

/// How scaled cosines become probabilities: as in the loss that the model was trained with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scoring {
    /// Over all labels: the probabilities add up to one.
    #[default]
    Softmax,
    /// Each label for itself: none may fit, or several. The SigLIP paper, arXiv 2303.15343.
    Sigmoid {
        /// Added to the scaled cosine: the checkpoint's tensor `logit_bias`.
        bias: f32,
    },
}

/// For serde: a field with its default is left out of the JSON.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// What happens to unit vectors before they leave (see [`crate::calibrate`]).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Calibration {
    /// Nothing: the reference's vectors.
    None,
    /// Each modality's mean vector is subtracted, and the rest normalised again.
    Means(Means),
}

/// The shape of one transformer.
///
/// The names in brackets are those of transformers' `config.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TowerSpec {
    /// Width of a row between the layers (`hidden_size`).
    pub hidden: usize,
    /// Transformer layers (`num_hidden_layers`).
    pub layers: usize,
    /// Heads of each attention (`num_attention_heads`). The width is a multiple of them.
    pub heads: usize,
    /// Width of a row within an MLP (`intermediate_size`).
    pub intermediate: usize,
    /// What every layer norm adds to the variance (`layer_norm_eps`).
    pub layer_norm_eps: f64,
    /// Between the two linear layers of an MLP (`hidden_act`).
    pub activation: Activation,
}

/// The function between the two linear layers of an MLP. No tensor tells it: the wrong one gives vectors that look
/// right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `x * sigmoid(1.702 x)`, OpenAI's.
    QuickGelu,
    /// `x * Phi(x)` with the error function, OpenCLIP's.
    Gelu,
    /// `0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x³)))`, the approximation of GELU that SigLIP uses.
    GeluTanh,
    /// `max(x, 0)`, M2M-100's.
    Relu,
    /// `x * sigmoid(x)`, of gated MLPs.
    Silu,
}

/// From token ids to the text tower's vector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextSpec {
    /// Its transformer.
    pub tower: TowerSpec,
    /// Rows of the token table: every id is below this.
    pub vocab_size: usize,
    /// Tokens at most, begin and end included.
    pub context_length: usize,
    /// Which row of the last layer becomes the vector.
    pub pooling: TextPooling,
    /// What texts go through before the tokenizer. Left out of the file where it is nothing.
    #[serde(default, skip_serializing_if = "is_default")]
    pub cleaning: TextCleaning,
    /// Whose layers the tower has. Left out of the file where they are the model's own family's.
    #[serde(default, skip_serializing_if = "is_default")]
    pub layers: TextLayers,
}

impl TextSpec {
    /// Do texts begin with the token of their language, and not all with the same one?
    pub fn has_languages(&self) -> bool {
        matches!(self.layers, TextLayers::M2m100 { .. })
    }
}

/// What is done to a text before the steps that `tokenizer.json` lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextCleaning {
    /// Nothing: the tokenizer's own steps are all.
    #[default]
    None,
    /// Lower case, character by character (transformers, `Siglip2Tokenizer`).
    Lowercase,
    /// Lower case, no ASCII punctuation, single spaces (transformers, `SiglipTokenizer.canonicalize_text`).
    Canonical,
    /// Repaired by ftfy, HTML's entities twice, single spaces (open_clip, `clean: whitespace`).
    OpenClipWhitespace,
    /// The same in lower case, in the place of the tokenizer's own normaliser (open_clip, `SimpleTokenizer`).
    OpenClipLower,
    /// The same with a space for each underscore and without ASCII punctuation (open_clip, `clean: canonicalize`).
    OpenClipCanonical,
}

impl TextCleaning {
    /// Is it open_clip's? That goes over the whole text, before special tokens are found in it.
    pub fn is_open_clip(self) -> bool {
        match self {
            Self::None | Self::Lowercase | Self::Canonical => false,
            Self::OpenClipWhitespace | Self::OpenClipLower | Self::OpenClipCanonical => true,
        }
    }
}

/// Which position of the last layer stands for the text (transformers, `modeling_clip.py`, `CLIPTextTransformer`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextPooling {
    /// The first end-of-text token, whose id this is.
    FirstEos(u32),
    /// The largest token id; for configs that say `eos_token_id: 2`, as OpenAI's do.
    LargestId,
    /// No row alone: the mean over all tokens, begin and end included.
    Mean,
    /// The first token.
    First,
    /// The last of the context. Texts are filled up to that, and nothing is masked, as SigLIP was trained.
    Last {
        /// The token that texts are filled up with, below `vocab_size`.
        pad: u32,
    },
}

/// From pixel values, `[3, image_size, image_size]`, to the vision tower's vector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VisionSpec {
    /// Its transformer.
    pub tower: TowerSpec,
    /// Side of the square input, in pixels. Of images of any aspect ([`ResizeRule::Patches`]) it is that of the square whose
    /// patches have the positions of the table.
    pub image_size: usize,
    /// Side of a square patch, in pixels. What is left over at the right and at the bottom is not seen.
    pub patch_size: usize,
    /// Whose layers the tower has. Left out of the file where they are the model's own family's.
    #[serde(default, skip_serializing_if = "is_default")]
    pub layers: VisionLayers,
}

impl VisionSpec {
    /// Whole patches of a side of an image; none where the sizes are not those of a model.
    pub fn side(&self) -> usize {
        self.image_size.checked_div(self.patch_size).unwrap_or(0)
    }

    /// Whole patches of an image, all rows of them together.
    pub fn patches(&self) -> usize {
        self.side().saturating_pow(2)
    }
}

#[cfg(test)]
/// Specs for the tests of other modules.
pub mod tests {
    use super::*;

    /// A small spec, with the same tower twice.
    pub fn spec(tower: TowerSpec) -> ModelSpec {
        ModelSpec {
            architecture: Architecture::Clip,
            dimensions: 5,
            logit_scale: 1.0,
            scoring: Scoring::Softmax,
            text: TextSpec {
                tower: tower.clone(),
                vocab_size: 11,
                context_length: 7,
                pooling: TextPooling::LargestId,
                cleaning: TextCleaning::None,
                layers: TextLayers::Own,
            },
            vision: VisionSpec { tower, image_size: 12, patch_size: 4, layers: VisionLayers::Own },
            image: ImageSpec {
                orientation: Orientation::Exif,
                alpha: AlphaRule::Drop,
                resize: ResizeRule::ShortestEdge(12),
                filter: ResizeFilter::Bicubic,
                crop: 12,
                centre: Centre::Floor,
                rescale: 1.0 / 255.0,
                mean: [0.5; 3],
                std: [0.5; 3],
            },
            calibration: Calibration::None,
        }
    }
}
