//! What a model is, fully resolved: nothing in a [`ModelSpec`] is optional, so that no code after import ever guesses.
//!
//! The spec is part of a model's fingerprint: two models with equal specs and equal tensors make the same vectors.

use serde::{Deserialize, Serialize};

use crate::calibrate::Means;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Architecture {
    /// OpenAI CLIP and OpenCLIP: a causal text tower, a class token in the vision tower, a projection after each.
    Clip,
    /// SigLIP and SigLIP 2 of fixed resolution: a text tower over padded texts in which all tokens see each other, a
    /// vision tower whose patches are pooled by attention.
    Siglip,
}

impl Architecture {
    pub fn name(self) -> &'static str {
        match self {
            Self::Clip => "clip",
            Self::Siglip => "siglip",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSpec {
    pub architecture: Architecture,
    /// Length of an embedding, the same for both towers.
    pub dimensions: usize,
    /// Natural logarithm of the factor on cosines before a softmax or sigmoid over labels.
    pub logit_scale: f32,
    /// Left out of the file where it is the softmax, so that models from before there was a choice keep their
    /// fingerprints; the same goes for [`TextSpec::cleaning`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub scoring: Scoring,
    pub text: TextSpec,
    pub vision: VisionSpec,
    pub image: ImageSpec,
    pub calibration: Calibration,
}

impl ModelSpec {
    /// Rows of the vision tower: one a patch, and one for the class where there is a class token.
    pub fn positions(&self) -> usize {
        let side = self.vision.image_size / self.vision.patch_size;
        side * side + usize::from(self.architecture == Architecture::Clip)
    }
}

/// How scaled cosines become probabilities: as in the loss that the model was trained with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scoring {
    /// Over all labels: the probabilities add up to one.
    #[default]
    Softmax,
    /// Each label for itself, with this added to the scaled cosine: none may fit, or several.
    Sigmoid { bias: f32 },
}

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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TowerSpec {
    pub hidden: usize,
    pub layers: usize,
    pub heads: usize,
    pub intermediate: usize,
    pub layer_norm_eps: f64,
    pub activation: Activation,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `x * sigmoid(1.702 x)`, OpenAI's.
    QuickGelu,
    /// `x * Phi(x)` with the error function, OpenCLIP's.
    Gelu,
    /// The tanh approximation of GELU.
    GeluTanh,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextSpec {
    pub tower: TowerSpec,
    pub vocab_size: usize,
    /// Tokens at most, begin and end included.
    pub context_length: usize,
    pub pooling: TextPooling,
    #[serde(default, skip_serializing_if = "is_default")]
    pub cleaning: TextCleaning,
}

/// What is done to a text before the steps that `tokenizer.json` lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextCleaning {
    #[default]
    None,
    /// Lower case, character by character (transformers, `Siglip2Tokenizer`).
    Lowercase,
    /// Lower case, no ASCII punctuation, single spaces (transformers, `SiglipTokenizer.canonicalize_text`).
    Canonical,
}

/// Which position of the last layer stands for the text (transformers, `modeling_clip.py`, `CLIPTextTransformer`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextPooling {
    /// The first end-of-text token, whose id this is.
    FirstEos(u32),
    /// The largest token id; for configs that say `eos_token_id: 2`, as OpenAI's do.
    LargestId,
    /// The last of the context, which texts are filled up to with this token; nothing is masked.
    Last { pad: u32 },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VisionSpec {
    pub tower: TowerSpec,
    /// Side of the square input, in pixels.
    pub image_size: usize,
    pub patch_size: usize,
}

impl VisionSpec {
    /// Whole patches of an image.
    pub fn patches(&self) -> usize {
        (self.image_size / self.patch_size).pow(2)
    }
}

/// From a decoded picture to the vision tower's input (transformers, `CLIPImageProcessor`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageSpec {
    pub orientation: Orientation,
    pub alpha: AlphaRule,
    pub resize: ResizeRule,
    pub filter: ResizeFilter,
    /// Side of the centre crop, in pixels; equals the vision tower's `image_size`.
    pub crop: u32,
    /// Left out where it is the usual one, as [`ModelSpec::scoring`] is.
    #[serde(default, skip_serializing_if = "is_default")]
    pub centre: Centre,
    /// Factor on the 8-bit levels before mean and deviation, 1/255 everywhere.
    pub rescale: f64,
    pub mean: [f32; 3],
    pub std: [f32; 3],
}

/// Where the crop begins when an odd number of pixels is left over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Centre {
    /// `(side - crop) // 2`, transformers' rule.
    #[default]
    Floor,
    /// `int(round((side - crop) / 2))`, torchvision's: a half goes to the even neighbour.
    HalfEven,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Orientation {
    /// The EXIF orientation tag is applied (`PIL.ImageOps.exif_transpose`).
    Exif,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlphaRule {
    /// The alpha channel is dropped, colours under it stay (`PIL.Image.convert("RGB")`).
    Drop,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResizeRule {
    /// The short side becomes this long, the long side `int(short * long / short)`; the crop takes the centre.
    ShortestEdge(u32),
    /// Both sides become this long, whatever the aspect.
    Squash(u32),
}

/// Pillow's antialiased resampling filters, with Pillow's 8-bit fixed-point arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResizeFilter {
    Bilinear,
    /// a = -0.5.
    Bicubic,
    Lanczos,
}

#[cfg(test)]
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
            },
            vision: VisionSpec { tower, image_size: 12, patch_size: 4 },
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
