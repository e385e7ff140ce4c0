//! From a text to token ids, with the model's own `tokenizer.json`.

use std::iter::once;
use std::path::Path;

use serde::Serialize;
use serde_json::Value;
use tokenizers::{
    Decoder, DecoderWrapper, Model, ModelWrapper, Normalizer, NormalizerWrapper, PostProcessor, PostProcessorWrapper,
    PreTokenizer, PreTokenizerWrapper, TokenizerImpl,
};

use crate::cleaning::{Cleaned, OpenClip};
use crate::compute::Context;
use crate::error::{Error, Result};
use crate::guarded::guarded;
use crate::language::Languages;
use crate::merges;
pub use crate::relevant::Check;
use crate::relevant::{Blanks, Reader, Rules};
use crate::spec::TextCleaning;
use crate::tokenizer_json;
use crate::watched::Watched;

/// Words of context beyond which more text cannot matter, per token of context (each word makes a token or more;
/// the factor leaves room for words that a normaliser deletes).
const WORDS_PER_TOKEN: usize = 4;
/// Bytes that go to the tokenizer at most, however few tokens they make: some 0.2 s, with a look at whether to stop after
/// every piece.
pub(crate) const MAX_TOKENIZED: usize = 512 << 10;

/// A model's tokenizer: its `tokenizer.json`, run by the `tokenizers` crate as transformers runs it.
///
/// Texts may be of any length. What cannot matter is left out before the tokenizer sees it.
///
/// ```no_run
/// use clip_core::text::Tokenizer;
///
/// # fn main() -> clip_core::Result<()> {
/// let json = std::fs::read("tokenizer.json").expect("a readable file");
/// let tokenizer = Tokenizer::from_bytes(&json, 77)?;
/// // begin, "a", "cat", end
/// assert_eq!(tokenizer.encode("a cat")?, [49406, 320, 2368, 49407]);
/// # Ok(())
/// # }
/// ```
pub struct Tokenizer {
    inner: Inner,
    context_length: usize,
    cleaning: TextCleaning,
    rules: Rules,
    languages: Languages,
    /// Of the file where that is mapped.
    watched: Option<Watched>,
}

type Whole = TokenizerImpl<ModelWrapper, Cleaned, PreTokenizerWrapper, PostProcessorWrapper, DecoderWrapper>;

/// How the vocabulary is held.
enum Inner {
    /// As `tokenizer.json` has it, in hash maps.
    Whole(Box<Whole>),
    /// As two sorted tables in a mapped file.
    Compact(Box<merges::Compact>),
}

impl Tokenizer {
    /// A tokenizer of the bytes of a `tokenizer.json`. `context_length`: tokens of a text at most, begin and end
    /// included.
    ///
    /// The file's own padding and truncation are left out.
    ///
    /// # Errors
    ///
    /// `Corrupted` where the bytes are no such file, `Unsupported` for a BPE with a `continuing_subword_prefix`.
    pub fn from_bytes(bytes: &[u8], context_length: usize) -> Result<Self> {
        Self::with_cleaning(bytes, context_length, TextCleaning::None)
    }

    /// A tokenizer whose texts are cleaned first, as SigLIP's and all of open_clip's are.
    ///
    /// Fails as [`Tokenizer::from_bytes`] does.
    pub fn with_cleaning(bytes: &[u8], context_length: usize, cleaning: TextCleaning) -> Result<Self> {
        let bad = |e: tokenizers::Error| Error::corrupted(format!("tokenizer.json: {e}"));
        tokenizer_json::check(bytes)?;
        let mut inner: Whole = tokenizer_json::tried("tokenizer.json", || Ok(serde_json::from_slice(bytes)?))?;
        inner.with_padding(None);
        inner.with_truncation(None).map_err(bad)?;
        if cleaning != TextCleaning::None && !cleaning.is_open_clip() {
            let inner_normalizer = inner.get_normalizer().and_then(|cleaned| cleaned.inner.clone());
            inner.with_normalizer(Some(Cleaned::new(cleaning, inner_normalizer))).map_err(bad)?;
        }
        if cleaning == TextCleaning::OpenClipLower {
            inner.with_normalizer(None::<Cleaned>).map_err(bad)?;
        }
        let rules = rules(&inner, cleaning);
        let languages = Languages::default();
        Ok(Self { inner: Inner::Whole(Box::new(inner)), context_length, cleaning, rules, languages, watched: None })
    }

    /// The tokenizer of a model whose texts begin with the token of their language: its special tokens tell which there are.
    pub fn with_languages(mut self) -> Self {
        let added = match &self.inner {
            Inner::Whole(tokenizer) => tokenizer.get_added_vocabulary(),
            Inner::Compact(tokenizer) => tokenizer.get_added_vocabulary(),
        };
        let special = added.get_added_tokens_decoder().iter().filter(|(_, token)| token.special);
        self.languages = Languages::among(special.map(|(id, token)| (&*token.content, *id)));
        self
    }

    /// Languages that texts can be in, and their tokens. There are none where texts begin alike.
    pub fn languages(&self) -> &Languages {
        &self.languages
    }

    /// Maps the file that [`Tokenizer::write_compact`] wrote. It gives the ids that the whole `tokenizer.json` gives.
    ///
    /// # Errors
    ///
    /// `MissingFile` where the file cannot be read, `Corrupted` where it is no such file. `Internal` for a cleaning that is a step
    /// of the tokenizer's: [`Tokenizer::holds_compact`] tells.
    pub fn open_compact(path: &Path, context_length: usize, cleaning: TextCleaning) -> Result<Self> {
        if !Self::holds_compact(cleaning) {
            return Err(Error::internal(format!("a compact tokenizer with cleaning {cleaning:?}")));
        }
        let (mut inner, watched) = merges::open(path)?;
        if cleaning == TextCleaning::OpenClipLower {
            let bad = |e: tokenizers::Error| Error::corrupted(format!("file {}: {e}", path.display()));
            inner.with_normalizer(None::<NormalizerWrapper>).map_err(bad)?;
        }
        let rules = rules(&inner, cleaning);
        let languages = Languages::default();
        let inner = Inner::Compact(Box::new(inner));
        Ok(Self { inner, context_length, cleaning, rules, languages, watched: Some(watched) })
    }

    /// Can a compact tokenizer do the cleaning?
    pub fn holds_compact(cleaning: TextCleaning) -> bool {
        cleaning == TextCleaning::None || cleaning.is_open_clip()
    }

    /// Writes a form of `tokenizer.json` that opens at once and is shared by all processes.
    ///
    /// Returns its size in bytes and its SHA-256. `None`, and no file, for kinds of tokenizers that it cannot hold.
    ///
    /// # Errors
    ///
    /// `InvalidModel` where `tokenizer` is no JSON, `Internal` where the file cannot be written.
    pub fn write_compact(path: &Path, tokenizer: &[u8]) -> Result<Option<(u64, String)>> {
        merges::write(path, tokenizer)
    }

    /// Token ids with the begin and end tokens that the model has, at most the context's length. Over-long texts keep
    /// the end token.
    ///
    /// Those of the whole text, whatever its length, with two exceptions. A word of more than 16 KiB is cut there. Of
    /// a text whose first 512 KiB make less than the context's tokens, more is not seen; runs of white space do not
    /// count.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        self.gather(once(text), None, &|| Ok(()))
    }

    /// Token ids as [`Tokenizer::encode`] gives them, for a caller who may want to stop: then it fails with
    /// `Cancelled`.
    pub fn encode_with(&self, text: &str, ctx: &Context) -> Result<Vec<u32>> {
        self.gather(once(text), None, &|| ctx.check())
    }

    /// The same with the token of a language in the first place; `None`: that which the model's files name.
    ///
    /// Where the model has no languages the text begins as all do. Fails with `InvalidArgument` for one that it does not have.
    pub fn encode_in(&self, text: &str, language: Option<&str>, ctx: &Context) -> Result<Vec<u32>> {
        let language = language.map_or(Ok(None), |language| self.languages.token(language))?;
        let mut ids = self.encode_with(text, ctx)?;
        if let (Some(language), Some(first)) = (language, ids.first_mut()) {
            *first = language;
        }
        Ok(ids)
    }

    /// A text that gives the same tokens as `parts`, one after the other, and is as long as those need it to be.
    ///
    /// It fails with `Cancelled` where the caller stops.
    pub fn relevant<'a>(&self, parts: impl Iterator<Item = &'a str>, ctx: &Context) -> Result<String> {
        let mut text = String::new();
        self.gather(parts, Some(&mut text), &|| ctx.check())?;
        Ok(text)
    }

    /// A part of a text, runs of what makes no token shortened, and cut where it has become so many bytes or more.
    pub(crate) fn shortened(&self, part: &str, most: usize, ctx: &Context) -> Result<String> {
        let (mut text, mut reader) = (String::new(), Reader::new(once(part)));
        while text.len() < most
            && let Some(piece) = reader.piece(self.rules, usize::MAX, &|| ctx.check())?
        {
            text.push_str(&piece);
        }
        Ok(text)
    }

    /// The ids of `parts` up to the context's length. Appends to `read` what of them was tokenized.
    fn gather<'a>(
        &self,
        parts: impl Iterator<Item = &'a str>,
        mut read: Option<&mut String>,
        check: Check,
    ) -> Result<Vec<u32>> {
        check()?;
        let (mut reader, mut cleaner) = (Reader::new(parts), OpenClip::new(self.cleaning));
        let mut next = |tokenized: &mut usize| -> Result<Option<String>> {
            let piece = reader.piece(self.rules, self.context_length * WORDS_PER_TOKEN, check)?;
            if let (Some(piece), Some(read)) = (&piece, &mut read) {
                read.push_str(piece);
            }
            *tokenized += piece.as_ref().map_or(0, String::len);
            match (&mut cleaner, piece) {
                (Some(cleaner), Some(piece)) => cleaner.clean(&piece, check).map(Some),
                (_, piece) => Ok(piece),
            }
        };
        let mut tokenized = 0;
        let first = next(&mut tokenized)?.unwrap_or_default();
        let mut ids = self.ids(&first, true)?;
        // Nearly always one piece is all. Where it is not, tokens go in between those and the end.
        let mut end = None;
        while ids.len() < self.context_length && tokenized < MAX_TOKENIZED {
            let Some(piece) = next(&mut tokenized)? else { break };
            check()?;
            let at = match end {
                Some(end) => end,
                None => self.end_of(&first, &ids)?,
            };
            let more = self.ids(&piece, false)?;
            end = Some(at + more.len());
            ids.splice(at..at, more);
        }
        if ids.len() > self.context_length
            && let Some(&end) = ids.last()
        {
            ids.truncate(self.context_length - 1);
            ids.push(end);
        }
        Ok(ids)
    }

    /// Where in its tokens a text's own ones end.
    fn end_of(&self, text: &str, ids: &[u32]) -> Result<usize> {
        let own = self.ids(text, false)?;
        let begin = (0..=ids.len().saturating_sub(own.len())).find(|at| ids[*at..].starts_with(&own));
        let begin = begin
            .ok_or_else(|| Error::internal("tokenizer: a text's tokens are not among those with begin and end"))?;
        Ok(begin + own.len())
    }

    /// What the library gives for a text, with or without begin and end.
    fn ids(&self, text: &str, special: bool) -> Result<Vec<u32>> {
        let encoding = guarded(|| match &self.inner {
            Inner::Whole(tokenizer) => tokenizer.encode_fast(text, special),
            Inner::Compact(tokenizer) => tokenizer.encode_fast(text, special),
        });
        let encoding = encoding.ok_or_else(|| Error::internal("tokenizer: the library fails at the text"))?;
        let encoding = encoding.map_err(|e| Error::internal(format!("tokenizer: {e}")))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// How many tokens the whole text has, begin and end included, before any truncation or padding.
    ///
    /// Words of more than 16 KiB are counted in parts of that size, and so are runs of white space where that makes
    /// tokens. All else is exact.
    ///
    /// It fails with `Cancelled` where the caller stops.
    pub fn count(&self, text: &str, ctx: &Context) -> Result<usize> {
        let (mut count, mut reader) = (self.ids("", true)?.len(), Reader::new(once(text)));
        let mut cleaner = OpenClip::new(self.cleaning);
        while let Some(mut piece) = reader.piece(self.rules, 1024, &|| ctx.check())? {
            if let Some(cleaner) = &mut cleaner {
                piece = cleaner.clean(&piece, &|| ctx.check())?;
            }
            count += self.ids(&piece, false)?.len();
            ctx.check()?;
        }
        Ok(count)
    }

    /// What tells whether the file stays as it is, where it is mapped.
    pub(crate) fn watched(&self) -> Option<&Watched> {
        self.watched.as_ref()
    }

    /// The highest id of the vocabulary, which the token table has to have a row for.
    pub(crate) fn largest_id(&self) -> u32 {
        let vocabulary = match &self.inner {
            Inner::Whole(tokenizer) => tokenizer.get_vocab(true),
            Inner::Compact(tokenizer) => tokenizer.get_vocab(true),
        };
        vocabulary.into_values().max().unwrap_or(0)
    }

    /// The id of a token as the vocabulary spells it. A compact tokenizer knows its special tokens alone.
    pub(crate) fn id(&self, token: &str) -> Option<u32> {
        match &self.inner {
            Inner::Whole(tokenizer) => tokenizer.token_to_id(token),
            Inner::Compact(tokenizer) => tokenizer.token_to_id(token),
        }
    }
}

/// Bytes whose encoding is checked between two looks at whether the caller wants to stop.
const CHECKED_AT_ONCE: usize = 4 << 20;

/// The bytes as text, without a copy. `None` where they are not UTF-8. `check` is asked every 4 MiB, and its error
/// ends the work.
#[allow(unsafe_code)]
pub fn utf8<'a>(bytes: &'a [u8], check: Check) -> Result<Option<&'a str>> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let piece = &rest[..rest.len().min(CHECKED_AT_ONCE)];
        let valid = match std::str::from_utf8(piece) {
            Ok(_) => piece.len(),
            // A character that goes on in the next piece.
            Err(e) if e.error_len().is_none() && piece.len() < rest.len() => e.valid_up_to(),
            Err(_) => return Ok(None),
        };
        rest = &rest[valid..];
        if !rest.is_empty() {
            check()?;
        }
    }
    // SAFETY: the pieces follow each other, each begins and ends between two characters, and each was found valid.
    Ok(Some(unsafe { std::str::from_utf8_unchecked(bytes) }))
}

/// What the tokenizer makes of blanks. Where its steps do not tell, they may be tokens.
fn rules<M: Model, N: Normalizer + Serialize, PT: PreTokenizer + Serialize, PP: PostProcessor, D: Decoder>(
    tokenizer: &TokenizerImpl<M, N, PT, PP, D>,
    cleaning: TextCleaning,
) -> Rules {
    let mut rules = Rules { blanks: Blanks::Tokens, longest_special: 0 };
    let blanks = match cleaning {
        TextCleaning::Canonical => Blanks::Canonical,
        TextCleaning::OpenClipWhitespace | TextCleaning::OpenClipLower | TextCleaning::OpenClipCanonical => {
            Blanks::Lines
        }
        TextCleaning::None if separate(tokenizer.get_normalizer(), tokenizer.get_pre_tokenizer()) => Blanks::Separate,
        TextCleaning::Lowercase | TextCleaning::None => Blanks::Tokens,
    };
    let with = Rules { blanks, ..rules };
    let mut of_blanks = false;
    for token in tokenizer.get_added_vocabulary().get_added_tokens_decoder().values() {
        rules.longest_special = rules.longest_special.max(token.content.chars().count());
        of_blanks |= token.content.chars().all(|c| with.is_skipped(c));
    }
    // A special token of blanks, or one that nobody writes: then nothing is left out.
    if !of_blanks && rules.longest_special <= MAX_SPECIAL {
        rules.blanks = blanks;
    }
    rules
}

/// Characters of a special token that runs can be shortened beside. CLIP's longest, `<|startoftext|>`, has 15.
const MAX_SPECIAL: usize = 64;

/// Does a run of white space separate, whatever its length? It does where the normaliser makes one blank of it, after steps that
/// keep apart what is white space and what is not, and where the text is split at white space, which is dropped.
fn separate<N: Serialize, PT: Serialize>(normalizer: Option<&N>, pre_tokenizer: Option<&PT>) -> bool {
    let steps = |value: Value, list: &str| match value {
        Value::Null => Vec::new(),
        value if value["type"] == "Sequence" => value[list].as_array().cloned().unwrap_or_default(),
        value => vec![value],
    };
    let json = |value: serde_json::Result<Value>| value.unwrap_or_default();
    for step in steps(json(serde_json::to_value(normalizer)), "normalizers") {
        match step["type"].as_str() {
            Some("NFC" | "NFD" | "NFKC" | "NFKD" | "Lowercase") => {}
            Some("Replace") => {
                return step["pattern"]["Regex"] == "\\s+" && step["content"] == " ";
            }
            _ => return false,
        }
    }
    let first =
        steps(json(serde_json::to_value(pre_tokenizer)), "pretokenizers").into_iter().next().unwrap_or_default();
    matches!(first["type"].as_str(), Some("WhitespaceSplit" | "Whitespace" | "BertPreTokenizer"))
}

#[cfg(test)]
mod tests;
