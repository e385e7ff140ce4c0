//! A byte-level BPE vocabulary as two sorted tables that are mapped, not read: all that tokenising needs of it.
//!
//! Reading CLIP's `tokenizer.json` builds two hash maps of 49,000 strings in every process: 100 ms and 25 MB. An import
//! therefore writes `tokenizer.safetensors` beside it, with the tables below and, as metadata, everything but the vocabulary.
//! Normalisation, splitting, added and special tokens stay the `tokenizers` crate's.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use safetensors::Dtype;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokenizers::models::bpe::BpeTrainer;
use tokenizers::{
    AddedToken, DecoderWrapper, Model, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper, Token,
    TokenizerImpl,
};

use crate::error::{Error, Result};
use crate::tensor_file::{self, Described, MappedFile};
use crate::tokenizer_json;
use crate::watched::Watched;

/// Name of the file in a model's directory.
pub const FILE: &str = "tokenizer.safetensors";
/// Key of the file's metadata.
const RULES: &str = "rules";
/// Name of the first table.
const SYMBOLS: &str = "symbols";
/// Name of the second table.
const MERGES: &str = "merges";
/// Byte-level BPE writes its 256 bytes as the characters up to here (`bytes_to_unicode` of GPT-2's encoder).
const CHARACTERS: usize = 0x144;
/// In the place of a token that there is none of.
const NONE: u32 = u32::MAX;

/// The `tokenizers` crate's steps around a mapped vocabulary.
pub type Compact = TokenizerImpl<Merges, NormalizerWrapper, PreTokenizerWrapper, PostProcessorWrapper, DecoderWrapper>;

/// `tokenizer.json` without its vocabulary.
#[derive(Serialize, Deserialize)]
struct Rules {
    normalizer: Option<Value>,
    pre_tokenizer: Value,
    post_processor: Option<Value>,
    added_tokens: Vec<Value>,
}

/// Two tables of 32-bit words.
pub struct Merges {
    /// `[2, 324]`: the token of a character, and that of one at the end of a word.
    symbols: Bytes,
    /// `[n, 4]`, sorted: left and right token, rank, and the token that they make.
    merges: Bytes,
    specials: HashMap<String, u32>,
}

/// Writes the file, unless the tokenizer is of another kind than the tables can hold. Returns its size and SHA-256.
pub fn write(path: &Path, tokenizer: &[u8]) -> Result<Option<(u64, String)>> {
    let invalid = |e: serde_json::Error| Error::invalid_model(format!("tokenizer.json: {e}"));
    let json: Value = serde_json::from_slice(tokenizer).map_err(invalid)?;
    let Some((symbols, merges)) = tables(&json["model"]) else { return Ok(None) };
    let ends_in_bytes = |step: &Value| step["type"] == "ByteLevel";
    let splits = &json["pre_tokenizer"];
    if !ends_in_bytes(splits) && !splits["pretokenizers"].as_array().and_then(|s| s.last()).is_some_and(ends_in_bytes) {
        return Ok(None);
    }
    let Ok(rules) = serde_json::from_value::<Rules>(json) else { return Ok(None) };
    let rules = serde_json::to_string(&rules).map_err(invalid)?;
    let described = |name: &str, shape: Vec<usize>| Described { name: name.into(), dtype: Dtype::U32, shape };
    let tensors = [described(SYMBOLS, vec![2, CHARACTERS]), described(MERGES, vec![merges.len(), 4])];
    let words = |words: &mut dyn Iterator<Item = u32>| words.flat_map(u32::to_le_bytes).collect::<Vec<u8>>();
    let metadata = HashMap::from([(RULES.to_owned(), rules)]);
    let written = tensor_file::write(path, Some(metadata), &tensors, |i| {
        Ok(match i {
            0 => words(&mut symbols.iter().copied()),
            _ => words(&mut merges.iter().flatten().copied()),
        })
    })?;
    Ok(Some(written))
}

/// `None` for anything but a plain byte-level BPE whose vocabulary has all bytes.
fn tables(model: &Value) -> Option<(Vec<u32>, Vec<[u32; 4]>)> {
    let unset = |key: &str| matches!(&model[key], Value::Null | Value::Bool(false)) || model[key] == "";
    let plain = ["dropout", "continuing_subword_prefix", "byte_fallback", "ignore_merges"].into_iter().all(unset);
    if model["type"] != "BPE" || !plain {
        return None;
    }
    let vocabulary = model["vocab"].as_object()?;
    let id = |token: &str| vocabulary.get(token)?.as_u64()?.try_into().ok();
    let suffix = model["end_of_word_suffix"].as_str().unwrap_or("");
    let mut symbols = vec![NONE; 2 * CHARACTERS];
    let mut known = 0;
    for c in (0..CHARACTERS as u32).filter_map(char::from_u32) {
        if let (Some(inside), Some(last)) = (id(&c.to_string()), id(&format!("{c}{suffix}"))) {
            symbols[c as usize] = inside;
            symbols[CHARACTERS + c as usize] = last;
            known += 1;
        }
    }
    if known != 256 {
        return None;
    }
    let pair = |merge: &Value| -> Option<(String, String)> {
        match merge {
            Value::String(both) => both.split_once(' ').map(|(a, b)| (a.to_owned(), b.to_owned())),
            Value::Array(both) => Some((both.first()?.as_str()?.to_owned(), both.get(1)?.as_str()?.to_owned())),
            _ => None,
        }
    };
    let mut merges = Vec::new();
    for (rank, merge) in model["merges"].as_array()?.iter().enumerate() {
        let (left, right) = pair(merge)?;
        merges.push([id(&left)?, id(&right)?, rank as u32, id(&format!("{left}{right}"))?]);
    }
    merges.sort_unstable();
    // The same pair twice would make the rank depend on who reads it.
    merges.windows(2).all(|two| two[0][..2] != two[1][..2]).then_some((symbols, merges))
}

/// Bytes of the header, which has the special tokens.
const MAX_HEADER: u64 = 4 << 20;

/// Maps the file that [`write`] wrote, and gives the tokenizer, and what watches the file.
///
/// `MissingFile` where it cannot be read, `Corrupted` where it is no such file.
pub fn open(path: &Path) -> Result<(Compact, Watched)> {
    let bad = |what: String| Error::corrupted(format!("file {}: {what}", path.display()));
    let file = MappedFile::open(path, MAX_HEADER)?;
    let part = |name: &str, columns: usize| {
        let info = file.metadata().info(name).filter(|info| info.dtype == Dtype::U32 && info.shape.len() == 2);
        let info = info.ok_or_else(|| bad(format!("no table \"{name}\"")))?;
        if info.shape[1] != columns {
            return Err(bad(format!("table \"{name}\" of shape {:?}", info.shape)));
        }
        Ok(file.bytes(info))
    };
    let (symbols, merges) = (part(SYMBOLS, CHARACTERS)?, part(MERGES, 4)?);
    if symbols.len() != 2 * CHARACTERS * 4 {
        return Err(bad("not two rows of symbols".into()));
    }
    let rules = file.metadata().metadata().as_ref().and_then(|m| m.get(RULES)).ok_or_else(|| bad("no rules".into()))?;
    let tokenizer = tokenizer_json::tried(format_args!("file {}", path.display()), || build(rules, symbols, merges))?;
    Ok((tokenizer, file.into_watched()))
}

/// Puts the steps of `rules` around the tables.
fn build(rules: &str, symbols: Bytes, merges: Bytes) -> std::result::Result<Compact, tokenizers::Error> {
    let rules: Rules = serde_json::from_str(rules)?;
    let mut specials = HashMap::new();
    for token in &rules.added_tokens {
        if let (Some(content), Some(id)) = (token["content"].as_str(), token["id"].as_u64()) {
            specials.insert(content.to_owned(), u32::try_from(id)?);
        }
    }
    let mut tokenizer = Compact::new(Merges { symbols, merges, specials });
    if let Some(normalizer) = rules.normalizer {
        tokenizer.with_normalizer(Some(serde_json::from_value::<NormalizerWrapper>(normalizer)?))?;
    }
    tokenizer.with_pre_tokenizer(Some(serde_json::from_value::<PreTokenizerWrapper>(rules.pre_tokenizer)?));
    if let Some(post_processor) = rules.post_processor {
        tokenizer.with_post_processor(Some(serde_json::from_value::<PostProcessorWrapper>(post_processor)?));
    }
    for token in rules.added_tokens {
        let special = token["special"] == true;
        let token: AddedToken = serde_json::from_value(token)?;
        if special {
            tokenizer.add_special_tokens([token])?;
        } else {
            tokenizer.add_tokens([token])?;
        }
    }
    Ok(tokenizer)
}

/// A merge that may be done: rank, place of the left token, the token that it makes. Lowest rank first, then leftmost.
type Candidate = Reverse<(u32, usize, u32)>;

impl Merges {
    /// The token of a character. `last`: it ends its word, where CLIP's vocabulary has tokens of their own (`a</w>`).
    fn symbol(&self, c: char, last: bool) -> Option<u32> {
        let index = (c as usize) + if last { CHARACTERS } else { 0 };
        let word = self.symbols.get(4 * index..4 * index + 4).filter(|_| (c as usize) < CHARACTERS)?;
        word.first_chunk().map(|word| u32::from_le_bytes(*word)).filter(|id| *id != NONE)
    }

    /// Rank and result of merging two tokens.
    ///
    /// By binary search, as the rows are sorted.
    fn merge(&self, left: u32, right: u32) -> Option<(u32, u32)> {
        let rows = self.merges.as_chunks::<16>().0;
        let words = |row: &[u8; 16]| -> [u32; 4] {
            std::array::from_fn(|i| row[4 * i..].first_chunk().map_or(0, |word| u32::from_le_bytes(*word)))
        };
        let at = rows.binary_search_by_key(&[left, right], |row| [words(row)[0], words(row)[1]]).ok()?;
        let [_, _, rank, merged] = words(&rows[at]);
        Some((rank, merged))
    }

    /// Merges the tokens of one word as long as any two neighbours make another one.
    ///
    /// The lowest rank first, of equal ones the leftmost, as GPT-2's encoder does. With a heap, so that a long word
    /// takes n log n.
    fn merge_all(&self, tokens: Vec<u32>) -> Vec<u32> {
        let n = tokens.len();
        let mut tokens: Vec<Option<u32>> = tokens.into_iter().map(Some).collect();
        let mut next: Vec<usize> = (1..=n).collect();
        let mut previous: Vec<usize> = (0..n).map(|i| i.wrapping_sub(1)).collect();
        let mut heap: BinaryHeap<Candidate> = BinaryHeap::new();
        let candidate = |tokens: &[Option<u32>], at: usize, right: usize| -> Option<Candidate> {
            let (left, right) = (*tokens.get(at)?, *tokens.get(right)?);
            let (rank, merged) = self.merge(left?, right?)?;
            Some(Reverse((rank, at, merged)))
        };
        heap.extend((1..n).filter_map(|i| candidate(&tokens, i - 1, i)));
        while let Some(Reverse((rank, at, merged))) = heap.pop() {
            let right = next[at];
            // Overtaken by another merge of one of the two?
            if candidate(&tokens, at, right) != Some(Reverse((rank, at, merged))) {
                continue;
            }
            tokens[at] = Some(merged);
            tokens[right] = None;
            next[at] = next[right];
            if next[at] < n {
                previous[next[at]] = at;
            }
            heap.extend(candidate(&tokens, at, next[at]));
            if previous[at] < n {
                heap.extend(candidate(&tokens, previous[at], at));
            }
        }
        tokens.into_iter().flatten().collect()
    }
}

impl Model for Merges {
    type Trainer = BpeTrainer;

    fn tokenize(&self, word: &str) -> tokenizers::Result<Vec<Token>> {
        let mut characters = word.chars().peekable();
        let mut tokens = Vec::with_capacity(word.len());
        while let Some(c) = characters.next() {
            let token = self.symbol(c, characters.peek().is_none());
            tokens.push(token.ok_or_else(|| format!("no token for the character {c:?}"))?);
        }
        // Where a token lies in the text and how it is spelt is of no interest here.
        Ok(self.merge_all(tokens).into_iter().map(|id| Token::new(id, String::new(), (0, word.len()))).collect())
    }

    fn token_to_id(&self, token: &str) -> Option<u32> {
        self.specials.get(token).copied()
    }

    fn id_to_token(&self, id: u32) -> Option<String> {
        self.specials.iter().find(|(_, special)| **special == id).map(|(token, _)| token.clone())
    }

    fn get_vocab(&self) -> HashMap<String, u32> {
        self.specials.clone()
    }

    fn get_vocab_size(&self) -> usize {
        self.specials.len()
    }

    fn save(&self, _: &Path, _: Option<&str>) -> tokenizers::Result<Vec<PathBuf>> {
        Err("a mapped vocabulary is not saved".into())
    }

    fn get_trainer(&self) -> BpeTrainer {
        BpeTrainer::default()
    }
}
