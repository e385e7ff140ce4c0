//! What is looked at in a `tokenizer.json` before the tokenizer's library reads it.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::error::{Error, Result};

/// Refuses, as `Unsupported`, a BPE with a `continuing_subword_prefix`: the library would panic.
///
/// It cuts the prefix off each merge's second part, however short that is. No model of the families here has one.
pub fn check(json: &[u8]) -> Result<()> {
    #[derive(Deserialize)]
    struct File {
        model: Option<Model>,
    }
    #[derive(Deserialize)]
    struct Model {
        merges: Option<IgnoredAny>,
        continuing_subword_prefix: Option<String>,
    }
    // Of several fields of one name the library takes the last one, as `Value` does. What is no such file is told by who reads all of it.
    let last = || serde_json::from_value(serde_json::from_slice::<Value>(json).ok()?).ok();
    let file: Option<File> = serde_json::from_slice(json).ok().or_else(last);
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
        assert_eq!(check(b"no JSON").err().map(|e| e.kind), None);
    }
}
