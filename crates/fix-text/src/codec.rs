//! Bytes of a text in another encoding, and what they are in UTF-8 or its variants.

use crate::encodings::Encoding;

/// What ftfy calls byte 0x1a in the encodings that it is sloppy about: a character that was lost.
const SUBSTITUTE: u8 = 0x1a;

impl Encoding {
    /// The text's bytes, where all of it can be encoded.
    pub fn encode(&self, text: &str) -> Option<Vec<u8>> {
        text.chars().map(|c| self.byte(c)).collect()
    }

    /// Is it one of those in which each byte means something?
    pub fn is_sloppy(&self) -> bool {
        self.name.starts_with("sloppy")
    }

    /// The text of bytes from 0x80 on, each of which means something.
    pub fn character(&self, byte: u8) -> Option<char> {
        self.above.iter().find_map(|(c, known)| (*known == byte).then_some(*c))
    }

    fn byte(&self, c: char) -> Option<u8> {
        match u8::try_from(c) {
            Ok(byte) if byte < 0x80 && byte != SUBSTITUTE => Some(byte),
            _ => self.above.binary_search_by(|(known, _)| known.cmp(&c)).ok().map(|at| self.above[at].1),
        }
    }
}

/// The text of bytes in UTF-8, with `variants` in CESU-8 and in Java's, too: pairs of surrogates, and a zero of two bytes.
pub fn decode(bytes: &[u8], variants: bool) -> Option<String> {
    let (mut out, mut rest) = (String::with_capacity(bytes.len()), bytes);
    loop {
        let valid = match std::str::from_utf8(rest) {
            Ok(text) => {
                out.push_str(text);
                return Some(out);
            }
            Err(e) => e.valid_up_to(),
        };
        let (text, after) = rest.split_at(valid);
        out.push_str(std::str::from_utf8(text).ok()?);
        let (c, length) = if variants { variant(after)? } else { return None };
        out.push(c);
        rest = &after[length..];
    }
}

/// A character of the variants at the beginning of `bytes`, and its bytes.
fn variant(bytes: &[u8]) -> Option<(char, usize)> {
    match *bytes {
        [0xc0, 0x80, ..] => Some(('\0', 2)),
        [0xed, b @ 0xa0..=0xaf, c @ 0x80..=0xbf, 0xed, e @ 0xb0..=0xbf, f @ 0x80..=0xbf, ..] => {
            let bits = |byte: u8, mask: u8, shift: u32| u32::from(byte & mask) << shift;
            let number = bits(b, 0x0f, 16) + bits(c, 0x3f, 10) + bits(e, 0x0f, 6) + bits(f, 0x3f, 0) + 0x1_0000;
            Some((char::from_u32(number)?, 6))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encodings::ENCODINGS;

    #[test]
    fn tables_are_sorted_and_whole() {
        for encoding in &ENCODINGS {
            assert!(encoding.above.windows(2).all(|two| two[0].0 < two[1].0), "{}", encoding.name);
            assert!((0x80..=0xff).all(|byte| encoding.character(byte).is_some()), "{}", encoding.name);
        }
    }

    #[test]
    fn there_and_back() {
        let [latin, windows, ..] = &ENCODINGS;
        assert_eq!(latin.encode("aé\u{1a}"), Some(vec![b'a', 0xe9, 0x1a]));
        assert_eq!(latin.encode("€"), None);
        assert_eq!(windows.encode("€\u{fffd}\u{81}"), Some(vec![0x80, 0x1a, 0x81]));
        assert_eq!(windows.encode("\u{1a}"), None);
        assert!(windows.is_sloppy() && !latin.is_sloppy());
    }

    #[test]
    fn variants_of_utf8() {
        assert_eq!(decode(b"a\xc3\xa9", false).as_deref(), Some("aé"));
        assert_eq!(decode(b"a\xc3", false), None);
        let cesu = b"\xed\xa0\xbd\xed\xb8\x8d \xc0\x80\xed\x95\x9c";
        assert_eq!(decode(cesu, false), None);
        assert_eq!(decode(cesu, true).as_deref(), Some("😍 \0한"));
        for broken in [&b"\xed\xa0\xbd"[..], b"\xed\xa0\xbd\xed\xa0\xbd", b"\xc0", b"\xc0\x81", b"\xed"] {
            assert_eq!(decode(broken, true), None, "{broken:x?}");
        }
    }
}
