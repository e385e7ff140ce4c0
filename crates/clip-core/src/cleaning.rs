//! What some models do to a text before the steps that `tokenizer.json` lists.
//!
//! transformers' are a normaliser of the `tokenizers` crate: it runs where normalisers run, after special tokens have been found,
//! as in the reference. open_clip's come before all else.

use fix_text::{Fixer, unescape};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use tokenizers::{NormalizedString, Normalizer, NormalizerWrapper};

use crate::error;
use crate::sentencepiece::Charsmap;
use crate::spec::TextCleaning;

/// A normaliser that cleans a text, then runs the tokenizer's own.
pub struct Cleaned {
    /// What comes first.
    pub cleaning: TextCleaning,
    /// The tokenizer's own normaliser, where it has one.
    pub inner: Option<NormalizerWrapper>,
    /// The tokenizer's own steps, where SentencePiece's is among them and the reference is SentencePiece.
    pub sentencepiece: Vec<Step>,
}

/// One step of a normaliser.
pub enum Step {
    /// SentencePiece's.
    Charsmap(Charsmap),
    /// The `tokenizers` crate's.
    Other(NormalizerWrapper),
}

impl Cleaned {
    /// Of transformers' `cleaning` and the tokenizer's own normaliser.
    pub fn new(cleaning: TextCleaning, inner: Option<NormalizerWrapper>) -> Self {
        // transformers runs SentencePiece itself for the tokenizer that deletes punctuation, and for no other.
        let steps = (cleaning == TextCleaning::Canonical).then(|| steps(inner.as_ref()?)).flatten();
        Self { cleaning, inner, sentencepiece: steps.unwrap_or_default() }
    }
}

/// The steps of a normaliser that has SentencePiece's among them, else `None`.
fn steps(normalizer: &NormalizerWrapper) -> Option<Vec<Step>> {
    let json = serde_json::to_value(normalizer).ok()?;
    let all = if json["type"] == "Sequence" { json["normalizers"].as_array()?.clone() } else { vec![json] };
    let step = |json: Value| match Charsmap::of(&json) {
        Some(charsmap) => Some(Step::Charsmap(charsmap)),
        None => serde_json::from_value(json).ok().map(Step::Other),
    };
    let steps = all.into_iter().map(step).collect::<Option<Vec<_>>>()?;
    steps.iter().any(|step| matches!(step, Step::Charsmap(_))).then_some(steps)
}

/// Reads the tokenizer's own normaliser alone: `tokenizer.json` does not know of the cleaning.
impl<'de> Deserialize<'de> for Cleaned {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let inner = NormalizerWrapper::deserialize(deserializer)?;
        Ok(Self::new(TextCleaning::None, Some(inner)))
    }
}

/// Writes the tokenizer's own normaliser alone, as the cleaning has no place in the file.
impl Serialize for Cleaned {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.inner.serialize(serializer)
    }
}

impl Normalizer for Cleaned {
    fn normalize(&self, text: &mut NormalizedString) -> tokenizers::Result<()> {
        match self.cleaning {
            TextCleaning::None => {}
            // done before
            TextCleaning::OpenClipWhitespace | TextCleaning::OpenClipLower | TextCleaning::OpenClipCanonical => {}
            TextCleaning::Lowercase => drop(text.lowercase()),
            TextCleaning::Canonical => replace(text, &canonical(text.get())),
        }
        for step in &self.sentencepiece {
            match step {
                Step::Charsmap(charsmap) => replace(text, &charsmap.normalize(text.get())),
                Step::Other(other) => other.normalize(text)?,
            }
        }
        let inner = self.inner.as_ref().filter(|_| self.sentencepiece.is_empty());
        inner.map_or(Ok(()), |inner| inner.normalize(text))
    }
}

/// open_clip's cleaning of a text that comes in pieces: its `tokenizer.py`, `get_clean_fn`.
pub struct OpenClip {
    cleaning: TextCleaning,
    fixer: Fixer,
    /// Something of the text was not white space.
    began: bool,
}

impl OpenClip {
    /// At the beginning of a text. `None` for a cleaning of another library.
    pub fn new(cleaning: TextCleaning) -> Option<Self> {
        cleaning.is_open_clip().then(|| Self { cleaning, fixer: Fixer::new(), began: false })
    }

    /// The next piece, cleaned; it begins with a space where something came before it.
    pub fn clean(&mut self, piece: &str, check: &dyn Fn() -> error::Result<()>) -> error::Result<String> {
        let mut text = unescape(&unescape(&self.fixer.fix(piece, check)?));
        if self.cleaning == TextCleaning::OpenClipCanonical {
            text = text.chars().map(|c| if c == '_' { ' ' } else { c }).filter(|c| !c.is_ascii_punctuation()).collect();
        }
        if self.cleaning != TextCleaning::OpenClipWhitespace {
            text = text.to_lowercase();
        }
        let mut out = String::with_capacity(text.len());
        for word in text.split(is_python_space).filter(|word| !word.is_empty()) {
            if self.began {
                out.push(' ');
            }
            out.push_str(word);
            self.began = true;
        }
        Ok(if self.cleaning == TextCleaning::OpenClipLower { special_tokens(&out) } else { out })
    }
}

/// The tokens that begin and end a text, in a `tokenizer.json` of CLIP's vocabulary and in open_clip's own tokenizer.
const SPECIAL: [(&str, &str); 2] = [("<|startoftext|>", "<start_of_text>"), ("<|endoftext|>", "<end_of_text>")];

/// A text that spells special tokens as open_clip does, spelt as `tokenizer.json` does, and the other way round: in either, the other
/// spelling is plain text.
fn special_tokens(text: &str) -> String {
    let mut out = text.to_owned();
    for (ours, _) in SPECIAL {
        // Between punctuation and letters words end anyway.
        let inner = ours.trim_matches(['<', '|', '>']);
        out = out.replace(ours, &format!("<| {inner} |>"));
    }
    let (mut joined, mut rest) = (String::with_capacity(out.len()), out.as_str());
    let first =
        |text: &str| SPECIAL.iter().filter_map(|(ours, theirs)| Some((text.find(theirs)?, *ours, *theirs))).min();
    while let Some((at, ours, theirs)) = first(rest) {
        joined.push_str(&rest[..at]);
        rest = &rest[at + theirs.len()..];
        // Behind punctuation the first character belongs to that.
        let before = joined.chars().next_back().is_none_or(|c| c.is_alphanumeric() || c == ' ');
        let begins = before || SPECIAL.iter().any(|(ours, _)| joined.ends_with(ours));
        joined.push_str(if begins { ours } else { theirs });
    }
    joined.push_str(rest);
    joined
}

/// What Python's `str.split` splits at.
fn is_python_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}')
}

/// transformers, `SiglipTokenizer.canonicalize_text`: lower case, no ASCII punctuation, single spaces, none at the ends.
fn canonical(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let words = text.split(is_space);
    // Word by word is the same as at once: the one rule that looks around, for a final sigma, stops at white space.
    for word in words {
        let word = word.to_lowercase();
        let mut rest = word.chars().filter(|c| !c.is_ascii_punctuation()).peekable();
        if rest.peek().is_some() {
            if !out.is_empty() {
                out.push(' ');
            }
            out.extend(rest);
        }
    }
    out
}

/// Python's `\s`, and the sign that SentencePiece writes spaces with.
pub fn is_space(c: char) -> bool {
    is_python_space(c) || c == '\u{2581}'
}

/// ASCII punctuation that the rule for a final sigma looks past (Unicode's Case_Ignorable).
pub fn is_case_ignorable_punctuation(c: char) -> bool {
    matches!(c, '\'' | '.' | ':' | '^' | '`')
}

/// Puts other characters in the place of those of `text`, which must be as it came. Where they came from is of no
/// interest here, only that they are within the text.
fn replace(text: &mut NormalizedString, new: &str) {
    let (old, len) = (text.get().chars().count(), new.chars().count());
    if len == 0 || old == 0 {
        text.clear();
        return;
    }
    let removed = old.saturating_sub(len) as isize;
    let changes = new.chars().enumerate().map(|(i, c)| {
        let change = if i >= old {
            1
        } else if i + 1 == len {
            -removed
        } else {
            0
        };
        (c, change)
    });
    text.transform(changes.collect::<Vec<_>>(), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_texts() {
        for (text, expected) in [
            ("A Photo, of a  CAT!", "a photo of a cat"),
            ("snake_case-name", "snakecasename"),
            (" ... a ? b\u{1c}c\u{a0}d\u{2581}e\n", "a b c d e"),
            ("?!", ""),
            ("ΟΔΥΣΣΕΥΣ, Σ!", "οδυσσευς σ"),
            ("İ", "i\u{307}"),
        ] {
            assert_eq!(canonical(text), expected);
            let mut normalized = NormalizedString::from(text);
            replace(&mut normalized, expected);
            assert_eq!(normalized.get(), expected);
        }
    }

    fn open_clip(cleaning: TextCleaning, pieces: &[&str]) -> String {
        let mut cleaner = OpenClip::new(cleaning).unwrap();
        pieces.iter().map(|piece| cleaner.clean(piece, &|| Ok(())).unwrap()).collect()
    }

    #[test]
    fn texts_as_open_clip_cleans_them() {
        use TextCleaning::*;
        for (text, whitespace, lower, canonical) in [
            ("It\u{2019}s  a CAFÃ©\u{3000}&amp;amp; ", "It's a CAFé &", "it's a café &", "its a café"),
            ("snake_case-name", "snake_case-name", "snake_case-name", "snake casename"),
            ("ΟΔΟΣ. İ", "ΟΔΟΣ. İ", "οδος. i\u{307}", "οδος i\u{307}"),
            ("a\u{a0}b\u{1c}c\u{85}d &nbsp; e", "a bc…d e", "a bc…d e", "a bc…d e"),
            ("\u{1}", "", "", ""),
        ] {
            assert_eq!(open_clip(OpenClipWhitespace, &[text]), whitespace);
            assert_eq!(open_clip(OpenClipLower, &[text]), lower);
            assert_eq!(open_clip(OpenClipCanonical, &[text]), canonical);
        }
        assert_eq!(open_clip(OpenClipLower, &[" A b", " &lt;", " ", "\n<c &lt;", " &gt;\n"]), "a b < <c < >");
        assert_eq!(open_clip(OpenClipLower, &["<|endoftext|>!"]), "<| endoftext |>!");
        assert_eq!(open_clip(OpenClipLower, &["a <END_of_text>", "<end_of_text>"]), "a <|endoftext|> <|endoftext|>");
        assert_eq!(open_clip(OpenClipLower, &["<end_of_text><start_of_text>"]), "<|endoftext|><|startoftext|>");
        assert_eq!(open_clip(OpenClipLower, &["!<end_of_text>"]), "!<end_of_text>");
        assert_eq!(open_clip(OpenClipCanonical, &["<|endoftext|>"]), "endoftext");
        assert!(OpenClip::new(Lowercase).is_none() && OpenClip::new(Canonical).is_none());
    }

    #[test]
    fn longer_and_shorter_texts_take_the_place() {
        for (from, to) in [("ab", "äöü€"), ("äöü€", "x"), ("x", ""), ("", ""), ("same", "size")] {
            let mut text = NormalizedString::from(from);
            replace(&mut text, to);
            assert_eq!(text.get(), to);
        }
    }
}
