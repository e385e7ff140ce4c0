//! The files of a Hugging Face model directory as they are: everything optional, defaults as in transformers
//! (`configuration_clip.py`, `image_processing_clip.py`; those of SigLIP are in `siglip.rs`).

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

#[derive(Debug, Deserialize)]
pub struct Config {
    pub model_type: Option<String>,
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
    pub fn text(&self) -> serde_json::Result<TextConfig> {
        self.text_or(Value::Null)
    }

    pub fn vision(&self) -> serde_json::Result<VisionConfig> {
        self.vision_or(Value::Null)
    }

    /// With other defaults than CLIP's, an object.
    pub fn text_or(&self, defaults: Value) -> serde_json::Result<TextConfig> {
        section(&self.text_config, &self.text_config_dict, defaults)
    }

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

#[derive(Debug, Deserialize)]
pub struct TextConfig {
    #[serde(default = "d::vocab")]
    pub vocab_size: usize,
    #[serde(default = "d::text_hidden")]
    pub hidden_size: usize,
    #[serde(default = "d::text_intermediate")]
    pub intermediate_size: usize,
    #[serde(default = "d::layers")]
    pub num_hidden_layers: usize,
    #[serde(default = "d::text_heads")]
    pub num_attention_heads: usize,
    #[serde(default = "d::context")]
    pub max_position_embeddings: usize,
    #[serde(default = "d::act")]
    pub hidden_act: String,
    #[serde(default = "d::eps")]
    pub layer_norm_eps: f64,
    /// A number for CLIP; nothing that matters for SigLIP.
    #[serde(default = "d::eos")]
    pub eos_token_id: Value,
    /// SigLIP's.
    pub projection_size: Option<usize>,
    pub pad_token_id: Option<u32>,
}

#[derive(Debug, Deserialize)]
pub struct VisionConfig {
    #[serde(default = "d::vision_hidden")]
    pub hidden_size: usize,
    #[serde(default = "d::vision_intermediate")]
    pub intermediate_size: usize,
    #[serde(default = "d::layers")]
    pub num_hidden_layers: usize,
    #[serde(default = "d::vision_heads")]
    pub num_attention_heads: usize,
    #[serde(default = "d::channels")]
    pub num_channels: usize,
    #[serde(default = "d::image")]
    pub image_size: usize,
    #[serde(default = "d::patch")]
    pub patch_size: usize,
    #[serde(default = "d::act")]
    pub hidden_act: String,
    #[serde(default = "d::eps")]
    pub layer_norm_eps: f64,
    /// SigLIP's.
    #[serde(default = "d::yes")]
    pub vision_use_head: bool,
}

/// The file of a whole processor, in which newer transformers nest the image processor.
#[derive(Debug, Deserialize)]
pub struct Processor {
    pub image_processor: Preprocessor,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Preprocessor {
    pub image_processor_type: Option<String>,
    pub feature_extractor_type: Option<String>,
    #[serde(default = "d::yes")]
    pub do_resize: bool,
    #[serde(default, deserialize_with = "given")]
    pub size: Option<Size>,
    #[serde(default = "d::bicubic")]
    pub resample: u32,
    #[serde(default)]
    pub do_center_crop: Option<bool>,
    #[serde(default)]
    pub crop_size: Option<Size>,
    #[serde(default = "d::yes")]
    pub do_rescale: bool,
    #[serde(default = "d::rescale")]
    pub rescale_factor: f64,
    #[serde(default = "d::yes")]
    pub do_normalize: bool,
    #[serde(default, deserialize_with = "given")]
    pub image_mean: Option<[f32; 3]>,
    #[serde(default, deserialize_with = "given")]
    pub image_std: Option<[f32; 3]>,
    /// SigLIP's files say null, which leaves pictures alone that are RGB already.
    pub do_convert_rgb: Option<bool>,
    pub use_square_size: Option<bool>,
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
    Side(u32),
    Pair([u32; 2]),
    Shortest { shortest_edge: u32 },
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
    pub fn eos() -> serde_json::Value { 49407.into() }
    pub fn vision_hidden() -> usize { 768 }
    pub fn vision_intermediate() -> usize { 3072 }
    pub fn vision_heads() -> usize { 12 }
    pub fn channels() -> usize { 3 }
    pub fn image() -> usize { 224 }
    pub fn patch() -> usize { 32 }
    pub fn yes() -> bool { true }
    pub fn bicubic() -> u32 { 3 }
    pub fn rescale() -> f64 { 1.0 / 255.0 }
}
