//! What is looked at in a `tokenizer.json` before the tokenizer's library reads it.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::error::{Error, Result};

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
}
