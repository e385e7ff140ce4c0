//! `tokenizer.json` and its companions: does it belong to the model?

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::{json, nllb, plan, read as read_file, siglip, vocabulary, wordpieces};
use crate::error::{Error, ErrorKind, Result};
use crate::installed::TOKENIZER;
use crate::spec::{Architecture, ModelSpec, TextLayers, TextPooling};
use crate::text::Tokenizer;

/// The bytes of `tokenizer.json`. Sets in `spec` what else of it the text tower has to know.
///
/// # Errors
///
/// `MissingFile` where there is none, `InvalidModel` where it does not belong to the model, `Unsupported` for kinds
/// that SigLIP does not have.
pub fn read(dir: &Path, spec: &mut ModelSpec, open_clip: bool) -> Result<Vec<u8>> {
    let [vocabulary, merges] = plan::VOCABULARY;
    let has = |name: &str| dir.join(name).exists();
    // What the family's own text tower has; an encoder of its own brings its own tokenizer.
    let family = match spec.text.layers {
        TextLayers::Own | TextLayers::Unmasked { .. } => Some(spec.architecture),
        TextLayers::Bert { .. } | TextLayers::M2m100 { .. } | TextLayers::Jina { .. } => None,
    };
    let config = || -> Result<Value> { if has(CONFIG) { json(dir, CONFIG) } else { Ok(Value::Null) } };
    let bytes = if family.is_none() && !has(TOKENIZER) && has(plan::WORDPIECES) {
        wordpieces::tokenizer(&read_file(dir, plan::WORDPIECES)?, &config()?)
    } else if family == Some(Architecture::Clip) && !has(TOKENIZER) && has(vocabulary) && has(merges) {
        vocabulary::tokenizer(&read_file(dir, vocabulary)?, &read_file(dir, merges)?)
    } else {
        read_file(dir, TOKENIZER)
    };
    let mut bytes = bytes.map_err(|e| {
        let missing = e.kind == ErrorKind::MissingFile;
        let hint = match (open_clip, family) {
            (_, None) => "tokenizer.json is read, else vocab.txt; transformers writes it with save_pretrained.",
            (true, Some(Architecture::Clip)) => {
                "Models with CLIP's vocabulary of 49,408 tokens share one tokenizer.json: take it from openai/clip-vit-base-patch32."
            }
            (false, Some(Architecture::Clip)) => {
                "tokenizer.json is read, else vocab.json and merges.txt; transformers writes it with save_pretrained."
            }
            (_, Some(Architecture::Siglip)) => {
                "Only tokenizer.json is read, not spiece.model; transformers writes it with save_pretrained."
            }
        };
        if missing { e.with_hint(hint) } else { e }
    })?;
    if spec.text.has_languages() {
        bytes = nllb::tokenizer(bytes, &config()?)?;
    }
    let invalid = |mut e: Error| {
        e.kind = ErrorKind::InvalidModel;
        e
    };
    if family == Some(Architecture::Siglip) {
        let parsed: Value = json(dir, TOKENIZER)?;
        let config = config()?;
        siglip::tokenizer(&mut spec.text, &parsed, &config)?;
        let tokenizer = open(&bytes, spec).map_err(invalid)?;
        siglip::padding(&mut spec.text, &tokenizer, &parsed, &config)?;
        check(&tokenizer, spec)?;
    } else {
        let tokenizer = open(&bytes, spec).map_err(invalid)?;
        // mT5's, which some of MetaCLIP 2's models have, writes an end and no begin.
        if !(matches!(spec.text.pooling, TextPooling::FirstEos(_)) && ends_alone(&tokenizer, spec, &bytes)?) {
            check(&tokenizer, spec)?;
        }
    }
    Ok(bytes)
}

const CONFIG: &str = "tokenizer_config.json";

fn open(bytes: &[u8], spec: &ModelSpec) -> Result<Tokenizer> {
    let tokenizer = Tokenizer::with_cleaning(bytes, spec.text.context_length, spec.text.cleaning)?;
    Ok(if spec.text.has_languages() { tokenizer.with_languages() } else { tokenizer })
}

/// Is it a tokenizer of mT5's kind, a unigram model, that ends every text with the token that the tower pools at, and that has
/// a row in its table for each token?
fn ends_alone(tokenizer: &Tokenizer, spec: &ModelSpec, bytes: &[u8]) -> Result<bool> {
    #[derive(Deserialize)]
    struct File {
        model: Model,
    }
    #[derive(Deserialize)]
    struct Model {
        #[serde(rename = "type")]
        kind: Option<String>,
    }
    let (empty, largest) = (tokenizer.encode("")?, tokenizer.largest_id() as usize);
    let unigram =
        || serde_json::from_slice(bytes).is_ok_and(|file: File| file.model.kind.as_deref() == Some("Unigram"));
    let pooled = |eos: u32| spec.text.pooling == TextPooling::FirstEos(eos);
    Ok(matches!(empty[..], [eos] if pooled(eos)) && largest < spec.text.vocab_size && unigram())
}

/// Ids must be within the table, and the end token that the tower pools at the one that the tokenizer writes.
fn check(tokenizer: &Tokenizer, spec: &ModelSpec) -> Result<()> {
    let (largest, empty) = (tokenizer.largest_id(), tokenizer.encode("")?);
    if largest as usize >= spec.text.vocab_size {
        return Err(Error::invalid_model(format!(
            "tokenizer.json has token id {largest}, config.json expects less than {}",
            spec.text.vocab_size
        )));
    }
    let pooled = match (spec.text.pooling, empty.len()) {
        (TextPooling::FirstEos(eos), 2..) => eos,
        (TextPooling::LargestId, 2..) => largest,
        (TextPooling::Last { .. }, 1) | (TextPooling::Mean | TextPooling::First, 2) => return Ok(()),
        (TextPooling::Last { .. }, _) => {
            return Err(Error::invalid_model(format!(
                "tokenizer.json adds {} tokens to a text, expected the end token",
                empty.len()
            )));
        }
        _ => return Err(Error::invalid_model("tokenizer.json adds no begin and end token")),
    };
    match empty.last() {
        Some(end) if *end == pooled => Ok(()),
        end => Err(Error::invalid_model(format!(
            "tokenizer.json ends texts with token {}, the text tower pools at {pooled}",
            end.unwrap_or(&0)
        ))),
    }
}
