//! HTML's character references: as Python reads them, and as ftfy does, who wants them whole.

use crate::entities::NAMED;

/// Characters of a name that Python looks at, at most.
const MAX_NAME: usize = 32;
/// The same of ftfy.
const MAX_WHOLE: usize = 24;

/// `html.unescape(text)` of Python: names without semicolons and beginnings of names are read, too, as in HTML 5.
pub fn unescape(text: &str) -> String {
    replaced(text, |rest| {
        let bytes = rest.as_bytes();
        if bytes.first() == Some(&b'#') {
            let (digits, radix) = number(&rest[1..])?;
            let begin = if radix == 16 { 2 } else { 1 };
            let end = begin + digits.len();
            return Some((decode(digits, radix), end + usize::from(bytes.get(end) == Some(&b';'))));
        }
        let stops = |c: char| matches!(c, '\t' | '\n' | '\x0c' | ' ' | '<' | '&' | '#' | ';');
        let length =
            rest.char_indices().take(MAX_NAME).take_while(|(_, c)| !stops(*c)).map(|(at, c)| at + c.len_utf8());
        let length = length.last()?;
        let whole = length + usize::from(bytes.get(length) == Some(&b';'));
        if let Some(value) = named(&rest[..whole]) {
            return Some((value.into(), whole));
        }
        // The longest beginning that is a name, of two characters or more.
        let ends = rest[..whole].char_indices().map(|(at, _)| at).skip(2);
        let found = ends.collect::<Vec<_>>().into_iter().rev().find_map(|end| Some((named(&rest[..end])?, end)));
        // Else the ampersand stays, and with it all that Python has looked at.
        let (value, end) = found.unwrap_or(("&", 0));
        Some((format!("{value}{}", &rest[end..whole]), whole))
    })
}

/// `ftfy.fixes.unescape_html`: references that end in a semicolon, and names in capitals.
pub fn unescape_whole(text: &str) -> String {
    replaced(text, |rest| {
        let bytes = rest.as_bytes();
        let begin = usize::from(bytes.first() == Some(&b'#'));
        let length = bytes[begin..].iter().take(MAX_WHOLE).take_while(|b| b.is_ascii_alphanumeric()).count();
        let end = begin + length;
        if length == 0 || bytes.get(end) != Some(&b';') {
            return None;
        }
        let value = if begin == 1 {
            let (digits, radix) = number(&rest[1..])?;
            // All of it is the number, so that the semicolon goes with it.
            let whole = digits.len() + usize::from(radix == 16) == length;
            Some(decode(digits, radix)).filter(|value| whole && !value.contains(';'))
        } else {
            named(&rest[..=end]).map(str::to_owned).or_else(|| capitals(&rest[..=end]))
        };
        // What is left alone is not looked at again: an ampersand cannot stand within it.
        Some((value.unwrap_or_else(|| format!("&{}", &rest[..=end])), end + 1))
    })
}

/// What each ampersand and the characters behind it become. `reference` gets what follows the ampersand, and gives the
/// characters in their place and the bytes that they take of that, or nothing where it is a plain ampersand.
fn replaced(text: &str, reference: impl Fn(&str) -> Option<(String, usize)>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let (value, bytes) = reference(after).unwrap_or_else(|| ("&".into(), 0));
        out.push_str(&value);
        rest = &after[bytes..];
    }
    out.push_str(rest);
    out
}

/// What a name means, semicolon included where it has one.
fn named(name: &str) -> Option<&'static str> {
    NAMED.binary_search_by(|(known, _)| (*known).cmp(name)).ok().map(|at| NAMED[at].1)
}

/// A name in capitals that means nothing, of one in small letters that does: the capital of its meaning.
fn capitals(name: &str) -> Option<String> {
    let small = name.to_ascii_lowercase();
    let value = if name == name.to_ascii_uppercase() { named(&small)? } else { return None };
    let reference = format!("&{name}");
    (unescape(&reference) == reference).then(|| value.to_uppercase())
}

/// The digits that `text` begins with, after an x those of base 16, and the base.
fn number(text: &str) -> Option<(&str, u32)> {
    let (digits, radix) = match text.strip_prefix(['x', 'X']) {
        Some(digits) => (digits, 16),
        None => (text, 10),
    };
    let end = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
    (end > 0).then(|| (&digits[..end], radix))
}

/// The character of a number, as HTML 5 has it.
fn decode(digits: &str, radix: u32) -> String {
    /// Of 0x80 to 0x9f, which are Windows-1252; zero stays what it is.
    #[rustfmt::skip]
    const WINDOWS: [u16; 32] = [
        0x20ac, 0, 0x201a, 0x192, 0x201e, 0x2026, 0x2020, 0x2021, 0x2c6, 0x2030, 0x160, 0x2039, 0x152, 0, 0x17d, 0,
        0, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x2dc, 0x2122, 0x161, 0x203a, 0x153, 0, 0x17e, 0x178,
    ];
    const REPLACEMENT: &str = "\u{fffd}";
    // More digits than a number holds are beyond all characters.
    let Ok(mut number) = u32::from_str_radix(digits, radix) else { return REPLACEMENT.into() };
    if number == 0 {
        return REPLACEMENT.into();
    }
    if let Some(windows @ 1..) = number.checked_sub(0x80).and_then(|at| WINDOWS.get(at as usize)) {
        number = u32::from(*windows);
    }
    // Controls and what Unicode keeps for no character; 0x81 and its like are what they are.
    let nothing = matches!(number, 0x1..=0x8 | 0xb | 0xe..=0x1f | 0x7f | 0xfdd0..=0xfdef)
        || (number & 0xfffe == 0xfffe && number <= 0x10_ffff);
    match char::from_u32(number) {
        Some(_) if nothing => String::new(),
        Some(c) => c.into(),
        None => REPLACEMENT.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted() {
        assert!(NAMED.windows(2).all(|two| two[0].0 < two[1].0));
    }

    #[test]
    fn as_python_reads_them() {
        for (text, expected) in [
            ("&amp;&lt;&notin;&notit;&not", "&<∉¬it;¬"),
            ("&", "&"),
            ("a & b &; &# &#x; &#;", "a & b &; &# &#x; &#;"),
            ("&#38;&#x26&#X26;&#0;&#128;&#129;&#xd800;&#x110000;&#13;", "&&&\u{fffd}€\u{81}\u{fffd}\u{fffd}\r"),
            ("&#1;&#x7f;&#xfffe;&#xfdd0;|", "|"),
            ("&#99999999999999999999;", "\u{fffd}"),
            ("&unknown;&AMPle", "&unknown;&le"),
            ("&é;&ampé", "&é;&é"),
            ("&NotEqualTilde;", "≂\u{338}"),
        ] {
            assert_eq!(unescape(text), expected, "{text:?}");
        }
    }

    #[test]
    fn as_ftfy_reads_them() {
        for (text, expected) in [
            ("&amp;&amp &notit; &not;", "&&amp &notit; ¬"),
            ("&ntilde; &Ntilde; &NTILDE; &nTILDE;", "ñ Ñ Ñ &nTILDE;"),
            ("&#x2019;&#8217;&#x;&#;&#12a;&#xg;", "’’&#x;&#;&#12a;&#xg;"),
            ("&#59;", "&#59;"),
            ("&AMPLE;", "&AMPLE;"),
        ] {
            assert_eq!(unescape_whole(text), expected, "{text:?}");
        }
    }
}
