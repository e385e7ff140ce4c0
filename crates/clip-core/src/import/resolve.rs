//! From raw configuration files to a [`ModelSpec`] in which nothing is optional. What is not known is refused.

use super::images::image;
use serde_json::json;

use super::naming::Naming;
use super::raw::{Config, Preprocessor, TextConfig, VisionConfig};
use super::{bert, refused, siglip};
use crate::error::{Error, Result};
use crate::spec::*;

/// The spec of transformers' `config.json` and its preprocessor. The scale and the bias are in the checkpoint, and
/// filled in by the caller.
///
/// `Unsupported` for a model, activation or step that is not known, `InvalidModel` for values that contradict each
/// other.
pub fn resolve(config: &Config, preprocessor: &Preprocessor) -> Result<(ModelSpec, Naming)> {
    let spec = match config.model_type.as_deref() {
        Some("clip") => clip(config, preprocessor, false)?,
        // Every layer is CLIP's; the end token is looked for whatever its id (modeling_metaclip_2.py).
        Some("metaclip_2") => clip(config, preprocessor, true)?,
        Some("chinese_clip") => return chinese_clip(config, preprocessor),
        Some("siglip") => siglip::resolve(config, preprocessor)?,
        Some("siglip2") => return Ok((siglip::naflex(config, preprocessor)?, Naming::Siglip2)),
        other => return Err(refused::model_type(other)),
    };
    Ok((spec, Naming::HuggingFace { text: None }))
}

/// `ChineseCLIPConfig` of `configuration_chinese_clip.py`: CLIP's image tower beside a BERT, of which the first token
/// counts.
fn chinese_clip(config: &Config, preprocessor: &Preprocessor) -> Result<(ModelSpec, Naming)> {
    let bert = json!({
        "vocab_size": 30522, "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
        "num_attention_heads": 12, "max_position_embeddings": 512, "hidden_act": "gelu", "layer_norm_eps": 1e-12,
    });
    let text = config.text_or(bert).map_err(invalid)?;
    let names = bert::Names {
        family: bert::Family::Bert { types: text.type_vocab_size },
        prefix: "text_model.",
        positions: text.max_position_embeddings,
        head: &[],
    };
    let layers = TextLayers::Bert { head: TextHead::Projection };
    let text = TextSpec { layers, ..text_spec(&text, TextPooling::First)? };
    Ok((with_text(config, preprocessor, text)?, Naming::HuggingFace { text: Some(names) }))
}

/// `CLIPConfig` of `configuration_clip.py`. `end_of_any_id`: an end token of 2 means what it says.
fn clip(config: &Config, preprocessor: &Preprocessor, end_of_any_id: bool) -> Result<ModelSpec> {
    let text = config.text().map_err(invalid)?;
    let eos: u32 = serde_json::from_value(text.eos_token_id.clone()).map_err(invalid)?;
    // OpenAI's published configs say 2, which is not the end token of their vocabulary; the reference then
    // takes the largest id, which is.
    let pooling = if eos == 2 && !end_of_any_id { TextPooling::LargestId } else { TextPooling::FirstEos(eos) };
    with_text(config, preprocessor, text_spec(&text, pooling)?)
}

/// A model with CLIP's image tower, and a text tower beside it.
fn with_text(config: &Config, preprocessor: &Preprocessor, text: TextSpec) -> Result<ModelSpec> {
    let vision = config.vision().map_err(invalid)?;
    let spec = ModelSpec {
        architecture: Architecture::Clip,
        dimensions: config.projection_dim,
        calibration: Calibration::None,
        logit_scale: 0.0, // a tensor of the checkpoint, filled in by the caller
        scoring: Scoring::Softmax,
        text,
        vision: vision_spec(&vision)?,
        image: image(preprocessor, vision.image_size, Architecture::Clip)?,
    };
    check(&spec)?;
    Ok(spec)
}

/// The `InvalidModel` error of a `config.json` that is not as transformers writes it.
pub fn invalid(e: serde_json::Error) -> Error {
    Error::invalid_model(format!("config.json: {e}"))
}

/// The text tower, without any cleaning of texts.
pub fn text_spec(text: &TextConfig, pooling: TextPooling) -> Result<TextSpec> {
    Ok(TextSpec {
        tower: TowerSpec {
            hidden: text.hidden_size,
            layers: text.num_hidden_layers,
            heads: text.num_attention_heads,
            intermediate: text.intermediate_size,
            layer_norm_eps: text.layer_norm_eps,
            activation: activation(&text.hidden_act)?,
        },
        vocab_size: text.vocab_size,
        context_length: text.max_position_embeddings,
        pooling,
        cleaning: TextCleaning::None,
        layers: TextLayers::Own,
    })
}

/// The vision tower. Other than three channels are `Unsupported`.
pub fn vision_spec(vision: &VisionConfig) -> Result<VisionSpec> {
    if vision.num_channels != 3 {
        return Err(Error::unsupported(format!(
            "images of {} channels are not supported: expected 3",
            vision.num_channels
        )));
    }
    Ok(VisionSpec {
        tower: TowerSpec {
            hidden: vision.hidden_size,
            layers: vision.num_hidden_layers,
            heads: vision.num_attention_heads,
            intermediate: vision.intermediate_size,
            layer_norm_eps: vision.layer_norm_eps,
            activation: activation(&vision.hidden_act)?,
        },
        image_size: vision.image_size,
        patch_size: vision.patch_size,
        layers: VisionLayers::Own,
    })
}

/// By its name in `ACT2FN` of transformers' `activations.py`.
pub fn activation(name: &str) -> Result<Activation> {
    match name {
        "quick_gelu" => Ok(Activation::QuickGelu),
        "gelu" => Ok(Activation::Gelu),
        "gelu_pytorch_tanh" | "gelu_new" => Ok(Activation::GeluTanh),
        other => Err(Error::unsupported(format!(
            "activation \"{other}\" is not supported: expected quick_gelu, gelu or gelu_pytorch_tanh"
        ))),
    }
}

/// What no configuration may say, whatever library it is of: `InvalidModel` for sizes out of bounds.
pub fn check(spec: &ModelSpec) -> Result<()> {
    spec.check_sizes().map_err(Error::invalid_model)
}

#[cfg(test)]
mod tests {
    use super::super::raw::Size;
    use super::*;
    use serde_json::Value;

    /// Cases of the reference (`tests/golden/configs.json`) that this importer refuses although the reference takes them.
    const STRICTER: [&str; 13] = [
        "size as a number only", // a crop of 224 out of 96
        "unknown activation",
        "list of ends",
        "image size as a pair",
        "explicit nulls",
        "size as a pair", // 224 x 256
        "crop as a pair", // the same
        "square",
        "shortest and longest",
        "no crop",
        "no rescale",
        "no normalisation",
        "mean as a number",
    ];

    fn goldens(which: &str) -> Vec<Value> {
        let file: Value = serde_json::from_str(include_str!("../../tests/golden/configs.json")).unwrap();
        file[which].as_array().unwrap().clone()
    }

    /// Ours for a case that the reference accepts, unless the case is one that ours refuses on purpose.
    fn expect<T>(case: &Value, ours: Result<T>) -> Option<(T, Value)> {
        let name = case["name"].as_str().unwrap();
        let refused = case["resolved"].is_null() || STRICTER.contains(&name);
        assert_eq!(ours.is_err(), refused, "{name}: {:?}", ours.err());
        Some((ours.ok()?, case["resolved"].clone()))
    }

    #[test]
    fn configs_resolve_as_in_the_reference() {
        let preprocessor: Preprocessor = serde_json::from_str("{}").unwrap();
        for case in goldens("configs") {
            let ours = serde_json::from_value(case["raw"].clone())
                .map_err(|e| Error::invalid_model(e.to_string()))
                .and_then(|config: Config| {
                    let side = config.vision().map_or(224, |vision| vision.image_size) as u32;
                    let preprocessor = Preprocessor {
                        crop_size: Some(Size::Side(side)),
                        size: Some(Size::Side(side)),
                        ..preprocessor.clone()
                    };
                    resolve(&config, &preprocessor).map(|(spec, _)| spec)
                });
            let Some((ours, reference)) = expect(&case, ours) else { continue };
            assert_eq!(ours.dimensions, reference["projection_dim"], "{}", case["name"]);
            for (tower, reference) in
                [(&ours.text.tower, &reference["text_config"]), (&ours.vision.tower, &reference["vision_config"])]
            {
                assert_eq!(tower.hidden, reference["hidden_size"], "{}", case["name"]);
                assert_eq!(tower.layers, reference["num_hidden_layers"], "{}", case["name"]);
                assert_eq!(tower.heads, reference["num_attention_heads"], "{}", case["name"]);
                assert_eq!(tower.intermediate, reference["intermediate_size"], "{}", case["name"]);
                assert_eq!(tower.layer_norm_eps, reference["layer_norm_eps"].as_f64().unwrap(), "{}", case["name"]);
                assert_eq!(tower.activation, activation(reference["hidden_act"].as_str().unwrap()).unwrap());
            }
            let pooling = match reference["text_config"]["eos_token_id"].as_u64().unwrap() {
                2 => TextPooling::LargestId,
                eos => TextPooling::FirstEos(eos as u32),
            };
            assert_eq!(ours.text.pooling, pooling, "{}", case["name"]);
            assert_eq!(ours.text.vocab_size, reference["text_config"]["vocab_size"], "{}", case["name"]);
            assert_eq!(
                ours.text.context_length, reference["text_config"]["max_position_embeddings"],
                "{}",
                case["name"]
            );
            assert_eq!(ours.vision.image_size, reference["vision_config"]["image_size"], "{}", case["name"]);
            assert_eq!(ours.vision.patch_size, reference["vision_config"]["patch_size"], "{}", case["name"]);
        }
    }

    #[test]
    fn preprocessors_resolve_as_in_the_reference() {
        for case in goldens("preprocessors") {
            let crop = case["resolved"]["crop_size"]["height"].as_u64().unwrap_or(224) as usize;
            let ours = serde_json::from_value(case["raw"].clone())
                .map_err(|e| Error::invalid_model(e.to_string()))
                .and_then(|preprocessor: Preprocessor| image(&preprocessor, crop, Architecture::Clip));
            let Some((ours, reference)) = expect(&case, ours) else { continue };
            let resize = match (&reference["size"]["shortest_edge"], &reference["size"]["height"]) {
                (Value::Number(side), _) => ResizeRule::ShortestEdge(side.as_u64().unwrap() as u32),
                (_, height) => ResizeRule::Squash(height.as_u64().unwrap() as u32),
            };
            assert_eq!(ours.resize, resize, "{}", case["name"]);
            assert_eq!(ours.crop as usize, crop, "{}", case["name"]);
            assert_eq!(ours.rescale, reference["rescale_factor"].as_f64().unwrap(), "{}", case["name"]);
            for i in 0..3 {
                assert_eq!(ours.mean[i], reference["image_mean"][i].as_f64().unwrap() as f32, "{}", case["name"]);
                assert_eq!(ours.std[i], reference["image_std"][i].as_f64().unwrap() as f32, "{}", case["name"]);
            }
        }
    }
}
