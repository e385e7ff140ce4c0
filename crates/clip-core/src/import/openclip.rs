//! open_clip's own `open_clip_config.json` (open_clip, `model.py`: `CLIPVisionCfg`, `CLIPTextCfg`; `transform.py`:
//! `PreprocessCfg`): one vision transformer of its own making, and beside it a causal text transformer or an encoder of
//! transformers (`hf_model.py`); or a vision tower of timm's, with SigLIP's texts or CLIP's.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::images::torchvision;
use super::naming::{Naming, OpenClipText};
use super::resolve::check;
use super::{bert, eva, nllb, refused, timm};
use crate::error::{Error, Result};
use crate::spec::*;

/// Names and shapes of a checkpoint's tensors.
type Shapes = BTreeMap<String, Vec<usize>>;

/// The file that open_clip's `push_to_hf_hub` writes.
pub const FILE: &str = super::plan::OPEN_CLIP_CONFIG;

/// The spec of an `open_clip_config.json`, and the names in a checkpoint with tensors of `shapes`. The scale and the bias
/// are in the checkpoint, and filled in by the caller.
///
/// `Unsupported` for a key that means something here and is not known, `InvalidModel` for a value of the wrong type
/// or size.
pub fn resolve(config: &Value, shapes: &Shapes) -> Result<(ModelSpec, Naming)> {
    let mut model = Section::new("model_cfg", config.get("model_cfg"))?;
    if model.has("multimodal_cfg") {
        return Err(Error::unsupported("CoCa (multimodal_cfg) is not supported"));
    }
    let quick_gelu = model.take("quick_gelu")?.unwrap_or(false);
    let dimensions = model.take("embed_dim")?.ok_or_else(|| invalid("model_cfg has no embed_dim"))?;
    let (vision, text) = (model.take::<Value>("vision_cfg")?, model.take::<Value>("text_cfg")?);
    let scoring = match model.take::<f32>("init_logit_bias")? {
        Some(_) => Scoring::Sigmoid { bias: 0.0 },
        None => Scoring::Softmax,
    };
    model.finish(&[], &["custom_text", "init_logit_scale", "nonscalar_logit_scale"])?;
    let (vision, architecture) = vision_spec(Section::new("vision_cfg", vision.as_ref())?, quick_gelu)?;
    let preprocess = config.get("preprocess_cfg").cloned().unwrap_or(json!({}));
    let mut text = Section::new("text_cfg", text.as_ref())?;
    let (text, naming) = match text.take::<String>("hf_model_name")? {
        Some(name) if architecture == Architecture::Siglip || vision.layers == VisionLayers::Own => {
            let (text, names) = encoder_spec(text, &name, dimensions, shapes, architecture)?;
            let timm = architecture == Architecture::Siglip;
            (text, Naming::OpenClip { text: OpenClipText::Encoder(names), timm })
        }
        Some(name) => return Err(refused::text_tower(&name)),
        None => {
            let timm = architecture == Architecture::Siglip || vision.layers != VisionLayers::Own;
            (text_spec(text, quick_gelu, architecture)?, Naming::open_clip(shapes, timm))
        }
    };
    let naming = match eva::Names::of(vision.layers) {
        Some(images) => Naming::Eva { images, rest: Box::new(naming) },
        None => naming,
    };
    let spec = ModelSpec {
        architecture,
        dimensions,
        calibration: Calibration::None,
        logit_scale: 0.0, // a tensor of the checkpoint, and so is the bias
        scoring,
        text,
        image: image(Section::new("preprocess_cfg", Some(&preprocess))?, vision.image_size)?,
        vision,
    };
    check(&spec)?;
    Ok((spec, naming))
}

/// `vision_cfg`, of a vision transformer alone, and the family that it is of.
fn vision_spec(mut cfg: Section, quick_gelu: bool) -> Result<(VisionSpec, Architecture)> {
    if let Some(name) = cfg.take::<String>("timm_model_name")? {
        return timm_vision(cfg, &name);
    }
    if cfg.map.get("layers").is_some_and(Value::is_array) {
        return Err(Error::unsupported("a ResNet as vision tower is not supported: expected a vision transformer"));
    }
    let width = cfg.take("width")?.unwrap_or(768);
    let head_width = cfg.take("head_width")?.unwrap_or(64);
    if head_width == 0 {
        return Err(invalid("vision_cfg.head_width is 0"));
    }
    let spec = VisionSpec {
        image_size: cfg.square("image_size", 224)?,
        patch_size: cfg.square("patch_size", 16)?,
        tower: cfg.tower(width, width / head_width, quick_gelu)?,
        layers: VisionLayers::Own,
    };
    let expected = [
        ("attentional_pool", json!(false)),
        ("no_ln_pre", json!(false)),
        ("pool_type", json!("tok")),
        // pos_embed_type: fixed ones are tensors of the checkpoint too
    ];
    let ignored =
        ["attn_pooler_heads", "attn_pooler_queries", "final_ln_after_pool", "patch_dropout", "pos_embed_type"];
    cfg.finish(&expected, &ignored)?;
    Ok((spec, Architecture::Clip))
}

/// `vision_cfg` of a tower that timm calls `name`, which says how large it is, and the family that it is of.
fn timm_vision(mut cfg: Section, name: &str) -> Result<(VisionSpec, Architecture)> {
    let timm::Tower { spec, architecture, pool, proj } = timm::tower(name)?;
    let image_size = cfg.square("image_size", 224)?;
    if image_size != spec.image_size {
        return Err(invalid(format!("vision_cfg.image_size is {image_size}, \"{name}\" expects {}", spec.image_size)));
    }
    // Of open_clip's defaults, which are another pooling and a projection, null is the first one and no projection.
    for (key, default, empty, expected) in [("timm_pool", "avg", "avg", pool), ("timm_proj", "linear", "", proj)] {
        let given = match cfg.map.remove(key) {
            None => json!(default),
            Some(Value::Null) => json!(empty),
            Some(value) => value,
        };
        if given != expected {
            return Err(unsupported(&format!("vision_cfg.{key}"), &given));
        }
    }
    // timm's name overrides these.
    let ignored = ["layers", "width", "head_width", "mlp_ratio", "patch_size", "patch_dropout"];
    cfg.finish(&[], &ignored)?;
    Ok((spec, architecture))
}

/// `text_cfg`, of open_clip's own text transformer alone.
fn text_spec(mut cfg: Section, quick_gelu: bool, architecture: Architecture) -> Result<TextSpec> {
    let siglip = match architecture {
        Architecture::Clip => false,
        Architecture::Siglip => true,
    };
    let width = cfg.take("width")?.unwrap_or(512);
    let heads = cfg.take("heads")?.unwrap_or(8);
    let eos = cfg.take("eos_id")?.unwrap_or(2);
    let mut spec = TextSpec {
        tower: cfg.tower(width, heads, quick_gelu)?,
        vocab_size: cfg.take("vocab_size")?.unwrap_or(49408),
        context_length: cfg.take("context_length")?.unwrap_or(77),
        pooling: match (cfg.take::<String>("pool_type")?.as_deref(), siglip) {
            (None | Some("argmax"), false) => TextPooling::LargestId,
            (Some("eos"), false) => TextPooling::FirstEos(eos),
            // what texts are filled up with is the tokenizer's to say
            (Some("last"), true) => TextPooling::Last { pad: u32::MAX },
            (other, _) => return Err(unsupported("text_cfg.pool_type", &json!(other.unwrap_or("argmax")))),
        },
        cleaning: cleaning(&mut cfg)?,
        layers: TextLayers::Own,
    };
    if let Some(other) = cfg.take::<String>("proj_type")?.filter(|kind| kind != "linear") {
        return Err(unsupported("text_cfg.proj_type", &json!(other)));
    }
    // All tokens of SigLIP's texts see each other, and its projection has a bias. open_clip's defaults are neither.
    let mut flag = |key: &str| -> Result<bool> { Ok(cfg.take::<bool>(key)?.unwrap_or(false)) };
    let (unmasked, biased) = (flag("no_causal_mask")?, flag("proj_bias")?);
    // Another tokenizer than open_clip's own fills texts up with what it is configured for.
    let fills = spec.cleaning == TextCleaning::OpenClipLower;
    match (siglip, unmasked) {
        (true, true) | (false, false) => {}
        (false, true) if fills => spec.layers = TextLayers::Unmasked { pad: FILL },
        _ => return Err(unsupported("text_cfg.no_causal_mask", &json!(unmasked))),
    }
    if biased != siglip {
        return Err(unsupported("text_cfg.proj_bias", &json!(biased)));
    }
    cfg.finish(&[("embed_cls", json!(false))], &["final_ln_after_pool", "pad_id"])?;
    Ok(spec)
}

/// What open_clip's own tokenizer fills texts up with (`SimpleTokenizer`).
const FILL: u32 = 0;

/// What the tensors of an encoder of transformers begin with.
const ENCODER: &str = "text.transformer.";
/// Projections of such an encoder (`hf_model.py`): in the layout, and in open_clip.
const MLP: [(&str, &str); 2] =
    [("text_model.head.fc1.weight", "text.proj.0.weight"), ("text_model.head.fc2.weight", "text.proj.2.weight")];
const LINEAR: [(&str, &str); 1] = [("text_projection.weight", "text.proj.weight")];

/// `text_cfg` of an encoder of transformers, for vectors of so many `dimensions`. Its sizes are not in the file.
fn encoder_spec(
    mut cfg: Section,
    name: &str,
    dimensions: usize,
    shapes: &Shapes,
    beside: Architecture,
) -> Result<(TextSpec, bert::Names)> {
    let (sizes, family) = match (nllb::is_nllb(name), bert::is_roberta(name), beside) {
        (true, ..) => (nllb::encoder(name, shapes, ENCODER)?, bert::Family::M2m100),
        (false, true, Architecture::Clip) => (bert::roberta(name, shapes, ENCODER)?, bert::Family::Roberta),
        (false, ..) => return Err(refused::text_tower(name)),
    };
    let names = |head| bert::Names { family, prefix: ENCODER, positions: sizes.positions, head };
    let mut either = |new: &str, old: &str| -> Result<Option<String>> { Ok(cfg.take(new)?.or(cfg.take(old)?)) };
    let pooling = match (either("hf_pooler_type", "pooler_type")?.as_deref(), family) {
        (Some("mean_pooler"), _) | (None, bert::Family::Roberta) => TextPooling::Mean,
        // Of BERT's kind "cls_pooler" is another: a layer of the encoder's own follows it, which M2M-100 does not have.
        (Some("cls_last_hidden_state_pooler"), _) | (None | Some("cls_pooler"), bert::Family::M2m100) => {
            TextPooling::First
        }
        (other, _) => return Err(unsupported("text_cfg.hf_pooler_type", &json!(other.unwrap_or("null")))),
    };
    let (head, names) = match either("hf_proj_type", "proj")?.as_deref() {
        None | Some("mlp") => (TextHead::Mlp { intermediate: sizes.hidden.midpoint(dimensions) }, names(&MLP)),
        Some("linear") => (TextHead::Projection, names(&LINEAR)),
        Some(other) => return Err(unsupported("text_cfg.hf_proj_type", &json!(other))),
    };
    let context_length = cfg.take("context_length")?.unwrap_or(77);
    if context_length > names.longest() {
        let most = names.longest();
        return Err(invalid(format!("text_cfg.context_length {context_length}: expected at most {most}")));
    }
    if cfg.map.get("hf_tokenizer_name").and_then(Value::as_str).is_none_or(str::is_empty) {
        return Err(invalid("text_cfg has no hf_tokenizer_name, which goes with hf_model_name"));
    }
    let cleaning = cleaning(&mut cfg)?;
    cfg.finish(&[], &["vocab_size", "width", "heads", "layers"])?;
    let (tower, layers) = match family {
        bert::Family::M2m100 => (nllb::tower(&sizes), TextLayers::M2m100 { head }),
        bert::Family::Roberta | bert::Family::Bert { .. } | bert::Family::DistilBert => {
            (sizes.roberta_tower(), TextLayers::Bert { head })
        }
    };
    Ok((TextSpec { tower, vocab_size: sizes.vocab_size, context_length, pooling, cleaning, layers }, names))
}

/// What is done to texts first. open_clip's own tokenizer makes them lower case; transformers' may do so themselves.
fn cleaning(cfg: &mut Section) -> Result<TextCleaning> {
    let own = cfg.take::<String>("hf_tokenizer_name")?.is_none_or(|name| name.is_empty());
    let mut kwargs = cfg.take::<Map<String, Value>>("tokenizer_kwargs")?.unwrap_or_default();
    let clean = kwargs.remove("clean").unwrap_or_else(|| json!(if own { "lower" } else { "whitespace" }));
    if let Some((key, value)) = kwargs.iter().next() {
        return Err(unsupported(&format!("text_cfg.tokenizer_kwargs.{key}"), value));
    }
    match (clean.as_str(), own) {
        (Some("lower"), true) => Ok(TextCleaning::OpenClipLower),
        (Some("whitespace"), false) => Ok(TextCleaning::OpenClipWhitespace),
        (Some("canonicalize"), false) => Ok(TextCleaning::OpenClipCanonical),
        _ => Err(unsupported("text_cfg.tokenizer_kwargs.clean", &clean)),
    }
}

/// `preprocess_cfg`, for a tower that sees squares of `image_size` pixels.
fn image(mut cfg: Section, image_size: usize) -> Result<ImageSpec> {
    let (interpolation, resize) = (cfg.take::<String>("interpolation")?, cfg.take::<String>("resize_mode")?);
    let levels = (cfg.levels("mean")?, cfg.levels("std")?);
    let spec = torchvision(
        &format!("{FILE}: preprocess_cfg."),
        image_size,
        resize.as_deref(),
        interpolation.as_deref(),
        levels,
    )?;
    // The size is the tower's, whatever stands here.
    cfg.finish(&[("mode", json!("RGB"))], &["fill_color", "size"])?;
    Ok(spec)
}

/// A part of the file, out of which everything has to be taken.
struct Section {
    name: &'static str,
    map: Map<String, Value>,
}

impl Section {
    /// `InvalidModel` where there is no such section.
    fn new(name: &'static str, value: Option<&Value>) -> Result<Self> {
        match value {
            Some(Value::Object(map)) => Ok(Self { name, map: map.clone() }),
            _ => Err(invalid(format!("no section {name}"))),
        }
    }

    fn has(&self, key: &str) -> bool {
        self.map.get(key).is_some_and(|value| !value.is_null())
    }

    /// A value that is there and not null.
    fn take<T: DeserializeOwned>(&mut self, key: &str) -> Result<Option<T>> {
        match self.map.remove(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => {
                serde_json::from_value(value).map(Some).map_err(|e| invalid(format!("{}.{key}: {e}", self.name)))
            }
        }
    }

    /// A side in pixels, or both sides, which have to be the same.
    fn square(&mut self, key: &str, default: usize) -> Result<usize> {
        match self.map.remove(key) {
            None | Some(Value::Null) => Ok(default),
            Some(value) => match serde_json::from_value::<[usize; 2]>(value.clone()) {
                Ok([height, width]) if height == width => Ok(height),
                Ok(_) => Err(unsupported(&format!("{}.{key}", self.name), &value)),
                Err(_) => serde_json::from_value(value).map_err(|e| invalid(format!("{}.{key}: {e}", self.name))),
            },
        }
    }

    /// A value for all three channels, or one for each.
    fn levels(&mut self, key: &str) -> Result<Option<[f32; 3]>> {
        match self.map.get(key).and_then(Value::as_f64) {
            Some(one) => {
                self.map.remove(key);
                Ok(Some([one as f32; 3]))
            }
            None => self.take(key),
        }
    }

    /// What both towers have.
    fn tower(&mut self, width: usize, heads: usize, quick_gelu: bool) -> Result<TowerSpec> {
        let ratio = self.take::<f64>("mlp_ratio")?.unwrap_or(4.0);
        let tanh = match self.take::<Value>("act_kwargs")? {
            None => false,
            Some(kwargs) if kwargs == json!({}) => false,
            Some(kwargs) if kwargs == json!({ "approximate": "tanh" }) && !quick_gelu => true,
            Some(kwargs) => return Err(unsupported(&format!("{}.act_kwargs", self.name), &kwargs)),
        };
        let mut norm = self.take::<Map<String, Value>>("norm_kwargs")?.unwrap_or_default();
        let eps = norm.remove("eps").map_or(Some(1e-5), |eps| eps.as_f64());
        if let (Some((key, value)), _) = (norm.iter().next(), ()) {
            return Err(unsupported(&format!("{}.norm_kwargs.{key}", self.name), value));
        }
        Ok(TowerSpec {
            hidden: width,
            layers: self.take("layers")?.unwrap_or(12),
            heads,
            // as Python's int() cuts it
            intermediate: (width as f64 * ratio) as usize,
            layer_norm_eps: eps.ok_or_else(|| invalid(format!("{}.norm_kwargs.eps is no number", self.name)))?,
            activation: match (quick_gelu, tanh) {
                (true, _) => Activation::QuickGelu,
                (false, true) => Activation::GeluTanh,
                (false, false) => Activation::Gelu,
            },
        })
    }

    /// Whatever is left must mean nothing: it is as `expected` or as in every tower by default, or is of no matter here.
    fn finish(self, expected: &[(&str, Value)], ignored: &[&str]) -> Result<()> {
        /// Training only, or of towers that are not these.
        const OTHER: [&str; 3] = ["hf_", "output_tokens", "timm_"];
        for (key, value) in &self.map {
            let default = expected.iter().find(|(name, _)| name == key).map(|(_, value)| value);
            let off = value.is_null() || *value == json!(false) || (key == "block_type" && value == "default");
            let known = match default {
                Some(default) => value.is_null() || value == default,
                // switches of other kinds of attention blocks: ls_init_value, qk_norm, scale_heads, ...
                None => off || ignored.contains(&key.as_str()) || OTHER.iter().any(|prefix| key.starts_with(prefix)),
            };
            if !known {
                return Err(unsupported(&format!("{}.{key}", self.name), value));
            }
        }
        Ok(())
    }
}

fn unsupported(key: &str, value: &Value) -> Error {
    Error::unsupported(format!("{FILE}: {key} = {value} is not supported"))
}

fn invalid(what: impl std::fmt::Display) -> Error {
    Error::invalid_model(format!("{FILE}: {what}"))
}
