//! BERT's tokenizer as it was kept before `tokenizer.json`: `vocab.txt`, a token a line.
//!
//! The rules around it are those of transformers' `BertTokenizer`, which writes the same `tokenizer.json`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::error::{Error, Result};

/// The `tokenizer.json` that the file means, with the switches of `tokenizer_config.json` or `null`.
pub fn tokenizer(vocabulary: &[u8], config: &Value) -> Result<Vec<u8>> {
    let invalid = |what: String| Error::invalid_model(format!("vocab.txt: {what}"));
    let text = std::str::from_utf8(vocabulary).map_err(|e| invalid(e.to_string()))?;
    let mut ids = BTreeMap::new();
    // As Python reads lines: of equal ones the last counts.
    for (id, line) in text.strip_suffix('\n').unwrap_or(text).split('\n').enumerate() {
        ids.insert(line.strip_suffix('\r').unwrap_or(line), id);
    }
    let named = |key: &str, default: &str| -> Result<(String, usize)> {
        let token = config[key].as_str().or(config[key]["content"].as_str()).unwrap_or(default);
        let id = ids.get(token).copied();
        Ok((token.to_owned(), id.ok_or_else(|| invalid(format!("there is no token {token:?}")))?))
    };
    let (pad, unknown, begin, end) = (
        named("pad_token", "[PAD]")?,
        named("unk_token", "[UNK]")?,
        named("cls_token", "[CLS]")?,
        named("sep_token", "[SEP]")?,
    );
    let mask = named("mask_token", "[MASK]").ok();
    let mut special: Vec<&(String, usize)> = [&pad, &unknown, &begin, &end].into_iter().chain(&mask).collect();
    special.sort_by_key(|(_, id)| *id);
    let added = special.iter().map(|(token, id)| {
        json!({"id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
               "special": true})
    });
    let added: Vec<Value> = added.collect();
    let on = |key: &str| config[key].as_bool().unwrap_or(true);
    let piece = |(token, _): &(String, usize)| json!({"SpecialToken": {"id": token, "type_id": 0}});
    let ids_of = |(token, id): &(String, usize)| json!({"id": token, "ids": [id], "tokens": [token]});
    let file = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": {
            "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": on("tokenize_chinese_chars"),
            "strip_accents": config["strip_accents"].as_bool(), "lowercase": on("do_lower_case"),
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [piece(&begin), {"Sequence": {"id": "A", "type_id": 0}}, piece(&end)],
            "pair": [piece(&begin), {"Sequence": {"id": "A", "type_id": 0}}, piece(&end),
                     {"Sequence": {"id": "B", "type_id": 1}}, piece(&end)],
            "special_tokens": {&begin.0: ids_of(&begin), &end.0: ids_of(&end)},
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {
            "type": "WordPiece", "unk_token": unknown.0, "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": ids,
        },
    });
    serde_json::to_vec(&file).map_err(|e| Error::internal(format!("tokenizer.json: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Tokenizer;

    const VOCABULARY: &str = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n猫\na\n##b\ncafe\nB";

    fn ids(config: &Value, text: &str) -> Vec<u32> {
        let made = tokenizer(VOCABULARY.as_bytes(), config).unwrap();
        Tokenizer::from_bytes(&made, 9).unwrap().encode(text).unwrap()
    }

    #[test]
    fn texts_go_as_the_configuration_says() {
        assert_eq!(ids(&Value::Null, "Ab猫猫 CAFÉ x"), [2, 6, 7, 5, 5, 8, 1, 3]);
        assert_eq!(ids(&json!({ "do_lower_case": false }), "a B b"), [2, 6, 9, 1, 3]);
        assert_eq!(ids(&json!({ "tokenize_chinese_chars": false }), "猫猫"), [2, 1, 3]);
        assert_eq!(ids(&json!({ "cls_token": "B" }), ""), [9, 3]);
    }

    #[test]
    fn files_that_make_no_sense() {
        let error = |text: &[u8]| tokenizer(text, &Value::Null).unwrap_err().message;
        assert_eq!(error(b"[PAD]\n[UNK]\n[CLS]"), "vocab.txt: there is no token \"[SEP]\"");
        assert!(error(b"\xff").starts_with("vocab.txt: invalid utf-8"));
    }
}
