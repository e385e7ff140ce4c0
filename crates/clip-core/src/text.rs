//! From a text to token ids, with the model's own `tokenizer.json`.

use std::path::Path;

use tokenizers::{DecoderWrapper, ModelWrapper, PostProcessorWrapper, PreTokenizerWrapper, TokenizerImpl};

use crate::cleaning::Cleaned;
use crate::compute::Context;
use crate::error::{Error, Result};
use crate::merges;
use crate::spec::TextCleaning;

/// Words of context beyond which more text cannot matter, per token of context (each word makes a token or more;
/// the factor leaves room for words that a normaliser deletes).
const WORDS_PER_TOKEN: usize = 4;
/// Bytes beside white space beyond which more text cannot matter. The longest token of CLIP's vocabulary has a few
/// dozen bytes, so that a context of 77 tokens ends long before.
const MAX_BYTES: usize = 32 << 10;

pub struct Tokenizer {
    inner: Inner,
    context_length: usize,
    cleaning: TextCleaning,
}

type Whole = TokenizerImpl<ModelWrapper, Cleaned, PreTokenizerWrapper, PostProcessorWrapper, DecoderWrapper>;

enum Inner {
    Whole(Box<Whole>),
    /// The same without strings.
    Compact(Box<merges::Compact>),
}

impl Tokenizer {
    pub fn from_bytes(bytes: &[u8], context_length: usize) -> Result<Self> {
        Self::with_cleaning(bytes, context_length, TextCleaning::None)
    }

    /// A tokenizer that texts go to cleaned.
    pub fn with_cleaning(bytes: &[u8], context_length: usize, cleaning: TextCleaning) -> Result<Self> {
        let bad = |e: tokenizers::Error| Error::corrupted(format!("tokenizer.json: {e}"));
        let mut inner: Whole = serde_json::from_slice(bytes).map_err(|e| bad(e.into()))?;
        inner.with_padding(None);
        inner.with_truncation(None).map_err(bad)?;
        if cleaning != TextCleaning::None {
            let inner_normalizer = inner.get_normalizer().and_then(|cleaned| cleaned.inner.clone());
            inner.with_normalizer(Some(Cleaned { cleaning, inner: inner_normalizer })).map_err(bad)?;
        }
        Ok(Self { inner: Inner::Whole(Box::new(inner)), context_length, cleaning })
    }

    /// The file that [`Tokenizer::write_compact`] wrote.
    pub fn open_compact(path: &Path, context_length: usize) -> Result<Self> {
        let inner = Inner::Compact(Box::new(merges::open(path)?));
        Ok(Self { inner, context_length, cleaning: TextCleaning::None })
    }

    /// Writes a form of `tokenizer.json` that opens at once and is shared by all processes, and returns its size and
    /// SHA-256; `None` for kinds of tokenizers that it cannot hold.
    pub fn write_compact(path: &Path, tokenizer: &[u8]) -> Result<Option<(u64, String)>> {
        merges::write(path, tokenizer)
    }

    /// Token ids with the begin and end tokens that the model has, at most the context's length; over-long texts keep the end token.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let mut ids = self.ids(self.relevant_prefix(text, self.context_length * WORDS_PER_TOKEN), true)?;
        if ids.len() > self.context_length
            && let Some(&end) = ids.last()
        {
            ids.truncate(self.context_length - 1);
            ids.push(end);
        }
        Ok(ids)
    }

    fn ids(&self, text: &str, special: bool) -> Result<Vec<u32>> {
        let encoding = match &self.inner {
            Inner::Whole(tokenizer) => tokenizer.encode_fast(text, special),
            Inner::Compact(tokenizer) => tokenizer.encode_fast(text, special),
        };
        let encoding = encoding.map_err(|e| Error::internal(format!("tokenizer: {e}")))?;
        Ok(encoding.get_ids().to_vec())
    }

    fn relevant_prefix<'a>(&self, text: &'a str, max_words: usize) -> &'a str {
        let deleted: fn(char) -> bool = match self.cleaning {
            TextCleaning::Canonical => |c| c.is_ascii_punctuation(),
            TextCleaning::Lowercase | TextCleaning::None => |_| false,
        };
        relevant_prefix(text, max_words, deleted)
    }

    /// How many tokens the whole text has, begin and end included, before any truncation or padding.
    pub fn count(&self, text: &str, ctx: &Context) -> Result<usize> {
        // Piece by piece, so that a text of any size can be interrupted.
        let (mut count, mut rest) = (self.ids("", true)?.len(), text);
        while !rest.is_empty() {
            let piece = self.relevant_prefix(rest, 1024);
            count += self.ids(piece, false)?.len();
            rest = &rest[piece.len()..];
            ctx.check()?;
        }
        Ok(count)
    }

    pub(crate) fn largest_id(&self) -> u32 {
        let vocabulary = match &self.inner {
            Inner::Whole(tokenizer) => tokenizer.get_vocab(true),
            Inner::Compact(tokenizer) => tokenizer.get_vocab(true),
        };
        vocabulary.into_values().max().unwrap_or(0)
    }

    pub(crate) fn id(&self, token: &str) -> Option<u32> {
        match &self.inner {
            Inner::Whole(tokenizer) => tokenizer.token_to_id(token),
            Inner::Compact(tokenizer) => tokenizer.token_to_id(token),
        }
    }
}

/// A prefix that ends at white space after `max_words` words or [`MAX_BYTES`] bytes of words, or within a word that is
/// itself as long as that.
///
/// White space always separates tokens, so cutting there changes no token before the cut. What is `deleted` before it
/// could become a token does not count.
fn relevant_prefix(text: &str, max_words: usize, deleted: fn(char) -> bool) -> &str {
    let (mut words, mut bytes, mut word_bytes) = (0, 0, 0);
    for (at, c) in text.char_indices() {
        if !c.is_whitespace() {
            if word_bytes >= MAX_BYTES {
                return &text[..at];
            }
            word_bytes += if deleted(c) { 0 } else { c.len_utf8() };
        } else if word_bytes > 0 {
            words += 1;
            bytes += word_bytes;
            if words >= max_words || bytes >= MAX_BYTES {
                return &text[..at];
            }
            word_bytes = 0;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefix_ends_at_white_space() {
        assert_eq!(relevant_prefix("a b  c d", 2, |_| false), "a b");
        assert_eq!(relevant_prefix("a b", 5, |_| false), "a b");
        assert_eq!(relevant_prefix("  ", 1, |_| false), "  ");
        assert_eq!(relevant_prefix("", 1, |_| false), "");
    }

    #[test]
    fn prefix_cuts_endless_words_at_a_character() {
        let text = "ä".repeat(1 << 20);
        let prefix = relevant_prefix(&text, 300, |_| false);
        assert!((MAX_BYTES..MAX_BYTES + 4).contains(&prefix.len()));
    }

    #[test]
    fn prefix_of_long_words_ends_at_white_space() {
        let word = "x".repeat(3000);
        let text = format!("{word} ").repeat(300);
        assert_eq!(relevant_prefix(&text, 300, |_| false), text[..11 * 3001].trim_end());
    }

    #[test]
    fn prefix_skips_what_is_deleted() {
        let text = format!("{} a {} b c", "!".repeat(1 << 20), "? ".repeat(1000));
        assert_eq!(relevant_prefix(&text, 2, |c| c.is_ascii_punctuation()), &text[..text.len() - 2]);
    }

    #[test]
    fn prefix_makes_progress_on_leading_white_space() {
        let text = " a".repeat(10);
        assert_eq!(relevant_prefix(&text, 1, |_| false), " a");
    }
}
