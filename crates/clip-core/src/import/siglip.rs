//! `config.json` of transformers' `SiglipModel` (`configuration_siglip.py`), and what its tokenizer does to texts.

use serde_json::{Value, json};

use super::images::{image, in_patches};
use super::raw::{Config, Preprocessor};
use super::resolve::{check, invalid, text_spec, vision_spec};
use crate::error::{Error, Result};
use crate::spec::*;
use crate::text::Tokenizer;

/// The spec of a SigLIP model of fixed resolution, with `configuration_siglip.py`'s defaults.
///
/// `Unsupported` without a pooling head, `InvalidModel` where the towers' vectors differ in length.
pub fn resolve(config: &Config, preprocessor: &Preprocessor) -> Result<ModelSpec> {
    either(config, preprocessor, false)
}

/// The spec of a SigLIP 2 that takes pictures of any aspect, NaFlex, with `configuration_siglip2.py`'s defaults.
///
/// Fails as [`resolve`] does, and with `InvalidModel` where the table of positions is no square.
pub fn naflex(config: &Config, preprocessor: &Preprocessor) -> Result<ModelSpec> {
    either(config, preprocessor, true)
}

fn either(config: &Config, preprocessor: &Preprocessor, naflex: bool) -> Result<ModelSpec> {
    let tower = json!({
        "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12,
        "hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-6, "vocab_size": 32000, "max_position_embeddings": 64,
        "image_size": 224, "patch_size": 16,
    });
    let text = config.text_or(tower.clone()).map_err(invalid)?;
    let mut vision = config.vision_or(tower).map_err(invalid)?;
    if naflex {
        let (count, side) = (vision.num_patches, vision.num_patches.isqrt());
        if side * side != count {
            return Err(Error::invalid_model(format!("config.json: num_patches {count} is no square")));
        }
        vision.image_size = side.saturating_mul(vision.patch_size);
    }
    if !vision.vision_use_head {
        return Err(Error::unsupported("vision_use_head = false is not supported: expected a pooling head"));
    }
    let dimensions = text.projection_size.unwrap_or(text.hidden_size);
    if dimensions != vision.hidden_size {
        return Err(Error::invalid_model(format!(
            "texts have {dimensions} dimensions, images {}: expected the same",
            vision.hidden_size
        )));
    }
    let spec = ModelSpec {
        architecture: Architecture::Siglip,
        dimensions,
        calibration: Calibration::None,
        // tensors of the checkpoint, filled in by the caller
        logit_scale: 0.0,
        scoring: Scoring::Sigmoid { bias: 0.0 },
        // what texts are filled up with is the tokenizer's to say
        text: text_spec(&text, TextPooling::Last { pad: text.pad_token_id.unwrap_or(u32::MAX) })?,
        vision: vision_spec(&vision)?,
        image: match naflex {
            true => in_patches(preprocessor, vision.image_size, vision.patch_size)?,
            false => image(preprocessor, vision.image_size, Architecture::Siglip)?,
        },
    };
    check(&spec)?;
    Ok(spec)
}

/// Sets `spec.cleaning` by `tokenizer.json` and, where there is one, `tokenizer_config.json`. What open_clip's configuration has
/// said stays.
///
/// `Unsupported` for another kind of tokenizer, and for texts that are not made lower case or are padded on the left.
pub fn tokenizer(spec: &mut TextSpec, json: &Value, config: &Value) -> Result<()> {
    // SigLIP's SentencePiece model is a unigram model, SigLIP 2's (Gemma's) a byte pair encoding.
    let cleaning = match json["model"]["type"].as_str() {
        Some("Unigram") => TextCleaning::Canonical,
        Some("BPE") => TextCleaning::Lowercase,
        other => {
            return Err(Error::unsupported(format!(
                "tokenizer.json: a model of type {} is not supported: expected Unigram or BPE",
                other.unwrap_or("(none)")
            )));
        }
    };
    let mut unknown = vec![("padding_side", json!("left"))];
    if !spec.cleaning.is_open_clip() {
        spec.cleaning = cleaning;
        // open_clip makes texts lower case itself.
        unknown.push(("do_lower_case", json!(false)));
    }
    for (key, unknown) in unknown {
        if config[key] == unknown {
            return Err(Error::unsupported(format!("tokenizer_config.json: {key} = {unknown} is not supported")));
        }
    }
    Ok(())
}

/// Sets the token that texts are filled up with: the tokenizer's own, else what `config.json` says.
///
/// `InvalidModel` where no file names one, or the vocabulary does not have it.
pub fn padding(spec: &mut TextSpec, tokenizer: &Tokenizer, json: &Value, config: &Value) -> Result<()> {
    let named = config["pad_token"].as_str().or(config["pad_token"]["content"].as_str());
    let pad = match (named, json["padding"]["pad_id"].as_u64(), spec.pooling) {
        (Some(token), ..) => tokenizer
            .id(token)
            .ok_or_else(|| Error::invalid_model(format!("tokenizer.json has no padding token \"{token}\"")))?,
        (None, Some(id), _) => id as u32,
        (None, None, TextPooling::Last { pad }) => pad,
        (None, None, _) => u32::MAX,
    };
    if pad as usize >= spec.vocab_size {
        return Err(Error::invalid_model("no file says which token fills texts up")
            .with_hint("tokenizer_config.json names it as pad_token."));
    }
    spec.pooling = TextPooling::Last { pad };
    Ok(())
}
