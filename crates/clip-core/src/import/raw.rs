//! The files of a Hugging Face model directory as they are: everything optional, defaults as in transformers
//! (`configuration_clip.py`, `image_processing_clip.py`; those of SigLIP are in `siglip.rs`).

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// `config.json`.
#[derive(Debug, Deserialize)]
pub struct Config {
    /// Which family: `clip` or `siglip` here.
    pub model_type: Option<String>,
    /// Length of an embedding, of CLIP alone.
    #[serde(default = "d::projection")]
    pub projection_dim: usize,
    /// Ours: `false` where the model was trained to have texts and images in one cone of the space. Every other CLIP has two.
    #[serde(default)]
    pub modality_gap: Option<bool>,
    #[serde(default)]
    text_config: Option<Map<String, Value>>,
    #[serde(default)]
    text_config_dict: Option<Map<String, Value>>,
    #[serde(default)]
    vision_config: Option<Map<String, Value>>,
    #[serde(default)]
    vision_config_dict: Option<Map<String, Value>>,
}

impl Config {
    /// The text tower's section with CLIP's defaults.
    pub fn text(&self) -> serde_json::Result<TextConfig> {
        self.text_or(Value::Null)
    }

    /// The vision tower's section with CLIP's defaults.
    pub fn vision(&self) -> serde_json::Result<VisionConfig> {
        self.vision_or(Value::Null)
    }

    /// The text tower's section with other defaults than CLIP's, an object.
    pub fn text_or(&self, defaults: Value) -> serde_json::Result<TextConfig> {
        section(&self.text_config, &self.text_config_dict, defaults)
    }

    /// The vision tower's section with other defaults than CLIP's, an object.
    pub fn vision_or(&self, defaults: Value) -> serde_json::Result<VisionConfig> {
        section(&self.vision_config, &self.vision_config_dict, defaults)
    }
}

/// Old configs carry the same section twice. In transformers the full section made of the `_dict` one, defaults
/// included, then overwrites the other.
fn section<T: for<'de> Deserialize<'de>>(
    plain: &Option<Map<String, Value>>,
    dict: &Option<Map<String, Value>>,
    defaults: Value,
) -> serde_json::Result<T> {
    let mut section = match defaults {
        Value::Object(defaults) => defaults,
        _ => Map::new(),
    };
    section.extend(dict.as_ref().or(plain.as_ref()).cloned().unwrap_or_default());
    serde_json::from_value(Value::Object(section))
}

/// `text_config`: `CLIPTextConfig` and `SiglipTextConfig`. What a field means is said at [`crate::spec::TextSpec`].
#[derive(Debug, Deserialize)]
pub struct TextConfig {
    /// Rows of the token table.
    #[serde(default = "d::vocab")]
    pub vocab_size: usize,
    /// Width of a row.
    #[serde(default = "d::text_hidden")]
    pub hidden_size: usize,
    /// Width of a row within an MLP.
    #[serde(default = "d::text_intermediate")]
    pub intermediate_size: usize,
    /// Layers of the transformer.
    #[serde(default = "d::layers")]
    pub num_hidden_layers: usize,
    /// Heads of each attention.
    #[serde(default = "d::text_heads")]
    pub num_attention_heads: usize,
    /// Tokens of a text at most.
    #[serde(default = "d::context")]
    pub max_position_embeddings: usize,
    /// Name of the MLPs' activation.
    #[serde(default = "d::act")]
    pub hidden_act: String,
    /// What layer norms add to the variance.
    #[serde(default = "d::eps")]
    pub layer_norm_eps: f64,
    /// A number for CLIP; nothing that matters for SigLIP.
    #[serde(default = "d::eos")]
    pub eos_token_id: Value,
    /// Length of SigLIP's text vectors. The hidden size where it is left out.
    pub projection_size: Option<usize>,
    /// What SigLIP's texts are filled up with, where the tokenizer does not say.
    pub pad_token_id: Option<u32>,
    /// Types of tokens, of BERT alone.
    #[serde(default = "d::types")]
    pub type_vocab_size: usize,
}

/// `vision_config`: `CLIPVisionConfig` and `SiglipVisionConfig`. What a field means is said at
/// [`crate::spec::VisionSpec`].
#[derive(Debug, Deserialize)]
pub struct VisionConfig {
    /// Width of a row.
    #[serde(default = "d::vision_hidden")]
    pub hidden_size: usize,
    /// Width of a row within an MLP.
    #[serde(default = "d::vision_intermediate")]
    pub intermediate_size: usize,
    /// Layers of the transformer.
    #[serde(default = "d::layers")]
    pub num_hidden_layers: usize,
    /// Heads of each attention.
    #[serde(default = "d::vision_heads")]
    pub num_attention_heads: usize,
    /// Colours of a pixel: 3, or the model is refused.
    #[serde(default = "d::channels")]
    pub num_channels: usize,
    /// Side of the square input, in pixels.
    #[serde(default = "d::image")]
    pub image_size: usize,
    /// Side of a square patch, in pixels.
    #[serde(default = "d::patch")]
    pub patch_size: usize,
    /// Rows of the table of positions, of SigLIP 2 NaFlex alone, which has no size of images.
    #[serde(default = "d::patches")]
    pub num_patches: usize,
    /// Name of the MLPs' activation.
    #[serde(default = "d::act")]
    pub hidden_act: String,
    /// What layer norms add to the variance.
    #[serde(default = "d::eps")]
    pub layer_norm_eps: f64,
    /// SigLIP's: a pooling head follows the layers. Without one the model is refused.
    #[serde(default = "d::yes")]
    pub vision_use_head: bool,
}

/// The file of a whole processor, in which newer transformers nest the image processor.
#[derive(Debug, Deserialize)]
pub struct Processor {
    /// What `preprocessor_config.json` holds in older directories.
    pub image_processor: Preprocessor,
}

/// `preprocessor_config.json`: `CLIPImageProcessor` and `SiglipImageProcessor`.
#[derive(Clone, Debug, Deserialize)]
pub struct Preprocessor {
    /// Which class, in newer files.
    pub image_processor_type: Option<String>,
    /// Which class, in older files.
    pub feature_extractor_type: Option<String>,
    /// A step that has to be on.
    #[serde(default = "d::yes")]
    pub do_resize: bool,
    /// The size before the crop.
    #[serde(default, deserialize_with = "given")]
    pub size: Option<Size>,
    /// PIL's number of the filter: 1 Lanczos, 2 bilinear, 3 bicubic.
    #[serde(default, deserialize_with = "given")]
    pub resample: Option<u32>,
    /// CLIP's default is on, SigLIP's off.
    #[serde(default)]
    pub do_center_crop: Option<bool>,
    /// The crop's sides.
    #[serde(default)]
    pub crop_size: Option<Size>,
    /// A step that has to be on.
    #[serde(default = "d::yes")]
    pub do_rescale: bool,
    /// Factor on levels of 0 to 255.
    #[serde(default = "d::rescale")]
    pub rescale_factor: f64,
    /// A step that has to be on.
    #[serde(default = "d::yes")]
    pub do_normalize: bool,
    /// Of red, green and blue.
    #[serde(default, deserialize_with = "given")]
    pub image_mean: Option<[f32; 3]>,
    /// Of red, green and blue.
    #[serde(default, deserialize_with = "given")]
    pub image_std: Option<[f32; 3]>,
    /// SigLIP's files say null, which leaves pictures alone that are RGB already.
    pub do_convert_rgb: Option<bool>,
    /// Side of a patch in pixels, of SigLIP 2 NaFlex alone.
    pub patch_size: Option<usize>,
    /// Patches of an image at most, of SigLIP 2 NaFlex alone.
    pub max_num_patches: Option<u32>,
    /// A step of other processors, which has to be off.
    pub use_square_size: Option<bool>,
    /// A step of other processors, which has to be off.
    pub do_pad: Option<bool>,
}

/// A value that may be left out, but is not null.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// `224` or `[height, width]` in old files, `{"shortest_edge": 224}` or `{"height": 224, "width": 224}` in newer ones.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(untagged, deny_unknown_fields)]
pub enum Size {
    /// One number: what it means is the processor's to say.
    Side(u32),
    /// Height and width.
    Pair([u32; 2]),
    /// The shorter side, and the aspect is kept.
    Shortest { shortest_edge: u32 },
    /// Both sides.
    Exact { height: u32, width: u32 },
}

/// Defaults of transformers, one function a value as serde wants it. An explicit null is no default: it is refused.
#[rustfmt::skip]
mod d {
    pub fn projection() -> usize { 512 }
    pub fn vocab() -> usize { 49408 }
    pub fn text_hidden() -> usize { 512 }
    pub fn text_intermediate() -> usize { 2048 }
    pub fn layers() -> usize { 12 }
    pub fn text_heads() -> usize { 8 }
    pub fn context() -> usize { 77 }
    pub fn act() -> String { "quick_gelu".into() }
    pub fn eps() -> f64 { 1e-5 }
    pub fn types() -> usize { 2 }
    pub fn eos() -> serde_json::Value { 49407.into() }
    pub fn vision_hidden() -> usize { 768 }
    pub fn vision_intermediate() -> usize { 3072 }
    pub fn vision_heads() -> usize { 12 }
    pub fn channels() -> usize { 3 }
    pub fn image() -> usize { 224 }
    pub fn patch() -> usize { 32 }
    pub fn yes() -> bool { true }
    pub fn patches() -> usize { 256 }
    pub fn rescale() -> f64 { 1.0 / 255.0 }
}
