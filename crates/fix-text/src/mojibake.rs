//! Texts that were decoded in another encoding than they had: `ftfy.fix_encoding`.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::bytes::Regex as BytesRegex;
use regex::{Captures, Regex};

use crate::codec::decode;
use crate::encodings::{ENCODINGS, Encoding};
use crate::patterns::{BADNESS, UTF8_CONTINUATION, UTF8_DETECTOR};

/// How a pattern of the program itself fails: its test would tell.
const VALID: &str = "a valid pattern";

static BAD: LazyLock<Regex> = LazyLock::new(|| Regex::new(BADNESS).expect(VALID));
static DETECTOR: LazyLock<Regex> = LazyLock::new(|| Regex::new(UTF8_DETECTOR).expect(VALID));
static CONTINUATION: LazyLock<Regex> = LazyLock::new(|| Regex::new(UTF8_CONTINUATION).expect(VALID));

/// `ALTERED_UTF8_RE`: UTF-8 in which a space stands for byte 0xa0.
static ALTERED: LazyLock<BytesRegex> = LazyLock::new(|| {
    let pattern = r"(?-u)[\xc2\xc3\xc5\xce\xd0\xd9][ ]
        |[\xe2\xe3][ ][\x80-\x84\x86-\x9f\xa1-\xbf]
        |[\xe0-\xe3][\x80-\x84\x86-\x9f\xa1-\xbf][ ]
        |[\xf0][ ][\x80-\xbf][\x80-\xbf]
        |[\xf0][\x80-\xbf][ ][\x80-\xbf]
        |[\xf0][\x80-\xbf][\x80-\xbf][ ]";
    BytesRegex::new(&unspaced(pattern)).expect(VALID)
});

/// `LOSSY_UTF8_RE`: UTF-8 some of whose bytes are lost, for each of which stands 0x1a or a question mark.
static LOSSY: LazyLock<BytesRegex> = LazyLock::new(|| {
    let pattern = r"(?-u)[\xc2-\xdf][\x1a]
        |[\xc2-\xc3][?]
        |\xed[\xa0-\xaf][\x1a?]\xed[\xb0-\xbf][\x1a?\x80-\xbf]
        |\xed[\xa0-\xaf][\x1a?\x80-\xbf]\xed[\xb0-\xbf][\x1a?]
        |[\xe0-\xef][\x1a?][\x1a\x80-\xbf]
        |[\xe0-\xef][\x1a\x80-\xbf][\x1a?]
        |[\xf0-\xf4][\x1a?][\x1a\x80-\xbf][\x1a\x80-\xbf]
        |[\xf0-\xf4][\x1a\x80-\xbf][\x1a?][\x1a\x80-\xbf]
        |[\xf0-\xf4][\x1a\x80-\xbf][\x1a\x80-\xbf][\x1a?]
        |\x1a";
    BytesRegex::new(&unspaced(pattern)).expect(VALID)
});

/// A pattern of several lines in one. Spaces within its classes stay.
fn unspaced(pattern: &str) -> String {
    pattern.lines().map(str::trim_start).collect()
}

/// `ftfy.fix_encoding(text)`: one step after the other, as long as one changes the text.
pub fn fix_encoding<E>(mut text: String, check: &dyn Fn() -> Result<(), E>) -> Result<String, E> {
    loop {
        check()?;
        match step(&text, check)? {
            Some(fixed) if fixed != text => text = fixed,
            _ => return Ok(text),
        }
    }
}

/// `ftfy._fix_encoding_one_step_and_explain`. `None` where nothing is to be done.
fn step<E>(text: &str, check: &dyn Fn() -> Result<(), E>) -> Result<Option<String>, E> {
    if text.is_ascii() || !BAD.is_match(text) {
        return Ok(None);
    }
    for encoding in &ENCODINGS {
        if let Some(fixed) = encoding.encode(text).and_then(|bytes| decoded(encoding, bytes)) {
            return Ok(Some(fixed));
        }
    }
    if let Some(fixed) = decode_inconsistent(text, check)?.filter(|fixed| fixed != text) {
        return Ok(Some(fixed));
    }
    // ftfy asks whether it is Latin-1 that was meant to be Windows-1252: that differs in these alone.
    Ok(text.chars().any(is_c1).then(|| fix_c1_controls(text)))
}

/// The bytes of a text in `encoding` as what they probably were: UTF-8.
fn decoded(encoding: &Encoding, mut bytes: Vec<u8>) -> Option<String> {
    // An en dash and a space look like it in MacRoman.
    if encoding.name != "macroman" && ALTERED.is_match(&bytes) {
        bytes = restore_byte_a0(&bytes);
    }
    if encoding.is_sloppy() {
        bytes = LOSSY.replace_all(&bytes, "\u{fffd}".as_bytes()).into_owned();
    }
    let variants = bytes.iter().any(|byte| matches!(byte, 0xed | 0xc0));
    decode(&bytes, variants)
}

/// `ftfy.fixes.restore_byte_a0`: a space that was byte 0xa0.
fn restore_byte_a0(bytes: &[u8]) -> Vec<u8> {
    // An "à" that is a word, and whose space was one with the space after it.
    let mut restored = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = rest.windows(2).position(|two| two == [0xc3, b' ']) {
        let (before, after) = rest.split_at(at + 2);
        let goes_on = [&b" "[..], b"quele", b"quela", b"quilo", b"s "].iter().any(|word| after.starts_with(word));
        restored.extend_from_slice(&before[..at]);
        restored.extend_from_slice(if goes_on { b"\xc3 " } else { b"\xc3\xa0 " });
        rest = after;
    }
    restored.extend_from_slice(rest);
    let spaced = |found: &regex::bytes::Captures| {
        found[0].iter().map(|byte| if *byte == b' ' { 0xa0 } else { *byte }).collect::<Vec<u8>>()
    };
    ALTERED.replace_all(&restored, spaced).into_owned()
}

/// `ftfy.fixes.decode_inconsistent_utf8`: each part that looks like UTF-8 by itself. `None` where no part does.
fn decode_inconsistent<E>(text: &str, check: &dyn Fn() -> Result<(), E>) -> Result<Option<String>, E> {
    let (mut out, mut copied, mut from) = (String::new(), 0, 0);
    let mut any = false;
    while let Some(found) = DETECTOR.find_at(text, from) {
        let before = text[..found.start()].chars().next_back();
        if before.is_some_and(|c| CONTINUATION.is_match(c.encode_utf8(&mut [0; 4]))) {
            // Not behind such a character; perhaps from the next one on.
            from = found.start() + text[found.start()..].chars().next().map_or(1, char::len_utf8);
            continue;
        }
        any = true;
        let part = found.as_str();
        // A part that is all of the text is not looked at again.
        if part.len() < text.len() && BAD.is_match(part) {
            out.push_str(&text[copied..found.start()]);
            out.push_str(&fix_encoding(part.to_owned(), check)?);
            copied = found.end();
        }
        from = found.end();
    }
    out.push_str(&text[copied..]);
    Ok(any.then_some(out))
}

/// `ftfy.fixes.fix_c1_controls`: as web browsers take them.
pub fn fix_c1_controls(text: &str) -> String {
    text.chars().map(|c| if is_c1(c) { windows(c) } else { c }).collect()
}

fn is_c1(c: char) -> bool {
    matches!(c, '\u{80}'..='\u{9f}')
}

/// The character of Windows-1252 in the place of a control.
fn windows(c: char) -> char {
    let [_, windows, ..] = &ENCODINGS;
    u8::try_from(c).ok().and_then(|byte| windows.character(byte)).unwrap_or(c)
}

/// Replaces what `pattern` finds by nothing.
pub fn without<'a>(pattern: &Regex, text: &'a str) -> Cow<'a, str> {
    pattern.replace_all(text, |_: &Captures| "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(text: &str) -> String {
        fix_encoding(text.to_owned(), &|| Ok::<(), ()>(())).unwrap()
    }

    #[test]
    fn texts_of_ftfys_documentation() {
        for (text, expected) in [
            ("schÃ¶n", "schön"),
            ("voilÃ le travail", "voilà le travail"),
            ("Ã la mode", "à la mode"),
            ("Ã quele", "àquele"),
            ("â€œ like this â€\u{fffd}", "“ like this \u{fffd}"),
            ("&ATILDE;&SUP3;", "&ATILDE;&SUP3;"),
            ("РєРѕС€РєР° Рё СЃРѕР±Р°РєР°", "кошка и собака"),
            ("ÃƒÂ©", "é"),
        ] {
            assert_eq!(fixed(text), expected, "{text:?}");
        }
    }

    #[test]
    fn what_is_right_stays() {
        for text in
            ["naïve café", "Ærøskøbing", "猫の写真", "кошка", "ΟΔΥΣΣΕΥΣ", "🐈‍⬛", "¿qué?", "5 × 3 = 15", "Å", "ÃO"]
        {
            assert_eq!(fixed(text), text);
        }
    }

    #[test]
    fn parts_in_another_encoding() {
        assert_eq!(fixed("語 cafÃ©s â€œxâ€\u{9d} 語"), "語 cafés “x” 語");
        assert_eq!(fixed("語 \u{85}"), "語 …");
    }
}
