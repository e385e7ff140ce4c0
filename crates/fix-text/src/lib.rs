//! What [ftfy](https://ftfy.readthedocs.io) 6.3.1 makes of a text by its default settings, and Python's `html.unescape`.
//!
//! CLIP was trained on texts that went through both. So a curly quote, an entity or a text in the wrong encoding means other
//! tokens where they are left out.
//!
//! ```
//! assert_eq!(fix_text::fix_text("it\u{2019}s schÃ¶n &amp; ﬁne"), "it's schön & fine");
//! assert_eq!(fix_text::unescape("AT&ampT &#8364;5"), "AT&T €5");
//! ```
#![warn(missing_docs)]

mod characters;
mod codec;
mod encodings;
mod entities;
mod html;
mod mojibake;
mod patterns;

pub use html::unescape;

use unicode_normalization::UnicodeNormalization;

/// Characters that ftfy fixes at once, where there is no line break before (`max_decode_length`).
const MAX_SEGMENT: usize = 1_000_000;
/// Passes over a line. ftfy knows no end, but a text of a person takes two or three. One that is made for it, of an ampersand escaped
/// a thousand times, would take as many.
const MAX_PASSES: usize = 100;

/// `ftfy.fix_text(text)`.
pub fn fix_text(text: &str) -> String {
    let fixed = Fixer::new().fix(text, &|| Ok::<(), std::convert::Infallible>(()));
    match fixed {
        Ok(fixed) => fixed,
        Err(never) => match never {},
    }
}

/// A text that comes in parts, each of whole lines: a line is the most that ftfy looks at at once.
#[derive(Clone, Debug)]
pub struct Fixer {
    /// A literal `<` has not been seen yet: the text is no HTML, whose entities would be meant.
    entities: bool,
}

impl Default for Fixer {
    fn default() -> Self {
        Self::new()
    }
}

impl Fixer {
    /// At the beginning of a text.
    pub fn new() -> Self {
        Self { entities: true }
    }

    /// The next part of the text, fixed.
    ///
    /// `check` is asked before each pass over a line, and its error ends the work.
    pub fn fix<E>(&mut self, text: &str, check: &dyn Fn() -> Result<(), E>) -> Result<String, E> {
        let mut out = String::with_capacity(text.len());
        for line in text.split_inclusive('\n') {
            let mut rest = line;
            while !rest.is_empty() {
                let end = rest.char_indices().nth(MAX_SEGMENT).map_or(rest.len(), |(at, _)| at);
                let (segment, after) = rest.split_at(end);
                self.entities &= !segment.contains('<');
                out.push_str(&self.segment(segment, check)?);
                rest = after;
            }
        }
        Ok(out)
    }

    /// `ftfy.fix_and_explain` without the explanation: all fixes, until none of them changes anything.
    fn segment<E>(&self, segment: &str, check: &dyn Fn() -> Result<(), E>) -> Result<String, E> {
        let mut text = segment.to_owned();
        for _ in 0..MAX_PASSES {
            check()?;
            let mut fixed = if self.entities { html::unescape_whole(&text) } else { text.clone() };
            if !fixed.is_ascii() {
                fixed = mojibake::fix_encoding(fixed, check)?;
                fixed = mojibake::fix_c1_controls(&fixed);
            }
            fixed = characters::fix(&fixed);
            if !fixed.is_ascii() {
                fixed = fixed.nfc().collect();
            }
            if fixed == text {
                break;
            }
            text = fixed;
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of ftfy's own documentation, which writes an ellipsis as three dots.
    #[test]
    fn what_ftfy_promises() {
        for (text, expected) in [
            ("âœ” No problems", "✔ No problems"),
            ("&macr;\\_(ã\u{83}\u{84})_/&macr;", "¯\\_(ツ)_/¯"),
            ("Broken text&hellip; it&#x2019;s ﬂubberiﬁc!", "Broken text… it's flubberific!"),
            ("ＬＯＵＤ\u{3000}ＮＯＩＳＥＳ", "LOUD NOISES"),
            ("sÃ³", "só"),
            ("voilÃ le travail", "voilà le travail"),
            ("(à¸‡'âŒ£')à¸‡", "(ง'⌣')ง"),
            ("P&EACUTE;REZ", "PÉREZ"),
            ("BUNDESSTRA&SZLIG;E", "BUNDESSTRASSE"),
            ("\u{1b}[36;44mblue\u{1b}[0m", "blue"),
            ("", ""),
        ] {
            assert_eq!(fix_text(text), expected, "{text:?}");
        }
    }

    #[test]
    fn entities_of_html_are_meant() {
        assert_eq!(fix_text("&lt;&amp;\n&lt;<\n&lt;"), "<&\n&lt;<\n&lt;");
        let mut fixer = Fixer::new();
        let go_on = || Ok::<(), ()>(());
        assert_eq!(fixer.fix("&lt;\n", &go_on), Ok("<\n".into()));
        assert_eq!(fixer.fix("<&lt;\n", &go_on), Ok("<&lt;\n".into()));
        assert_eq!(fixer.fix("&lt;\n", &go_on), Ok("&lt;\n".into()));
    }

    /// Texts of what makes decoders and patterns stumble, in parts and as a whole.
    #[test]
    fn any_text_comes_to_an_end() {
        let parts = [
            "Ã",
            "ƒ",
            "Â",
            "\u{a0}",
            "â",
            "€",
            "œ",
            "\u{9d}",
            "ð",
            "\u{9f}",
            "í",
            "\u{1a}",
            "\u{fffd}",
            "?",
            " ",
            "à",
            "¸",
            "Ð",
            "Ñ",
            "&",
            "amp;",
            "#",
            "x",
            "0",
            "38",
            ";",
            "lt;",
            "<",
            "\n",
            "\r",
            "\u{1b}[",
            "m",
            "\u{301}",
            "ﬁ",
            "Ａ",
            "語",
            "\u{10ffff}",
            "é",
            "À",
        ];
        let mut state = 7u64;
        let mut below = |n: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % n
        };
        let mut changed = 0;
        for _ in 0..3000 {
            let text: String = (0..1 + below(40)).map(|_| parts[below(parts.len())]).collect();
            let whole = fix_text(&text);
            let (mut fixer, go_on) = (Fixer::new(), || Ok::<(), ()>(()));
            let lines: String = text.split_inclusive('\n').map(|line| fixer.fix(line, &go_on).unwrap()).collect();
            assert_eq!(lines, whole, "{text:?}");
            assert!(!unescape(&whole).contains('\0'), "{text:?}");
            changed += usize::from(whole != text);
        }
        assert!(changed > 1000, "{changed} texts were changed");
    }

    /// One level of entities a pass.
    #[test]
    fn passes_are_counted_and_the_caller_may_stop() {
        let text = format!("é&{}lt;", "amp;".repeat(90));
        let asked = std::cell::Cell::new(0);
        let check = || {
            asked.set(asked.get() + 1);
            if asked.get() > 5 { Err(()) } else { Ok(()) }
        };
        assert_eq!(Fixer::new().fix(&text, &check), Err(()));
        assert_eq!(fix_text(&text), "é<");
        let text = |levels| format!("é&{}lt;", "amp;".repeat(levels));
        assert_eq!(fix_text(&text(1000)), text(1000 - MAX_PASSES));
    }
}
