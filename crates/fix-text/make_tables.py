#!/usr/bin/env python3
"""Write src/entities.rs, src/encodings.rs and src/patterns.rs: what ftfy and Python know of characters.

    pip install ftfy==6.3.1 && ./make_tables.py
"""
import html.entities
import platform
import re
from importlib.metadata import version
from pathlib import Path

from ftfy import chardata
from ftfy.badness import BADNESS_RE

SRC = Path(__file__).resolve().parent / "src"
MADE = f"Made by make_tables.py of Python {platform.python_version()} and ftfy {version('ftfy')}."
WIDTH = 130


def literal(text):
    """A string in Rust's spelling, in ASCII."""
    plain = set(range(0x20, 0x7F)) - set(map(ord, '"\\'))
    return '"' + "".join(chr(c) if c in plain else f"\\u{{{c:x}}}" for c in map(ord, text)) + '"'


def rows(items):
    """Items with commas between them, in lines of WIDTH characters."""
    lines, line = [], ""
    for item in items:
        if len(line) + len(item) > WIDTH:
            lines.append(line)
            line = ""
        line += (" " if line else "    ") + item + ","
    return "\n".join([*lines, line])


def entities():
    items = [f"({literal(name)}, {literal(value)})" for name, value in sorted(html.entities.html5.items())]
    return f"""//! HTML's named characters, sorted by name. {MADE}

/// What stands after the ampersand, with the semicolon unless it may be left out, and what it means.
#[rustfmt::skip]
pub static NAMED: [(&str, &str); {len(items)}] = [
{rows(items)}
];
"""


def encodings():
    parts = []
    for name in chardata.CHARMAP_ENCODINGS:
        # 1A stands for the replacement character in those that ftfy calls sloppy
        pairs = [(bytes([b]).decode(name), b) for b in [0x1A, *range(0x80, 0x100)]]
        items = [f"('\\u{{{ord(c):x}}}', 0x{b:02x})" for c, b in sorted(pairs)]
        const = re.sub(r"\W", "_", name).upper()
        parts.append((name, const, rows(items)))
    tables = "\n".join(f"""
#[rustfmt::skip]
const {const}: [(char, u8); 129] = [
{items}
];""" for _, const, items in parts)
    listed = "\n".join(f'    Encoding {{ name: "{name}", above: &{const} }},' for name, const, _ in parts)
    return f"""//! Encodings of one byte a character. {MADE}

/// An encoding in which bytes below 0x80 stand for themselves.
pub struct Encoding {{
    /// As Python calls it; "sloppy" ones are ftfy's, in which no byte is unassigned.
    pub name: &'static str,
    /// Characters of the bytes 0x1a and from 0x80, sorted.
    pub above: &'static [(char, u8); 129],
}}

/// In the order in which they are tried.
pub const ENCODINGS: [Encoding; {len(parts)}] = [
{listed}
];
{tables}
"""


def plain(pattern):
    """A verbose pattern of Python's in the plain form, and with Python's classes, for the crate `regex`."""
    out, within, escaped, comment = "", False, False, False
    for c in pattern:
        if comment:
            comment = c != "\n"
        elif escaped:
            # "x" and "u" are followed by the character's number, which both read alike
            whole = {"s": r"\s\x1c-\x1f", "w": r"\p{L}\p{N}_"}.get(c)
            out += "\\" + c if whole is None else whole if within else f"[{whole}]"
            escaped = False
        elif c == "\\":
            escaped = True
        elif within:
            assert c not in "[&~", c
            out += c
            within = c != "]"
        elif c == "#":
            comment = True
        elif not c.isspace() or c not in " \n\t":
            out += c
            within = c == "["
    assert not within and not escaped
    return out


def raw(pattern):
    """A pattern in lines, for the flag that leaves white space out."""
    # Within a class that flag leaves white space out, too.
    escaped = "".join(c if 0x20 < ord(c) < 0x7F else f"\\x{{{ord(c):x}}}" for c in pattern)
    lines, line = [], ""
    # Anywhere but within an escape a line may end.
    for part in re.findall(r"\\x\{[0-9a-f]+\}|\\p\{\w\}|\\x[0-9a-f]{2}|\\.|\{\d\}|.", escaped):
        if len(line) + len(part) > WIDTH:
            lines.append(line)
            line = ""
        line += part
    return "\n".join([*lines, line])


def patterns():
    badness, detector = plain(BADNESS_RE.pattern), plain(chardata.UTF8_DETECTOR_RE.pattern)
    behind, rest = re.fullmatch(r"\(\?<!(\[[^]]*\])\)(.*)", detector, re.S).groups()
    strict = f"^{behind}$"
    hash_free = [badness, strict, rest]
    assert not any('"#' in pattern or "#" in pattern for pattern in hash_free)
    return f"""//! Patterns of ftfy's `badness.py` and `chardata.py`. {MADE}

/// `BADNESS_RE`: sequences that are far more likely mojibake than meant.
#[rustfmt::skip]
pub const BADNESS: &str = r#"(?x)
{raw(badness)}"#;

/// `UTF8_DETECTOR_RE` without the look behind it: what decodes to several bytes of UTF-8.
#[rustfmt::skip]
pub const UTF8_DETECTOR: &str = r#"(?x)
{raw(rest)}"#;

/// The look behind: a character that may not stand before those.
#[rustfmt::skip]
pub const UTF8_CONTINUATION: &str = r#"(?x)
{raw(strict)}"#;
"""


for file, text in (("entities.rs", entities()), ("encodings.rs", encodings()), ("patterns.rs", patterns())):
    (SRC / file).write_text(text)
    print(f"{file}: {text.count(chr(10))} lines")
