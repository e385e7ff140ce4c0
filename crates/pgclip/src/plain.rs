//! Texts of a database on a terminal.

use std::fmt::Write;

/// The text with what a terminal would obey, or show in another order than it is in, written out as escapes.
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // A name with a backslash of its own must not pass for one with a control character.
            '\\' => out.push_str("\\\\"),
            c if c.is_control() || is_invisible(c) => {
                let _ = write!(out, "\\u{{{:x}}}", c as u32);
            }
            c => out.push(c),
        }
    }
    out
}

/// Marks of direction, separators of lines, and characters without a width.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
        || ('\u{e0000}'..='\u{e007f}').contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_has_nothing_to_obey() {
        assert_eq!(plain("caf\u{e9} \u{732b}.jpg"), "caf\u{e9} \u{732b}.jpg");
        assert_eq!(plain("a\x1b[2Jb\x07\n\u{9b}31m"), "a\\u{1b}[2Jb\\u{7}\\n\\u{9b}31m");
        assert_eq!(plain("\u{202e}gpj.exe"), "\\u{202e}gpj.exe");
        assert_eq!(plain("a\\n"), "a\\\\n");
    }
}
