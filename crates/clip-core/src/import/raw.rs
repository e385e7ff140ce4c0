//! The files of a Hugging Face model directory as they are: everything optional, defaults as in transformers
//! (`configuration_clip.py`, `image_processing_clip.py`).

use serde::Deserialize;
use serde_json::{Map, Value};

#[derive(Debug, Deserialize)]
pub struct Config {
    pub model_type: Option<String>,
    #[serde(default = "d::projection")]
    pub projection_dim: usize,
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
        section(&self.text_config, &self.text_config_dict)
    }

    pub fn vision(&self) -> serde_json::Result<VisionConfig> {
        section(&self.vision_config, &self.vision_config_dict)
    }
}

/// Old configs carry the same section twice. In transformers the full section made of the `_dict` one, defaults
/// included, then overwrites the other.
fn section<T: for<'de> Deserialize<'de>>(
    plain: &Option<Map<String, Value>>,
    dict: &Option<Map<String, Value>>,
) -> serde_json::Result<T> {
    let section = dict.as_ref().or(plain.as_ref()).cloned().unwrap_or_default();
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
    #[serde(default = "d::eos")]
    pub eos_token_id: u32,
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
    #[serde(default = "d::size")]
    pub size: Size,
    #[serde(default = "d::bicubic")]
    pub resample: u32,
    #[serde(default = "d::yes")]
    pub do_center_crop: bool,
    #[serde(default = "d::crop")]
    pub crop_size: Size,
    #[serde(default = "d::yes")]
    pub do_rescale: bool,
    #[serde(default = "d::rescale")]
    pub rescale_factor: f64,
    #[serde(default = "d::yes")]
    pub do_normalize: bool,
    #[serde(default = "d::mean")]
    pub image_mean: [f32; 3],
    #[serde(default = "d::std")]
    pub image_std: [f32; 3],
    #[serde(default = "d::yes")]
    pub do_convert_rgb: bool,
    pub use_square_size: Option<bool>,
    pub do_pad: Option<bool>,
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
    pub fn eos() -> u32 { 49407 }
    pub fn vision_hidden() -> usize { 768 }
    pub fn vision_intermediate() -> usize { 3072 }
    pub fn vision_heads() -> usize { 12 }
    pub fn channels() -> usize { 3 }
    pub fn image() -> usize { 224 }
    pub fn patch() -> usize { 32 }
    pub fn yes() -> bool { true }
    pub fn bicubic() -> u32 { 3 }
    pub fn rescale() -> f64 { 1.0 / 255.0 }
    pub fn size() -> super::Size { super::Size::Shortest { shortest_edge: 224 } }
    pub fn crop() -> super::Size { super::Size::Exact { height: 224, width: 224 } }
    pub fn mean() -> [f32; 3] { [0.48145466, 0.4578275, 0.40821073] }
    pub fn std() -> [f32; 3] { [0.268_629_54, 0.261_302_6, 0.275_777_1] }
}
