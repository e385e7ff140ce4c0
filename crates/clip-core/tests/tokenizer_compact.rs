//! The compact tokenizer gives the tokens of the `tokenizers` crate, whatever the text.

mod common;

use std::fs;
use std::path::PathBuf;

use clip_core::spec::TextCleaning;
use clip_core::text::Tokenizer;
use common::*;
use serde_json::Value;
use tempfile::TempDir;

const CONTEXT: usize = 77;

fn json(name: &str) -> Vec<u8> {
    fs::read(tokenizer_dir(name).join("tokenizer.json")).unwrap()
}

fn compact(dir: &TempDir, json: &[u8]) -> PathBuf {
    let path = dir.path().join("tokenizer.safetensors");
    let (bytes, _) = Tokenizer::write_compact(&path, json).unwrap().expect("a plain byte-level BPE");
    assert_eq!(fs::metadata(&path).unwrap().len(), bytes);
    path
}

/// The same numbers everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }

    /// Pieces of real words, single characters of all planes, white space, special tokens.
    fn text(&mut self, words: &[String]) -> String {
        let mut text = String::new();
        for _ in 0..1 + self.below(12) {
            match self.below(10) {
                0..5 => text.push_str(&words[self.below(words.len())]),
                5 => text.extend(char::from_u32(self.below(0x500) as u32)),
                6 => text.extend(char::from_u32(self.below(0x11_0000) as u32)),
                7 => {
                    text.push_str(["'s", "'LL", "<|endoftext|>", "<|startoftext|>", "1234", "!?", "..."][self.below(7)])
                }
                8 => text.push_str(&"ab".repeat(self.below(40))),
                _ => {}
            }
            text.push_str([" ", "", "  ", "\n", "\u{a0}", "-"][self.below(6)]);
        }
        text
    }
}

#[test]
fn golden_and_random_texts() {
    for name in ["clip", "tiny", "pictograms"] {
        let (dir, golden, json) = (TempDir::new().unwrap(), golden_tokens(name), json(name));
        let whole = Tokenizer::from_bytes(&json, golden.max_length).unwrap();
        let compact = Tokenizer::open_compact(&compact(&dir, &json), golden.max_length, TextCleaning::None).unwrap();
        for case in &golden.cases {
            assert_eq!(compact.encode(&case.text).unwrap(), case.ids, "{name}: {:?}", case.text);
        }
        let vocabulary: Value = serde_json::from_slice(&json).unwrap();
        let words = vocabulary["model"]["vocab"].as_object().unwrap().keys();
        let words: Vec<String> = words.map(|word| word.replace("</w>", " ")).collect();
        let mut random = Random(1);
        for _ in 0..20_000 {
            let text = random.text(&words);
            assert_eq!(compact.encode(&text).unwrap(), whole.encode(&text).unwrap(), "{name}: {text:?}");
        }
    }
}

#[test]
fn one_endless_word() {
    let (dir, json) = (TempDir::new().unwrap(), json("clip"));
    let whole = Tokenizer::from_bytes(&json, CONTEXT).unwrap();
    let compact = Tokenizer::open_compact(&compact(&dir, &json), CONTEXT, TextCleaning::None).unwrap();
    for text in ["a".repeat(100_000), "straße".repeat(20_000), "語".repeat(50_000)] {
        assert_eq!(compact.encode(&text).unwrap(), whole.encode(&text).unwrap());
    }
}

#[test]
fn other_kinds_are_left_to_the_whole_tokenizer() {
    let dir = TempDir::new().unwrap();
    let original: Value = serde_json::from_slice(&json("tiny")).unwrap();
    let edits: [fn(&mut Value); 5] = [
        |t| t["model"]["type"] = "Unigram".into(),
        |t| t["model"]["byte_fallback"] = true.into(),
        |t| t["model"]["dropout"] = 0.1.into(),
        |t| t["pre_tokenizer"] = serde_json::json!({ "type": "Whitespace" }),
        |t| {
            t["model"]["vocab"].as_object_mut().unwrap().remove("a");
        },
    ];
    for (i, edit) in edits.iter().enumerate() {
        let mut json = original.clone();
        edit(&mut json);
        let path = dir.path().join(i.to_string());
        assert!(Tokenizer::write_compact(&path, json.to_string().as_bytes()).unwrap().is_none(), "edit {i}");
        assert!(!path.exists(), "edit {i}");
    }
}

#[test]
fn damage_never_crashes() {
    let (dir, json) = (TempDir::new().unwrap(), json("tiny"));
    let path = compact(&dir, &json);
    let whole = fs::read(&path).unwrap();
    let mut random = Random(2);
    let mut refused = 0;
    for i in 0..4000 {
        let mut bytes = whole.clone();
        // half of them in the header, which is a few kilobytes at the front
        let at = random.below(if i % 2 == 0 { 2048.min(bytes.len()) } else { bytes.len() });
        bytes[at] = bytes[at].wrapping_add(1 + random.below(255) as u8);
        if i % 10 == 0 {
            bytes.truncate(at);
        }
        // a new file each time: an installed one is never written again
        let damaged = dir.path().join(format!("{i}"));
        fs::write(&damaged, &bytes).unwrap();
        let outcome = Tokenizer::open_compact(&damaged, CONTEXT, TextCleaning::None)
            .and_then(|t| t.encode("a photo of a cat, isn't it?"));
        refused += usize::from(outcome.is_err());
        fs::remove_file(&damaged).unwrap();
    }
    assert!(refused > 1000, "{refused} damaged files were refused");
}
