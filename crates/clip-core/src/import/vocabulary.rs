//! CLIP's tokenizer as it was kept before `tokenizer.json`: `vocab.json`, ids by token, and `merges.txt`, one merge a line.
//!
//! The rules around them are those of transformers' `CLIPTokenizer`, which writes the same `tokenizer.json`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::error::{Error, Result};

const BEGIN: &str = "<|startoftext|>";
const END: &str = "<|endoftext|>";
/// More merges than these are not read: 49,152 tokens without the 256 bytes and the two that begin and end a text.
const MERGES: usize = 49152 - 256 - 2;
const PATTERN: &str = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";

/// The `tokenizer.json` that the two files mean.
pub fn tokenizer(vocabulary: &[u8], merges: &[u8]) -> Result<Vec<u8>> {
    let vocabulary: BTreeMap<String, u32> =
        serde_json::from_slice(vocabulary).map_err(|e| Error::invalid_model(format!("vocab.json: {e}")))?;
    let id = |token: &str| {
        vocabulary
            .get(token)
            .copied()
            .ok_or_else(|| Error::invalid_model(format!("vocab.json has no token \"{token}\"")))
    };
    let (begin, end) = (id(BEGIN)?, id(END)?);
    let added = |token: &str, id: u32| {
        json!({"id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
               "special": true})
    };
    let file = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": [added(BEGIN, begin), added(END, end)],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "NFC"}, {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "}, {"type": "Lowercase"},
        ]},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": PATTERN}, "behavior": "Removed", "invert": true},
            {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        ]},
        "post_processor": {"type": "RobertaProcessing", "sep": [END, end], "cls": [BEGIN, begin],
                           "trim_offsets": false, "add_prefix_space": false},
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {
            "type": "BPE", "dropout": null, "unk_token": END, "continuing_subword_prefix": "",
            "end_of_word_suffix": "</w>", "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "merges": read_merges(merges, &vocabulary)?,
            "vocab": vocabulary,
        },
    });
    serde_json::to_vec(&file).map_err(|e| Error::internal(format!("tokenizer.json: {e}")))
}

/// The lines after the first one, which names a version.
fn read_merges(text: &[u8], vocabulary: &BTreeMap<String, u32>) -> Result<Vec<Value>> {
    let invalid = |what: String| Error::invalid_model(format!("merges.txt: {what}"));
    let text = std::str::from_utf8(text).map_err(|e| invalid(e.to_string()))?;
    let mut merges = Vec::new();
    for (i, line) in text.trim().lines().enumerate().skip(1).take(MERGES) {
        let parts: Vec<&str> = line.split(' ').collect();
        let known = |token: &str| vocabulary.contains_key(token);
        match parts[..] {
            [left, right] if known(left) && known(right) && known(&format!("{left}{right}")) => {
                merges.push(json!([left, right]));
            }
            [_, _] => return Err(invalid(format!("line {}: {line:?} are no tokens of vocab.json", i + 1))),
            _ => return Err(invalid(format!("line {}: {line:?} is no pair of tokens", i + 1))),
        }
    }
    Ok(merges)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The two files that a `tokenizer.json` was made of.
    fn taken_apart(file: &Value) -> (Vec<u8>, String) {
        let merges = file["model"]["merges"].as_array().unwrap().iter();
        let lines = merges.map(|pair| format!("{} {}\n", pair[0].as_str().unwrap(), pair[1].as_str().unwrap()));
        (serde_json::to_vec(&file["model"]["vocab"]).unwrap(), format!("#version: 0.2\n{}", lines.collect::<String>()))
    }

    #[test]
    fn the_file_that_transformers_writes() {
        let written: Value =
            serde_json::from_str(include_str!("../../tests/golden/models/tiny-clip/tokenizer.json")).unwrap();
        let (vocabulary, merges) = taken_apart(&written);
        let made = tokenizer(&vocabulary, merges.as_bytes()).unwrap();
        assert!(serde_json::from_slice::<Value>(&made).unwrap() == written);
    }

    #[test]
    fn files_that_make_no_sense() {
        let vocabulary = br#"{"a": 0, "b": 1, "ab": 2, "<|startoftext|>": 3, "<|endoftext|>": 4}"#;
        let error = |vocabulary: &[u8], merges: &str| tokenizer(vocabulary, merges.as_bytes()).unwrap_err().message;
        assert!(tokenizer(vocabulary, b"#version: 0.2\na b\n").is_ok());
        assert_eq!(
            error(vocabulary, "#version\na b\nb a\n"),
            r#"merges.txt: line 3: "b a" are no tokens of vocab.json"#
        );
        assert_eq!(error(vocabulary, "#version\na b c"), r#"merges.txt: line 2: "a b c" is no pair of tokens"#);
        assert_eq!(error(br#"{"a": 0}"#, ""), r#"vocab.json has no token "<|startoftext|>""#);
        assert!(error(b"[]", "").starts_with("vocab.json: "));
        assert!(tokenizer(vocabulary, b"\xff").unwrap_err().message.starts_with("merges.txt: "));
    }
}
