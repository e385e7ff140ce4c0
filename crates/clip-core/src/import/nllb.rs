//! NLLB's encoder as the text tower of another model (open_clip, `hf_model.py`): its sizes, and its tokenizer, whose texts begin
//! with the token of their language (transformers, `NllbTokenizer`).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::bert::{Sizes, layers_of, matrix};
use crate::error::{Error, Result};
use crate::language::is_language;
use crate::spec::{Activation, TowerSpec};

/// Published encoders by their names on the hub, without their owner.
const PUBLISHED: [(&str, Sizes); 2] =
    [("nllb-200-distilled-600M", sizes(12, 4096)), ("nllb-200-distilled-1.3B", sizes(24, 8192))];

const fn sizes(layers: usize, intermediate: usize) -> Sizes {
    Sizes { hidden: 1024, layers, intermediate, vocab_size: 256_206, positions: POSITIONS }
}

/// Positions of every published encoder (`max_position_embeddings`).
const POSITIONS: usize = 1024;
/// Width of a head up to a row of [`WIDEST`]; wider encoders have other heads.
const HEAD: usize = 64;
const WIDEST: usize = 1024;
/// The language of texts where no file names another one.
const LANGUAGE: &str = "eng_Latn";

/// Is an encoder of that name NLLB's?
pub fn is_nllb(name: &str) -> bool {
    name.rsplit('/').next().is_some_and(|name| name.to_lowercase().contains("nllb"))
}

/// The sizes of the encoder `name`, whose tensors are those in `shapes` that begin with `prefix`.
///
/// # Errors
///
/// `InvalidModel` where the checkpoint has no such encoder, `Unsupported` where its width is not one of known heads.
pub fn encoder(name: &str, shapes: &BTreeMap<String, Vec<usize>>, prefix: &str) -> Result<Sizes> {
    if let Some((_, sizes)) = PUBLISHED.iter().find(|(published, _)| name.rsplit('/').next() == Some(published)) {
        return Ok(*sizes);
    }
    let (vocab_size, hidden) = matrix(shapes, &format!("{prefix}embed_tokens.weight"))?;
    let (intermediate, _) = matrix(shapes, &format!("{prefix}layers.0.fc1.weight"))?;
    if hidden > WIDEST || !hidden.is_multiple_of(HEAD) {
        return Err(Error::unsupported(format!(
            "text tower \"{name}\" of width {hidden} is not supported: expected heads of {HEAD}, {WIDEST} values at most"
        )));
    }
    let layers = layers_of(shapes, &format!("{prefix}layers."));
    Ok(Sizes { hidden, layers, intermediate, vocab_size, positions: POSITIONS })
}

/// The tower, with NLLB's heads, activation and epsilon.
pub fn tower(sizes: &Sizes) -> TowerSpec {
    TowerSpec {
        hidden: sizes.hidden,
        layers: sizes.layers,
        heads: sizes.hidden / HEAD,
        intermediate: sizes.intermediate,
        layer_norm_eps: 1e-5,
        activation: Activation::Relu,
    }
}

/// The `tokenizer.json` with the token of the language first and the end last, whatever the file says: transformers does the
/// same, as older files have the language behind the end.
///
/// `config`: `tokenizer_config.json`, or `null`.
///
/// # Errors
///
/// `Unsupported` for the older order, where the configuration asks for it. `InvalidModel` where a token is missing.
pub fn tokenizer(bytes: Vec<u8>, config: &Value) -> Result<Vec<u8>> {
    let mut file: Value =
        serde_json::from_slice(&bytes).map_err(|e| Error::invalid_model(format!("tokenizer.json: {e}")))?;
    if config["legacy_behaviour"] == true {
        return Err(Error::unsupported("tokenizer_config.json: legacy_behaviour = true is not supported"));
    }
    let end = config["eos_token"].as_str().or(config["eos_token"]["content"].as_str()).unwrap_or("</s>");
    let language = config["src_lang"].as_str().unwrap_or(LANGUAGE);
    if !is_language(language) {
        return Err(Error::unsupported(format!("tokenizer_config.json: src_lang = \"{language}\" is not supported")));
    }
    let id = |token: &str| {
        let added = file["added_tokens"].as_array().into_iter().flatten();
        let id = added.clone().find(|added| added["content"] == token).and_then(|added| added["id"].as_u64());
        id.ok_or_else(|| Error::invalid_model(format!("tokenizer.json has no special token \"{token}\"")))
    };
    let (first, last) = (id(language)?, id(end)?);
    let piece = |token: &str| json!({"SpecialToken": {"id": token, "type_id": 0}});
    let text = |name: &str| json!({"Sequence": {"id": name, "type_id": 0}});
    let ids = |token: &str, id: u64| json!({"id": token, "ids": [id], "tokens": [token]});
    let steps = json!({
        "type": "TemplateProcessing",
        "single": [piece(language), text("A"), piece(end)],
        "pair": [piece(language), text("A"), text("B"), piece(end)],
        "special_tokens": {language: ids(language, first), end: ids(end, last)},
    });
    if file["post_processor"] == steps {
        return Ok(bytes);
    }
    let fields = file.as_object_mut().ok_or_else(|| Error::invalid_model("tokenizer.json is no object"))?;
    fields.insert("post_processor".into(), steps);
    serde_json::to_vec(&file).map_err(|e| Error::internal(format!("tokenizer.json: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_published_encoders_and_of_others() {
        let published = encoder("facebook/nllb-200-distilled-1.3B", &BTreeMap::new(), "t.").unwrap();
        assert_eq!((published, tower(&published).heads), (sizes(24, 8192), 16));
        let shapes = |hidden| {
            let shape = |name: &str, rows| (format!("t.{name}"), vec![rows, hidden]);
            BTreeMap::from([
                shape("embed_tokens.weight", 300),
                shape("layers.0.fc1.weight", 96),
                shape("layers.4.x", 1),
            ])
        };
        let own = encoder("nllb-tiny", &shapes(128), "t.").unwrap();
        assert_eq!(own, Sizes { hidden: 128, layers: 5, intermediate: 96, vocab_size: 300, positions: 1024 });
        for width in [96, 2048] {
            assert!(encoder("nllb-200-3.3B", &shapes(width), "t.").unwrap_err().message.contains("heads of 64"));
        }
        assert!(encoder("nllb-tiny", &shapes(64), "x.").unwrap_err().message.contains("\"x.embed_tokens.weight\""));
        assert!(is_nllb("facebook/NLLB-200") && !is_nllb("nllb/xlm-roberta-base"));
    }

    fn file() -> Value {
        let token = |id: u64, content: &str| json!({"id": id, "content": content, "special": true});
        json!({"added_tokens": [token(2, "</s>"), token(7, "eng_Latn"), token(8, "deu_Latn")],
               "post_processor": {"type": "TemplateProcessing", "single": ["$A", "</s>", "eng_Latn"]}})
    }

    #[test]
    fn the_language_comes_first_whatever_the_file_says() {
        let made = |config: &Value| tokenizer(file().to_string().into_bytes(), config);
        let steps = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap()["post_processor"].clone();
        let english = made(&Value::Null).unwrap();
        assert_eq!(steps(&english)["single"][0]["SpecialToken"]["id"], "eng_Latn");
        assert_eq!(steps(&english)["special_tokens"]["eng_Latn"]["ids"], json!([7]));
        assert_eq!(tokenizer(english.clone(), &Value::Null).unwrap(), english, "as it is");
        let german = made(&json!({"src_lang": "deu_Latn", "eos_token": {"content": "</s>"}})).unwrap();
        assert_eq!(steps(&german)["single"][0]["SpecialToken"]["id"], "deu_Latn");
        for (config, message) in [
            (json!({"legacy_behaviour": true}), "legacy_behaviour"),
            (json!({"src_lang": "en"}), "src_lang"),
            (json!({"src_lang": "fra_Latn"}), "\"fra_Latn\""),
            (json!({"eos_token": "<end>"}), "\"<end>\""),
        ] {
            assert!(made(&config).unwrap_err().message.contains(message), "{config}");
        }
        assert!(tokenizer(b"[".to_vec(), &Value::Null).is_err() && tokenizer(b"[]".to_vec(), &Value::Null).is_err());
    }
}
