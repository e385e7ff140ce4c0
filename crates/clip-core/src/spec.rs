//! What a model is, fully resolved: nothing in a [`ModelSpec`] is optional, so that no code after import ever guesses.
//!
//! The spec is part of a model's fingerprint: two models with equal specs and equal tensors make the same vectors.

use serde::{Deserialize, Serialize};

use crate::calibrate::Means;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Architecture {
    /// OpenAI CLIP and OpenCLIP in the layout of Hugging Face's `CLIPModel`.
    Clip,
}

impl Architecture {
    pub fn name(self) -> &'static str {
        match self {
            Self::Clip => "clip",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSpec {
    pub architecture: Architecture,
    /// Length of an embedding, the same for both towers.
    pub dimensions: usize,
    /// Natural logarithm of the factor on cosines before a softmax over labels.
    pub logit_scale: f32,
    pub text: TextSpec,
    pub vision: VisionSpec,
    pub image: ImageSpec,
    pub calibration: Calibration,
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
}

/// Which position of the last layer stands for the text (transformers, `modeling_clip.py`, `CLIPTextTransformer`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextPooling {
    /// The first end-of-text token, whose id this is.
    FirstEos(u32),
    /// The largest token id; for configs that say `eos_token_id: 2`, as OpenAI's do.
    LargestId,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VisionSpec {
    pub tower: TowerSpec,
    /// Side of the square input, in pixels.
    pub image_size: usize,
    pub patch_size: usize,
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
    /// Factor on the 8-bit levels before mean and deviation, 1/255 everywhere.
    pub rescale: f64,
    pub mean: [f32; 3],
    pub std: [f32; 3],
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
            text: TextSpec { tower: tower.clone(), vocab_size: 11, context_length: 7, pooling: TextPooling::LargestId },
            vision: VisionSpec { tower, image_size: 12, patch_size: 4 },
            image: ImageSpec {
                orientation: Orientation::Exif,
                alpha: AlphaRule::Drop,
                resize: ResizeRule::ShortestEdge(12),
                filter: ResizeFilter::Bicubic,
                crop: 12,
                rescale: 1.0 / 255.0,
                mean: [0.5; 3],
                std: [0.5; 3],
            },
            calibration: Calibration::None,
        }
    }
}
