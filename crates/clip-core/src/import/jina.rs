//! Jina CLIP v1 and v2 (`configuration_clip.py` and `modeling_clip.py` of `jinaai/jina-clip-implementation`): an EVA-02 beside an
//! encoder of texts that the configuration names. What that does not override is in the encoder's own repository, so it is
//! listed here.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::images::torchvision;
use super::naming::Naming;
use super::plan::PREPROCESSORS;
use super::resolve::{activation, check, invalid};
use super::{jina_names, refused};
use crate::error::{Error, Result};
use crate::spec::*;

/// `model_type` of the configuration.
pub const MODEL_TYPE: &str = "jina_clip";
/// Tokens of a text at most: `encode_text` of the reference cuts there unless it is told otherwise, and texts that met images in
/// training were no longer.
const CONTEXT: usize = 512;
/// What every norm of the vision tower adds to the variance (`_build_vision_tower`).
const VISION_EPS: f64 = 1e-6;

/// `config.json`, where it matters.
#[derive(Deserialize)]
struct Config {
    text_config: Text,
    vision_config: Vision,
    #[serde(default)]
    add_projections: bool,
    truncate_dim: Option<usize>,
}

/// `JinaCLIPTextConfig`.
#[derive(Deserialize)]
struct Text {
    #[serde(default = "d::width")]
    embed_dim: usize,
    hf_model_name_or_path: String,
    hf_model_config_kwargs: Option<Map<String, Value>>,
    default_instruction_task: Option<String>,
    default_lora_task: Option<String>,
    pooler_type: Option<String>,
    proj_type: Option<String>,
}

/// `JinaCLIPVisionConfig`.
#[derive(Deserialize)]
struct Vision {
    #[serde(default = "d::width")]
    embed_dim: usize,
    #[serde(default = "d::width")]
    width: usize,
    #[serde(default = "d::image")]
    image_size: usize,
    #[serde(default = "d::patch")]
    patch_size: usize,
    #[serde(default = "d::layers")]
    layers: usize,
    #[serde(default = "d::head")]
    head_width: usize,
    #[serde(default = "d::ratio")]
    mlp_ratio: f64,
    #[serde(default = "d::reference")]
    pt_hw_seq_len: usize,
    /// Everything else, of which some has to be one way.
    #[serde(flatten)]
    switches: Map<String, Value>,
}

/// The configuration of an encoder of texts (`XLMRobertaFlashConfig` and `JinaBertConfig`).
#[derive(Deserialize)]
struct Encoder {
    vocab_size: usize,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    hidden_act: String,
    layer_norm_eps: f64,
    type_vocab_size: usize,
    rotary_emb_base: Option<f32>,
    #[serde(default)]
    lora_adaptations: Vec<String>,
    #[serde(default)]
    lora_rank: usize,
    #[serde(default)]
    lora_alpha: f32,
}

/// Defaults of the reference's classes.
#[rustfmt::skip]
mod d {
    pub fn width() -> usize { 768 }
    pub fn image() -> usize { 224 }
    pub fn patch() -> usize { 16 }
    pub fn layers() -> usize { 12 }
    pub fn head() -> usize { 64 }
    pub fn ratio() -> f64 { 4.0 }
    pub fn reference() -> usize { 16 }
}

/// An encoder of texts that a configuration may name.
struct Known {
    name: &'static str,
    gated: bool,
    /// Its own configuration. Other keys than these are refused.
    config: fn() -> Value,
    /// What may not be overridden.
    fixed: &'static [&'static str],
}

/// `config.json` of each repository, and what its class reads beside that.
const KNOWN: [Known; 2] = [
    Known {
        name: "jinaai/jina-embeddings-v3",
        gated: false,
        config: || {
            json!({
                "vocab_size": 250_002, "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16,
                "intermediate_size": 4096, "hidden_act": "gelu", "layer_norm_eps": 1e-5, "type_vocab_size": 1,
                "position_embedding_type": "rotary", "rotary_emb_base": 20_000.0, "pad_token_id": 1,
                "lora_adaptations": ["retrieval.query", "retrieval.passage", "separation", "classification", "text-matching"],
                "lora_rank": 4, "lora_alpha": 1,
                "attention_probs_dropout_prob": 0.1, "bos_token_id": 0, "classifier_dropout": null, "emb_pooler": null,
                "eos_token_id": 2, "hidden_dropout_prob": 0.1, "initializer_range": 0.02, "load_trained_adapters": true,
                "lora_dropout_p": 0.0, "lora_main_params_trainable": false, "matryoshka_dimensions": null,
                "max_position_embeddings": 8194, "task_instructions": null, "torch_dtype": null, "truncate_dim": null,
                "use_cache": true, "use_flash_attn": true, "use_reentrant": false,
            })
        },
        fixed: &["position_embedding_type", "pad_token_id"],
    },
    Known {
        name: "jinaai/jina-bert-flash-implementation",
        gated: true,
        config: || {
            json!({
                "vocab_size": 30_528, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
                "intermediate_size": 3072, "hidden_act": "gelu", "layer_norm_eps": 1e-12, "type_vocab_size": 2,
                "mlp_type": "glu", "pad_token_id": 0, "pad_vocab_size_multiple": 1, "use_qk_norm": false,
                "window_size": [-1, -1],
                "attention_probs_dropout_prob": 0.1, "classifier_dropout": null, "dense_seq_output": false,
                "emb_pooler": null, "fused_bias_fc": false, "fused_dropout_add_ln": false, "hidden_dropout_prob": 0.1,
                "initializer_range": 0.02, "last_layer_subset": false, "mlp_checkpoint_lvl": 0, "num_loras": 5,
                "torch_dtype": null, "use_flash_attn": true,
            })
        },
        fixed: &["mlp_type", "pad_token_id", "pad_vocab_size_multiple", "use_qk_norm", "window_size"],
    },
];

/// The spec of `config.json` and `preprocessor_config.json`, and the names in its checkpoint. The scale is in that, and
/// filled in by the caller.
///
/// # Errors
///
/// `Unsupported` for what no published model has, by name, `InvalidModel` for values that contradict each other.
pub fn resolve(config: &Value, preprocessor: &Value) -> Result<(ModelSpec, Naming)> {
    let config = Config::deserialize(config).map_err(invalid)?;
    let (text, vision) = (&config.text_config, &config.vision_config);
    if config.add_projections {
        return Err(unsupported("add_projections", &json!(true)));
    }
    if let Some(dimensions) = config.truncate_dim {
        return Err(unsupported("truncate_dim", &json!(dimensions)));
    }
    if text.embed_dim != vision.embed_dim {
        let (texts, images) = (text.embed_dim, vision.embed_dim);
        return Err(Error::invalid_model(format!("texts have {texts} dimensions, images {images}: expected the same")));
    }
    let (text_spec, names) = text.resolve()?;
    let spec = ModelSpec {
        architecture: Architecture::Clip,
        dimensions: text.embed_dim,
        calibration: Calibration::None,
        logit_scale: 0.0, // a tensor of the checkpoint
        scoring: Scoring::Softmax,
        text: text_spec,
        vision: vision.resolve()?,
        image: image(preprocessor, vision.image_size)?,
    };
    check(&spec)?;
    Ok((spec, Naming::Jina(names)))
}

impl Text {
    /// The tower, and what its tensors are called.
    fn resolve(&self) -> Result<(TextSpec, jina_names::Names)> {
        let name = &self.hf_model_name_or_path;
        let known = KNOWN.iter().find(|known| known.name == name).ok_or_else(|| refused::text_tower(name))?;
        if let Some(task) = &self.default_instruction_task {
            return Err(unsupported("text_config.default_instruction_task", &json!(task)));
        }
        // The class of JinaBERT has another pooling where none is named.
        if self.pooler_type.as_deref() != Some("mean_pooler") && (known.gated || self.pooler_type.is_some()) {
            return Err(unsupported("text_config.pooler_type", &json!(self.pooler_type)));
        }
        let encoder = known.with(self.hf_model_config_kwargs.as_ref())?;
        if self.proj_type.is_some() || encoder.hidden_size != self.embed_dim {
            return Err(Error::unsupported(format!(
                "config.json: a projection from {} to {} dimensions (text_config.proj_type = {}) is not supported",
                encoder.hidden_size,
                self.embed_dim,
                json!(self.proj_type)
            )));
        }
        if encoder.type_vocab_size == 0 {
            return Err(unsupported("text_config.hf_model_config_kwargs.type_vocab_size", &json!(0)));
        }
        let positions = match encoder.rotary_emb_base {
            Some(base) => TextPositions::Rotary { base },
            None => TextPositions::Alibi,
        };
        let names =
            jina_names::Names { gated: known.gated, types: encoder.type_vocab_size, adapter: self.adapter(&encoder)? };
        let spec = TextSpec {
            tower: TowerSpec {
                hidden: encoder.hidden_size,
                layers: encoder.num_hidden_layers,
                heads: encoder.num_attention_heads,
                intermediate: encoder.intermediate_size,
                layer_norm_eps: encoder.layer_norm_eps,
                activation: activation(&encoder.hidden_act)?,
            },
            vocab_size: encoder.vocab_size,
            context_length: CONTEXT,
            pooling: TextPooling::Mean,
            cleaning: TextCleaning::None,
            layers: TextLayers::Jina { positions, gated: known.gated },
        };
        Ok((spec, names))
    }

    /// The adapter that every text is embedded with, whatever its task. Without a default one the reference uses none.
    fn adapter(&self, encoder: &Encoder) -> Result<Option<jina_names::Lora>> {
        let Encoder { lora_adaptations: tasks, lora_rank: rank, lora_alpha: alpha, .. } = encoder;
        if tasks.is_empty() {
            return match &self.default_lora_task {
                None => Ok(None),
                Some(task) => Err(unsupported("text_config.default_lora_task", &json!(task))),
            };
        }
        let task = self.default_lora_task.as_ref().map(|task| tasks.iter().position(|known| known == task));
        let scale = alpha / *rank as f32;
        match task {
            Some(Some(task)) if scale.is_finite() => {
                Ok(Some(jina_names::Lora { rank: *rank, tasks: tasks.len(), task, scale }))
            }
            Some(Some(_)) => Err(Error::invalid_model(format!("config.json: lora_alpha {alpha}, lora_rank {rank}"))),
            Some(None) | None => Err(unsupported("text_config.default_lora_task", &json!(self.default_lora_task))),
        }
    }
}

impl Known {
    /// Its configuration, with values of the model's in the place of its own.
    fn with(&self, changes: Option<&Map<String, Value>>) -> Result<Encoder> {
        let mut config = (self.config)();
        for (key, value) in changes.into_iter().flatten() {
            let known = config.get(key);
            if known.is_none_or(|known| self.fixed.contains(&key.as_str()) && value != known) {
                return Err(unsupported(&format!("text_config.hf_model_config_kwargs.{key}"), value));
            }
            config[key] = value.clone();
        }
        serde_json::from_value(config).map_err(invalid)
    }
}

impl Vision {
    /// The tower: an EVA-02 whose positions are counted for another grid.
    fn resolve(&self) -> Result<VisionSpec> {
        let on = |value: &Value| *value == json!(true);
        let off = |value: &Value| value.is_null() || *value == json!(false);
        // Defaults of the reference are those of another tower.
        for (switch, is_right) in [
            ("rope_embeddings", &on as &dyn Fn(&Value) -> bool),
            ("intp_freq", &on),
            ("naive_swiglu", &on),
            ("subln", &on),
            ("qkv_bias", &|value| value.is_null() || on(value)),
            ("post_norm", &off),
            ("ls_init_value", &off),
            ("proj_type", &off),
        ] {
            let value = self.switches.get(switch).unwrap_or(&Value::Null);
            if !is_right(value) {
                return Err(unsupported(&format!("vision_config.{switch}"), value));
            }
        }
        if self.head_width == 0 {
            return Err(Error::invalid_model("config.json: vision_config.head_width is 0"));
        }
        Ok(VisionSpec {
            tower: TowerSpec {
                hidden: self.width,
                layers: self.layers,
                heads: self.width / self.head_width,
                // as Python's int() cuts it
                intermediate: (self.width as f64 * self.mlp_ratio) as usize,
                layer_norm_eps: VISION_EPS,
                activation: Activation::Silu,
            },
            image_size: self.image_size,
            patch_size: self.patch_size,
            layers: VisionLayers::JinaClip {
                rope: Rope { reference: self.pt_hw_seq_len, offset: 0, order: RopeOrder::RowsFirst },
            },
        })
    }
}

/// `JinaCLIPImageProcessor` (`processing_clip.py`, `transform.py`), for a tower that sees squares of `image_size` pixels.
fn image(preprocessor: &Value, image_size: usize) -> Result<ImageSpec> {
    #[derive(Deserialize)]
    struct Preprocessor {
        #[serde(default = "d::image")]
        size: usize,
        mean: Option<[f32; 3]>,
        std: Option<[f32; 3]>,
        resize_mode: Option<String>,
        interpolation: Option<String>,
        image_processor_type: Option<String>,
    }
    let file = PREPROCESSORS[0];
    let p = Preprocessor::deserialize(preprocessor).map_err(|e| Error::invalid_model(format!("{file}: {e}")))?;
    if let Some(other) = p.image_processor_type.filter(|name| name != "JinaCLIPImageProcessor") {
        return Err(Error::unsupported(format!("image processor \"{other}\" is not supported")));
    }
    if p.size != image_size {
        let size = p.size;
        return Err(Error::invalid_model(format!("{file} crops to {size}, config.json expects {image_size}")));
    }
    torchvision(&format!("{file}: "), image_size, p.resize_mode.as_deref(), p.interpolation.as_deref(), (p.mean, p.std))
}

fn unsupported(key: &str, value: &Value) -> Error {
    Error::unsupported(format!("config.json: {key} = {value} is not supported"))
}
