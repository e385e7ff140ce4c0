//! Which files of a repository an import reads: one set of weights, and what describes them.

use std::collections::BTreeMap;

pub use clip_core::import::plan::{CONFIG, is_ambiguous, is_of_transformers, prefix};
use clip_core::import::{self, plan};
use clip_core::{Error, Result};
use serde::Deserialize;

/// The card, which is at the top even where the other files are not.
pub const CARD: &str = "README.md";
/// Taken along where they are: the license, and how the tokenizer is meant.
const EXTRAS: [&str; 2] = [CARD, "tokenizer_config.json"];

/// Which files of a repository are downloaded, given its name and what is there.
pub type Plan = fn(&str, &dyn Fn(&str) -> bool) -> Result<Vec<&'static str>>;

/// The plan for a model, or for an encoder of texts where another model has the images.
pub fn of(texts_alone: bool) -> Plan {
    if texts_alone { encoder_files } else { files }
}

/// The list of shards, which comes instead of weights.
pub fn is_index(file: &str) -> bool {
    file.ends_with(".safetensors.index.json")
}

/// The files to download, small ones first, the weights or their index last.
pub fn files(repository: &str, has: &dyn Fn(&str) -> bool) -> Result<Vec<&'static str>> {
    let incomplete = |what: &str| Error::invalid_model(format!("repository \"{repository}\" has no {what}"));
    let Some((weights, config)) = plan::weights(has) else {
        if let Some(error) = import::apple(has) {
            return Err(error.context(format!("repository \"{repository}\"")));
        }
        let known = plan::WEIGHTS.map(|(weights, config)| format!("{weights} with {config}")).join(", ");
        return Err(incomplete(&format!("weights that an import reads: expected {known}")));
    };
    let mut files = vec![config];
    files.extend(plan::PREPROCESSORS.into_iter().filter(|file| has(file)));
    if config == CONFIG && files.len() == 1 {
        return Err(incomplete(plan::PREPROCESSORS[0]));
    }
    let Some(tokenizer) = plan::tokenizer(has) else {
        return Err(incomplete("tokenizer.json, and not both vocab.json and merges.txt"));
    };
    files.extend(tokenizer);
    files.extend(EXTRAS.into_iter().filter(|file| has(file)));
    files.push(weights);
    Ok(files)
}

/// The files of an encoder of texts alone, in the same order.
pub fn encoder_files(repository: &str, has: &dyn Fn(&str) -> bool) -> Result<Vec<&'static str>> {
    let mut files = plan::encoder(has).ok_or_else(|| {
        Error::invalid_model(format!("repository \"{repository}\" has no encoder of texts that an import reads"))
            .with_hint("Known are those of sentence-transformers (modules.json) and M-CLIP.")
    })?;
    let extras = EXTRAS.into_iter().filter(|file| has(file));
    files.splice(1..1, extras);
    Ok(files)
}

/// The shards that the content of an index names, each once.
pub fn shards(name: &str, index: &[u8], has: impl Fn(&str) -> bool) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let index: Index =
        serde_json::from_slice(index).map_err(|e| Error::invalid_model(format!("file \"{name}\": {e}")))?;
    let mut shards: Vec<String> = index.weight_map.into_values().collect();
    shards.sort();
    shards.dedup();
    for shard in &shards {
        let plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-');
        if !shard.bytes().all(plain) || shard.starts_with('.') || !shard.ends_with(".safetensors") || !has(shard) {
            return Err(Error::invalid_model(format!(
                "file \"{name}\" names {shard:?}, which is no safetensors file of the repository"
            )));
        }
    }
    Ok(shards)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(there: &[&str]) -> Result<Vec<&'static str>> {
        files("a/b", &|name| there.contains(&name))
    }

    #[test]
    fn one_set_of_weights() {
        let small = ["config.json", "preprocessor_config.json", "tokenizer.json", "vocab.json"];
        for (weights, expected) in [
            (&["model.safetensors", "pytorch_model.bin"][..], "model.safetensors"),
            (&["model.safetensors.index.json", "pytorch_model.bin"], "model.safetensors.index.json"),
            (&["pytorch_model.bin", "open_clip_pytorch_model.bin"], "pytorch_model.bin"),
            // open_clip's configuration is not there
            (&["pytorch_model.bin", "open_clip_model.safetensors"], "pytorch_model.bin"),
        ] {
            let files = plan(&[&small[..], weights].concat()).unwrap();
            assert_eq!(files, ["config.json", "preprocessor_config.json", "tokenizer.json", expected]);
        }
        let older = ["config.json", "preprocessor_config.json", "vocab.json", "merges.txt", "pytorch_model.bin"];
        assert_eq!(plan(&older).unwrap(), older);
        let open_clip = ["open_clip_config.json", "open_clip_model.safetensors", "tokenizer.json", "README.md"];
        assert_eq!(
            plan(&open_clip).unwrap(),
            ["open_clip_config.json", "tokenizer.json", "README.md", "open_clip_model.safetensors"]
        );
    }

    #[test]
    fn an_encoder_of_texts() {
        let there = ["config.json", "tokenizer.json", "README.md", "pytorch_model.bin", "model.safetensors"];
        let files = encoder_files("a/b", &|name| there.contains(&name)).unwrap();
        assert_eq!(files, ["config.json", "README.md", "tokenizer.json", "model.safetensors"]);
        let error = encoder_files("a/b", &|name| name == "config.json").unwrap_err();
        assert!(error.message.contains("\"a/b\" has no encoder"), "{error}");
    }

    #[test]
    fn what_is_missing_is_named() {
        let all = ["config.json", "preprocessor_config.json", "tokenizer.json", "model.safetensors"];
        for (missing, named) in [
            ("preprocessor_config.json", "preprocessor_config.json"),
            ("tokenizer.json", "tokenizer.json"),
            ("model.safetensors", "weights"),
        ] {
            let there: Vec<&str> = all.into_iter().filter(|file| *file != missing).collect();
            let error = plan(&there).unwrap_err().message;
            assert!(error.contains(&format!("\"a/b\" has no {named}")), "{error}");
        }
    }

    #[test]
    fn a_layout_that_is_known_and_not_read() {
        let error = plan(&["config.json", "mobileclip_s0.pt"]).unwrap_err();
        assert!(error.message.starts_with("repository \"a/b\": \"mobileclip_s0.pt\" (MobileCLIP"), "{error}");
        assert!(error.hint.unwrap().contains("timm/MobileCLIP2-S0-OpenCLIP"));
        let both = ["mobileclip2_s0.pt", "open_clip_config.json", "open_clip_model.safetensors", "tokenizer.json"];
        assert_eq!(plan(&both).unwrap(), ["open_clip_config.json", "tokenizer.json", "open_clip_model.safetensors"]);
    }

    #[test]
    fn shards_are_files_of_the_repository() {
        let index = |file: &str| format!(r#"{{"metadata": {{}}, "weight_map": {{"x": {file:?}, "y": {file:?}}}}}"#);
        let has = |name: &str| name != "other.safetensors";
        assert_eq!(shards("x", index("a-1.safetensors").as_bytes(), has).unwrap(), ["a-1.safetensors"]);
        for bad in ["../a.safetensors", "/a.safetensors", "a/b.safetensors", "config.json", "other.safetensors", ""] {
            assert!(shards("x", index(bad).as_bytes(), has).is_err(), "{bad}");
        }
        assert!(shards("x", b"[]", has).is_err() && shards("x", b"{", has).is_err());
    }
}
