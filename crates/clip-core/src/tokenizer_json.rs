//! What is looked at in a `tokenizer.json` before the tokenizer's library reads it, and after.

use std::fmt::Display;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use tokenizers::{Decoder, Model, Normalizer, PostProcessor, PreTokenizer, TokenizerImpl};

use crate::error::{Error, Result};
use crate::guarded::guarded;

/// Refuses what the library would panic at.
///
/// # Errors
///
/// - `Corrupted` where the bytes are no JSON: it takes the decoder for one before it knows.
/// - `Unsupported` for a BPE with a `continuing_subword_prefix`: it cuts that off each merge's second part, however short
///   that is. No model of the families here has one.
pub fn check(json: &[u8]) -> Result<()> {
    #[derive(Deserialize)]
    struct File {
        model: Option<Model>,
        // A value, as the library reads it: a number may be too large for one.
        #[serde(rename = "decoder")]
        _decoder: Option<Value>,
    }
    #[derive(Deserialize)]
    struct Model {
        merges: Option<IgnoredAny>,
        continuing_subword_prefix: Option<String>,
    }
    // Of several fields of one name the library takes the last one, as `Value` does. What is JSON and no such file is told by who
    // reads all of it.
    let file: Option<File> = match serde_json::from_slice(json) {
        Ok(file) => Some(file),
        Err(_) => {
            let all: Value =
                serde_json::from_slice(json).map_err(|e| Error::corrupted(format!("tokenizer.json: {e}")))?;
            serde_json::from_value(all).ok()
        }
    };
    match file.and_then(|file| file.model) {
        Some(Model { merges: Some(_), continuing_subword_prefix: Some(prefix) }) if !prefix.is_empty() => {
            let message = format!("tokenizer.json: BPE with continuing_subword_prefix \"{prefix}\" is not supported");
            Err(Error::unsupported(message))
        }
        _ => Ok(()),
    }
}

/// The tokenizer that `build` makes of a file, once a text has gone through it.
///
/// The library takes many steps as they are written, such as a template of tokens that are not there, and panics where it does them.
///
/// # Errors
///
/// `Corrupted` where it is none, or the library panics at it.
pub fn tried<M: Model, N: Normalizer, PT: PreTokenizer, PP: PostProcessor, D: Decoder>(
    file: impl Display,
    build: impl FnOnce() -> std::result::Result<TokenizerImpl<M, N, PT, PP, D>, tokenizers::Error>,
) -> Result<TokenizerImpl<M, N, PT, PP, D>> {
    let tried = guarded(|| {
        let tokenizer = build()?;
        // Whether it knows the word does not matter.
        let _ = tokenizer.encode_fast("a", true);
        Ok(tokenizer)
    });
    let bad = |what: &str| Error::corrupted(format!("{file}: {what}"));
    tried.ok_or_else(|| bad("the tokenizers library fails at it"))?.map_err(|e: tokenizers::Error| bad(&e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::ErrorKind;

    #[test]
    fn a_prefix_that_merges_would_be_cut_by_is_refused() {
        let json = |model: &str| format!(r#"{{"version": "1.0", "model": {{{model}}}}}"#);
        let refused = |model: &str| check(json(model).as_bytes()).err().map(|e| e.kind);
        assert_eq!(
            refused(r###""merges": ["a b"], "continuing_subword_prefix": "##""###),
            Some(ErrorKind::Unsupported)
        );
        assert_eq!(refused(r#""merges": ["a b"], "continuing_subword_prefix": """#), None);
        assert_eq!(refused(r#""merges": ["a b"], "continuing_subword_prefix": null"#), None);
        assert_eq!(refused(r#""merges": [["a", "b"]]"#), None);
        let twice = r###""merges": [], "merges": ["a b"], "continuing_subword_prefix": "", "continuing_subword_prefix": "##""###;
        assert_eq!(refused(twice), Some(ErrorKind::Unsupported));
        // WordPiece
        assert_eq!(refused(r###""vocab": {}, "continuing_subword_prefix": "##""###), None);
    }

    /// Where the library reads a decoder it panics at what is no value.
    #[test]
    fn what_is_no_json_is_an_error() {
        use crate::text::Tokenizer;
        let whole = include_str!("../tests/golden/models/tiny-clip/tokenizer.json");
        let (before, after) = whole.split_once("\"decoder\":").unwrap();
        for decoder in ["{\"type\":\"Byte\u{1}Level\"}", "[1e999]", "{", "nul", "\"\\ud800\""] {
            let json = format!("{before}\"decoder\":{decoder},\"x\":{after}");
            for bytes in [json.as_bytes(), format!("{before}\"version\":1,\"decoder\":{decoder},{after}").as_bytes()] {
                assert_eq!(check(bytes).err().map(|e| e.kind), Some(ErrorKind::Corrupted), "{decoder}");
                assert_eq!(Tokenizer::from_bytes(bytes, 77).err().map(|e| e.kind), Some(ErrorKind::Corrupted));
            }
        }
        assert_eq!(check(b"no JSON").err().map(|e| e.kind), Some(ErrorKind::Corrupted));
        for end in 0..whole.len() / 97 {
            assert!(Tokenizer::from_bytes(&whole.as_bytes()[..97 * end], 77).is_err());
        }
    }

    /// Each of these makes the library panic, some where it reads them, some at the first text.
    #[test]
    fn what_the_library_panics_at_is_an_error() {
        use serde_json::{Value, json};

        use crate::text::Tokenizer;
        let read = |key: &str, step: Value| {
            let mut file = json!({ "version": "1.0", "added_tokens": [],
                "model": { "type": "WordLevel", "vocab": { "a": 0, "<s>": 1 }, "unk_token": "a" } });
            file[key] = step;
            Tokenizer::from_bytes(file.to_string().as_bytes(), 77).map(|tokenizer| tokenizer.encode("a").unwrap())
        };
        let special = || json!({ "SpecialToken": { "id": "<s>", "type_id": 0 } });
        let text = |id: &str| json!({ "Sequence": { "id": id, "type_id": 0 } });
        let template = |single: Value, special: Value| json!({ "type": "TemplateProcessing", "single": single, "pair": [], "special_tokens": special });
        let begin = json!({ "<s>": { "id": "<s>", "ids": [1], "tokens": ["<s>"] } });
        let sound = template(json!([special(), text("A")]), begin.clone());
        assert_eq!(read("post_processor", sound.clone()).unwrap(), [1, 0]);
        let missing = template(json!([special(), text("A")]), json!({}));
        let nothing = template(json!([]), begin.clone());
        let wrong_steps = [
            missing.clone(),
            template(json!([text("B")]), begin),
            json!({ "type": "Sequence", "processors": [missing] }),
            json!({ "type": "Sequence", "processors": [nothing, sound] }),
        ];
        let maps = ["no base64!", "AAAA", "BAAAAP8A/wA="];
        let wrong_maps = maps.map(|map| json!({ "type": "Precompiled", "precompiled_charsmap": map }));
        let steps = wrong_steps.into_iter().map(|step| ("post_processor", step));
        for (key, step) in steps.chain(wrong_maps.into_iter().map(|map| ("normalizer", map))) {
            let error = read(key, step.clone()).err().unwrap_or_else(|| panic!("{step} is taken"));
            assert_eq!(error.kind, ErrorKind::Corrupted, "{step}: {error}");
            assert!(error.message.ends_with("the tokenizers library fails at it"), "{step}: {error}");
        }
    }
}
