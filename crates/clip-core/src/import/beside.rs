//! An encoder of texts in a directory of its own, trained to meet the image vectors of another model: those of
//! sentence-transformers (`clip-ViT-B-32-multilingual-v1`) and M-CLIP's.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::bert::{self, Family, Names};
use super::json;
use super::plan::{CONFIG, MODULES, SENTENCE};
use super::resolve::invalid;
use super::source::Source;
use crate::error::{Error, Result};
use crate::spec::*;

/// The encoder, with its weights open.
pub struct Texts {
    /// Its tower.
    pub spec: TextSpec,
    /// Length of its vectors.
    pub dimensions: usize,
    /// What its tensors are called in `sources`.
    pub names: Names,
    /// Its files, and what stands before their tensors' names then.
    pub sources: Vec<(&'static str, Source)>,
    /// Where its tokenizer is.
    pub tokenizer: PathBuf,
}

/// What stands before the names of an encoder's tensors.
const ENCODER: &str = "texts.";
/// What stands before the names of a dense layer's tensors.
const DENSE: &str = "dense.";
/// M-CLIP's tensors: in the layout, and there.
const LINEAR: [(&str, &str); 2] = [
    ("text_model.head.weight", "texts.LinearTransformation.weight"),
    ("text_model.head.bias", "texts.LinearTransformation.bias"),
];
/// A dense layer of sentence-transformers: in the layout, and there.
const WITH_BIAS: [(&str, &str); 2] =
    [("text_model.head.weight", "dense.linear.weight"), ("text_model.head.bias", "dense.linear.bias")];
/// The same without a bias.
const WITHOUT_BIAS: [(&str, &str); 1] = [("text_projection.weight", "dense.linear.weight")];

/// The error of an import of an encoder in `dir` alone. `None`: it is none.
pub fn alone(dir: &Path) -> Option<Error> {
    let config: Value = json(dir, CONFIG).ok()?;
    let encoder =
        config["modelBase"].is_string() || (dir.join(MODULES).exists() && config["model_type"] == "distilbert");
    let error = || Error::unsupported("the directory holds an encoder of texts alone");
    encoder.then(|| error().with_hint("Name the model whose images it was trained to meet with --images."))
}

/// The encoder in `dir`.
///
/// # Errors
///
/// `Unsupported` for another kind of encoder, `MissingFile` and `InvalidModel` as for every import.
pub fn resolve(dir: &Path) -> Result<Texts> {
    if dir.join(MODULES).exists() {
        return sentence_transformers(dir);
    }
    let config: Value = json(dir, CONFIG)?;
    match config["modelBase"].as_str() {
        Some(base) if bert::is_roberta(base) => m_clip(dir, base, &config),
        Some(base) => Err(Error::unsupported(format!("text encoder \"{base}\" is not supported"))),
        None => Err(Error::unsupported("the directory holds no encoder of texts alone").with_hint(
            "Those of sentence-transformers (modules.json) and M-CLIP (config.json with modelBase) are known.",
        )),
    }
}

/// M-CLIP's (`multilingual_clip/pt_multilingual_clip.py`): the mean over all tokens, then one linear layer.
fn m_clip(dir: &Path, base: &str, config: &Value) -> Result<Texts> {
    const TRANSFORMER: &str = "texts.transformer.";
    let sources = vec![(ENCODER, Source::open(dir)?)];
    let shapes = Source::shapes_of(&sources);
    let sizes = bert::roberta(base, &shapes, TRANSFORMER)?;
    let names = Names { family: Family::Roberta, prefix: TRANSFORMER, positions: sizes.positions, head: &LINEAR };
    let dimensions = config["numDims"].as_u64().and_then(|n| usize::try_from(n).ok());
    let dimensions = dimensions.ok_or_else(|| Error::invalid_model("config.json has no numDims"))?;
    let spec = TextSpec {
        tower: sizes.roberta_tower(),
        vocab_size: sizes.vocab_size,
        context_length: names.longest(),
        pooling: TextPooling::Mean,
        cleaning: TextCleaning::None,
        layers: TextLayers::Bert { head: TextHead::Biased },
    };
    Ok(Texts { spec, dimensions, names, sources, tokenizer: dir.to_owned() })
}

/// `modules.json`: a part, and its directory.
#[derive(Deserialize)]
struct Module {
    path: String,
    #[serde(rename = "type")]
    kind: String,
}

/// `1_Pooling/config.json`: the name of what is pooled, or in older files one switch of each, of which one is on.
#[derive(Deserialize)]
struct Pooling {
    pooling_mode: Option<String>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

/// `2_Dense/config.json`.
#[derive(Deserialize)]
struct Dense {
    in_features: usize,
    out_features: usize,
    #[serde(default = "yes")]
    bias: bool,
    activation_function: String,
}

fn yes() -> bool {
    true
}

/// `config.json` of a DistilBERT (transformers, `configuration_distilbert.py`).
#[derive(Deserialize)]
struct DistilBert {
    dim: usize,
    n_layers: usize,
    n_heads: usize,
    hidden_dim: usize,
    activation: String,
    vocab_size: usize,
    max_position_embeddings: usize,
}

/// sentence-transformers': a transformer, a pooling and a dense layer (`sentence_transformers/models`).
fn sentence_transformers(dir: &Path) -> Result<Texts> {
    let modules: Vec<Module> = json(dir, MODULES)?;
    let (mut encoder, mut pooling, mut dense) = (None, None, None);
    for module in &modules {
        if module.path.contains(['/', '\\']) || module.path.starts_with('.') {
            return Err(Error::invalid_model(format!("{MODULES}: \"{}\" is no directory's name", module.path)));
        }
        let place = match module.kind.rsplit('.').next().unwrap_or_default() {
            "Transformer" => &mut encoder,
            "Pooling" => &mut pooling,
            "Dense" => &mut dense,
            // every vector is normalised here
            "Normalize" => continue,
            _ => return Err(Error::unsupported(format!("{MODULES}: \"{}\" is not supported", module.kind))),
        };
        if place.replace(dir.join(&module.path)).is_some() {
            return Err(Error::unsupported(format!("{MODULES}: more than one \"{}\" is not supported", module.kind)));
        }
    }
    let (Some(encoder), Some(pooling), Some(dense)) = (encoder, pooling, dense) else {
        return Err(Error::unsupported(format!("{MODULES}: expected a Transformer, a Pooling and a Dense")));
    };
    let config: Value = json(&encoder, CONFIG)?;
    if config["model_type"] != "distilbert" {
        let kind = &config["model_type"];
        return Err(Error::unsupported(format!("text encoder {kind} is not supported: expected \"distilbert\"")));
    }
    let config: DistilBert = serde_json::from_value(config).map_err(invalid)?;
    if config.activation != "gelu" {
        return Err(Error::unsupported(format!(
            "activation \"{}\" is not supported: expected gelu",
            config.activation
        )));
    }
    let layer: Dense = json(&dense, CONFIG)?;
    if layer.in_features != config.dim || !layer.activation_function.ends_with(".Identity") {
        return Err(Error::unsupported(format!(
            "a dense layer of {} values with \"{}\" is not supported: expected {} and Identity",
            layer.in_features, layer.activation_function, config.dim
        )));
    }
    let positions = config.max_position_embeddings;
    let (head, names): (_, &[_]) =
        if layer.bias { (TextHead::Biased, &WITH_BIAS) } else { (TextHead::Projection, &WITHOUT_BIAS) };
    let names = Names { family: Family::DistilBert, prefix: ENCODER, positions, head: names };
    let sources = vec![(ENCODER, Source::open(&encoder)?), (DENSE, Source::open(&dense)?)];
    let spec = TextSpec {
        tower: TowerSpec {
            hidden: config.dim,
            layers: config.n_layers,
            heads: config.n_heads,
            intermediate: config.hidden_dim,
            // as the class has it, whatever the configuration says
            layer_norm_eps: 1e-12,
            activation: Activation::Gelu,
        },
        vocab_size: config.vocab_size,
        context_length: longest(&encoder, names.longest())?,
        pooling: json::<Pooling>(&pooling, CONFIG)?.pooling()?,
        cleaning: TextCleaning::None,
        layers: TextLayers::Bert { head },
    };
    Ok(Texts { spec, dimensions: layer.out_features, names, sources, tokenizer: encoder })
}

/// Tokens of a text at most, which may be less than there are positions: older files say so beside the transformer, newer
/// ones in the tokenizer's.
fn longest(dir: &Path, positions: usize) -> Result<usize> {
    let read = |file: &str| if dir.join(file).exists() { json(dir, file) } else { Ok(Value::Null) };
    let (config, tokenizer): (Value, Value) = (read(SENTENCE)?, read("tokenizer_config.json")?);
    if config["do_lower_case"] == true {
        return Err(Error::unsupported(format!("{SENTENCE}: do_lower_case = true is not supported")));
    }
    let given = config["max_seq_length"].as_u64().or(tokenizer["model_max_length"].as_u64());
    Ok(given.and_then(|n| usize::try_from(n).ok()).unwrap_or(positions).min(positions))
}

impl Pooling {
    fn pooling(&self) -> Result<TextPooling> {
        let on = self.others.iter().filter(|(key, on)| key.starts_with("pooling_mode_") && **on == true);
        let on: Vec<&str> = on.map(|(key, _)| key.as_str()).chain(self.pooling_mode.as_deref()).collect();
        match on[..] {
            ["mean" | "pooling_mode_mean_tokens"] => Ok(TextPooling::Mean),
            ["cls" | "pooling_mode_cls_token"] => Ok(TextPooling::First),
            _ => Err(Error::unsupported(format!(
                "pooling by {} is not supported: expected the mean or the first token",
                on.join(" and ")
            ))),
        }
    }
}
