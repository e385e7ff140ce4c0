//! ftfy's fixes of single characters: ligatures, widths, quotes, line breaks, escapes of terminals, controls.

use std::sync::LazyLock;

use regex::Regex;
use unicode_normalization::UnicodeNormalization;

use crate::mojibake::without;

/// Escape sequences of terminals. A digit is any that Unicode has, as for Python.
static ANSI: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\x1b\[[\d;]*[a-zA-Z]").expect("a valid pattern"));

/// All of them, one after the other.
pub fn fix(text: &str) -> String {
    let text = if text.is_ascii() { text.to_owned() } else { standard(text) };
    let text = line_breaks(&text);
    let text = if text.contains('\u{1b}') { without(&ANSI, &text).into_owned() } else { text };
    text.chars().filter(|c| !is_control(*c)).collect()
}

/// `fix_latin_ligatures`, `fix_character_width` and `uncurl_quotes`, in this order: a wide quote is a quote.
fn standard(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut buffer = [0; 4];
    for c in text.chars() {
        for c in ligature(c).unwrap_or(c.encode_utf8(&mut buffer)).chars() {
            match c {
                '\u{3000}' => out.push(' '),
                '\u{ff01}'..='\u{ffef}' => std::iter::once(c).nfkc().for_each(|c| out.push(straight(c))),
                _ => out.push(straight(c)),
            }
        }
    }
    out
}

/// The letters of a ligature of Latin ones, or of a digraph that is one character.
fn ligature(c: char) -> Option<&'static str> {
    Some(match c {
        'Ĳ' => "IJ",
        'ĳ' => "ij",
        'ŉ' => "ʼn",
        'Ǳ' => "DZ",
        'ǲ' => "Dz",
        'ǳ' => "dz",
        'Ǆ' => "DŽ",
        'ǅ' => "Dž",
        'ǆ' => "dž",
        'Ǉ' => "LJ",
        'ǈ' => "Lj",
        'ǉ' => "lj",
        'Ǌ' => "NJ",
        'ǋ' => "Nj",
        'ǌ' => "nj",
        'ﬀ' => "ff",
        'ﬁ' => "fi",
        'ﬂ' => "fl",
        'ﬃ' => "ffi",
        'ﬄ' => "ffl",
        'ﬅ' => "ſt",
        'ﬆ' => "st",
        _ => return None,
    })
}

/// A straight quote in the place of a curly one.
fn straight(c: char) -> char {
    match c {
        '\u{2bc}' | '\u{2018}'..='\u{201b}' => '\'',
        '\u{201c}'..='\u{201f}' => '"',
        _ => c,
    }
}

/// `fix_line_breaks`
fn line_breaks(text: &str) -> String {
    text.replace("\r\n", "\n").replace(['\r', '\u{2028}', '\u{2029}', '\u{85}'], "\n")
}

/// What `remove_control_chars` removes.
fn is_control(c: char) -> bool {
    matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{e}'..='\u{1f}' | '\u{7f}')
        || matches!(c, '\u{206a}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffc}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn character_by_character() {
        for (text, expected) in [
            ("ﬂuﬃeﬆ ŉ", "fluffiest 'n"),
            ("ＬＯＵＤ　ＮＯＩＳＥＳ", "LOUD NOISES"),
            ("Ｕﾀｰﾝ ￠", "Uターン ¢"),
            ("“here’s a test” „x‟ ‹y›", "\"here's a test\" \"x\" ‹y›"),
            ("a\r\nb\rc\u{2028}d\u{85}e", "a\nb\nc\nd\ne"),
            ("\u{1b}[36;44mblue\u{1b}[0m\u{1b}[x", "blue"),
            ("a\0b\u{b}c\u{c}d\u{feff}e\u{fffc}\u{200d}", "abc\u{c}de\u{200d}"),
        ] {
            assert_eq!(fix(text), expected, "{text:?}");
        }
    }
}
