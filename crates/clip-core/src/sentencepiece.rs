//! SentencePiece's normalisation of texts, by the table in a `tokenizer.json` (SentencePiece, `normalizer.cc`).
//!
//! The `tokenizers` crate has one, too, which looks a letter and its marks up as a whole, takes the shortest beginning that it
//! finds, and loses the rest: the second of two marks. SentencePiece takes the longest one and goes on behind it.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

/// The rules: which characters become which others.
pub struct Charsmap {
    /// A double-array trie as darts-clone writes it, of what is replaced.
    trie: Vec<u32>,
    /// What takes its place: texts that end in a zero, one after the other. The trie has the places where they begin.
    normalized: Vec<u8>,
}

/// Matches that SentencePiece looks at in one place, at most.
const MAX_MATCHES: usize = 32;

impl Charsmap {
    /// The table of a normaliser of type `Precompiled`, as JSON. `None` for another normaliser, or where there is no table in it.
    pub fn of(normalizer: &Value) -> Option<Self> {
        let encoded = normalizer["precompiled_charsmap"].as_str().filter(|_| normalizer["type"] == "Precompiled")?;
        let bytes = BASE64_STANDARD.decode(encoded).ok()?;
        let (size, rest) = bytes.split_first_chunk::<4>()?;
        let (trie, normalized) = rest.split_at_checked(u32::from_le_bytes(*size) as usize)?;
        let (units, _) = trie.as_chunks::<4>();
        Some(Self {
            trie: units.iter().map(|unit| u32::from_le_bytes(*unit)).collect(),
            normalized: normalized.to_vec(),
        })
    }

    /// The text, of which the longest match at each place is replaced.
    pub fn normalize(&self, text: &str) -> String {
        let (mut out, mut rest) = (String::with_capacity(text.len()), text);
        while let Some(c) = rest.chars().next() {
            let length = match self.longest(rest.as_bytes()) {
                Some((length, new)) if rest.is_char_boundary(length) => {
                    out.push_str(new);
                    length
                }
                _ => {
                    out.push(c);
                    c.len_utf8()
                }
            };
            rest = &rest[length..];
        }
        out
    }

    /// Bytes of the longest match that `text` begins with, and what takes their place.
    fn longest(&self, text: &[u8]) -> Option<(usize, &str)> {
        let (mut found, mut matches) = (None, 0);
        let mut at = offset(*self.trie.first()?);
        for (i, byte) in text.iter().enumerate() {
            at ^= u32::from(*byte);
            let Some(unit) = self.unit(at).filter(|unit| unit & LABEL == u32::from(*byte)) else { break };
            at ^= offset(unit);
            if unit & HAS_LEAF != 0 {
                found = Some((i + 1, self.unit(at)? & !(1 << 31)));
                matches += 1;
                if matches == MAX_MATCHES {
                    break;
                }
            }
        }
        let (length, place) = found?;
        let new = self.normalized.get(place as usize..)?.split(|byte| *byte == 0).next()?;
        Some((length, std::str::from_utf8(new).ok()?))
    }

    fn unit(&self, at: u32) -> Option<u32> {
        self.trie.get(at as usize).copied()
    }
}

/// A unit's byte; a unit that holds a value has the highest bit, so that it is no byte's.
const LABEL: u32 = 1 << 31 | 0xff;
/// A match ends here.
const HAS_LEAF: u32 = 1 << 8;

/// Where a unit's children are, beside its own place.
fn offset(unit: u32) -> u32 {
    (unit >> 10) << ((unit & (1 << 9)) >> 6)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn golden() -> Charsmap {
        let file = include_str!("../tests/golden/models/tiny-siglip/tokenizer.json");
        let file: Value = serde_json::from_str(file).unwrap();
        let steps = file["normalizer"]["normalizers"].as_array().unwrap();
        steps.iter().find_map(Charsmap::of).unwrap()
    }

    /// By SentencePiece, `SentencePieceNormalizer(rule_name="nmt_nfkc")` without its rules for spaces.
    #[test]
    fn texts_as_sentencepiece_normalizes_them() {
        let charsmap = golden();
        for (text, expected) in [
            ("e\u{301}\u{327}", "é\u{327}"),
            ("a\u{30a}\u{323}", "å\u{323}"),
            ("q\u{307}\u{323}", "q\u{307}\u{323}"),
            ("\u{1100}\u{1161}\u{11a8}", "각"),
            ("ﬁ ｱ ① ㍿", "fi ア 1 株式会社"),
            ("ｶ\u{ff9e}", "ガ"),
            ("a\u{1}b\u{7}\u{200b}c", "ab c"),
            ("plain", "plain"),
            ("", ""),
        ] {
            assert_eq!(charsmap.normalize(text), expected, "{text:?}");
        }
    }

    #[test]
    fn tables_that_make_no_sense() {
        let of = |bytes: &[u8]| {
            Charsmap::of(&json!({"type": "Precompiled", "precompiled_charsmap": BASE64_STANDARD.encode(bytes)}))
        };
        assert!(of(b"").is_none() && of(b"\x08\0\0\0").is_none());
        assert!(Charsmap::of(&json!({"type": "NFC"})).is_none());
        assert!(Charsmap::of(&json!({"type": "Precompiled", "precompiled_charsmap": "?"})).is_none());
        assert_eq!(of(b"\0\0\0\0").unwrap().normalize("é"), "é");
        // offsets, leaves and values that lead anywhere
        for seed in 0..2000u32 {
            let bytes: Vec<u8> =
                (0..400u32).map(|i| (seed.wrapping_mul(2_654_435_761).wrapping_add(i * i * 97) >> 7) as u8).collect();
            let table = [&300u32.to_le_bytes()[..], &bytes].concat();
            of(&table).unwrap().normalize("e\u{301}\u{327} 語\0x");
        }
    }
}
