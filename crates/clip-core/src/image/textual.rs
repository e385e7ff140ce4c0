//! Text that came in an image's place: encodings of one, pages and documents, paths and addresses.
//!
//! Who passes an image as text sees its error only here, so it says what the text looks like, and what to do about that.

use super::format::{Format, sniff_known};
use super::signatures::BINARY;

/// Bytes that are looked at.
const LOOK: usize = 1024;
/// Characters of base64 or hexadecimal that are decoded, to see what is in them.
const DECODED: usize = 64;
/// A text without an image in it is taken for base64 from this length on.
const LONG: usize = 64;

const BASE64: &str = "Decode it first, in SQL by decode(..., 'base64').";
const URL_SAFE: &str = "Decode it first, in SQL by decode(translate(..., '-_', '+/'), 'base64').";
const HEX: &str = "Decode it first, in SQL by decode(..., 'hex'), or pass it as a parameter of type bytea.";
const NOT_FETCHED: &str = "Nothing is fetched from there: pass the file's bytes.";
const ANSWER: &str = "It may be a server's answer in the image's place: compare it with the file.";

/// What a text looks like and what to do; `None` where the bytes are no text.
pub(super) fn describe(bytes: &[u8]) -> Option<(String, &'static str)> {
    let head = bytes.get(..LOOK).unwrap_or(bytes);
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let lower = head.to_ascii_lowercase();
    let found = |what: &str, hint| Some((what.to_owned(), hint));
    if lower.starts_with(b"data:") {
        return found(
            "a data URI",
            "Decode what follows its comma, in SQL by decode(split_part(..., ',', 2), 'base64').",
        );
    }
    if head.starts_with(b"version https://git-lfs.") {
        return found("a Git LFS pointer", "Fetch the file itself by git lfs pull.");
    }
    if head.starts_with(b"\\x") {
        let hint = "Cast it to bytea, or pass it as a parameter of type bytea.";
        return Some((of_image("hexadecimal text of a bytea", decode_hex(&head[2..])), hint));
    }
    if [b"\\211PNG".as_slice(), b"\\377\\330"].iter().any(|start| head.starts_with(start)) {
        return found("a bytea in PostgreSQL's escape format", "Cast it to bytea.");
    }
    if [b"b'\\x".as_slice(), b"b\"\\x", b"b'GIF8", b"b'RIFF", b"b'BM", b"<memory at", b"<_io."]
        .iter()
        .any(|s| head.starts_with(s))
    {
        return found("what Python prints for bytes", "Pass the bytes themselves, not str() of them.");
    }
    if head.first() == Some(&b'<') {
        return markup(&lower);
    }
    if is_json(head) {
        return found("JSON", ANSWER);
    }
    if [b"http://".as_slice(), b"https://", b"file://", b"ftp://", b"s3://", b"gs://"]
        .iter()
        .any(|s| lower.starts_with(s))
    {
        return found("an address", NOT_FETCHED);
    }
    let text = bytes.trim_ascii();
    if let Some(described) = encoded(text) {
        return Some(described);
    }
    if is_path(text) {
        return found("the path of a file", "No file is read from there: pass the file's bytes.");
    }
    is_text(head).then(|| ("text".to_owned(), BINARY))
}

fn markup(lower: &[u8]) -> Option<(String, &'static str)> {
    let has = |what: &[u8]| memchr::memmem::find(lower, what).is_some();
    if has(b"<svg") {
        let hint = "Draw it first, for example with rsvg-convert.";
        return Some(("an SVG drawing".to_owned(), hint));
    }
    if has(b"<html") || has(b"<!doctype html") || has(b"<head") || has(b"<body") {
        return Some(("an HTML page".to_owned(), ANSWER));
    }
    (lower.starts_with(b"<?xml") || is_text(lower)).then(|| ("XML".to_owned(), ANSWER))
}

/// An object, or a list of numbers, texts, objects or lists.
fn is_json(head: &[u8]) -> bool {
    let Some((first, rest)) = head.split_first() else { return false };
    let next = rest.trim_ascii_start().first();
    match first {
        b'{' => matches!(next, Some(b'"' | b'}')),
        b'[' => matches!(next, Some(b'"' | b'{' | b'[' | b']' | b'0'..=b'9')) && is_text(head),
        _ => false,
    }
}

/// Base64, or hexadecimal digits without a prefix.
fn encoded(text: &[u8]) -> Option<(String, &'static str)> {
    let head = text.get(..LOOK).unwrap_or(text);
    let is_hex = head.len() >= 8 && head.iter().all(|b| b.is_ascii_hexdigit() || matches!(b, b'\r' | b'\n'));
    if is_hex && (head.len() >= LONG || sniff_of(decode_hex(head)).is_some()) {
        return Some((of_image("hexadecimal text", decode_hex(head)), HEX));
    }
    let is_base64 = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'-' | b'_' | b'=' | b'\r' | b'\n');
    if head.len() < 8 || !head.iter().all(is_base64) {
        return None;
    }
    let hint = if head.iter().any(|b| matches!(b, b'-' | b'_')) { URL_SAFE } else { BASE64 };
    let inside = decode_base64(head);
    // A long name is of the same letters.
    let kinds = [u8::is_ascii_uppercase, u8::is_ascii_lowercase, u8::is_ascii_digit];
    let is_long = head.len() >= LONG && kinds.iter().all(|kind| head.iter().any(kind));
    (is_long || sniff_of(inside.clone()).is_some()).then(|| (of_image("base64", inside), hint))
}

fn sniff_of(inside: Vec<u8>) -> Option<Format> {
    sniff_known(&inside)
}

/// The encoding's name, and that of the image in it.
fn of_image(encoding: &str, inside: Vec<u8>) -> String {
    match sniff_of(inside) {
        Some(Format::Bmp) | None => encoding.to_owned(),
        Some(format) => format!("{encoding}, a {} image in it", format.name()),
    }
}

/// The first bytes that a text in base64 of either alphabet stands for.
fn decode_base64(text: &[u8]) -> Vec<u8> {
    let value = |b: u8| match b {
        b'A'..=b'Z' => Some(b - b'A'),
        b'a'..=b'z' => Some(b - b'a' + 26),
        b'0'..=b'9' => Some(b - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    };
    let values: Vec<u8> = text.iter().filter_map(|b| value(*b)).take(DECODED).collect();
    let quads = values.as_chunks::<4>().0;
    quads.iter().flat_map(|[a, b, c, d]| [a << 2 | b >> 4, b << 4 | c >> 2, c << 6 | d]).collect()
}

fn decode_hex(text: &[u8]) -> Vec<u8> {
    let digits = text.iter().filter_map(|b| (*b as char).to_digit(16)).take(DECODED).map(|d| d as u8);
    let digits: Vec<u8> = digits.collect();
    digits.as_chunks::<2>().0.iter().map(|[high, low]| high << 4 | low).collect()
}

/// One line that begins as paths do, or ends as image files do.
fn is_path(text: &[u8]) -> bool {
    if text.len() >= LOOK || !is_text(text) || text.iter().any(|b| matches!(b, b'\n' | b'\r')) {
        return false;
    }
    let begins = [b"/".as_slice(), b"./", b"../", b"~/", b"\\\\"].iter().any(|start| text.starts_with(start));
    let drive = matches!(text, [b'A'..=b'Z' | b'a'..=b'z', b':', b'\\' | b'/', ..]);
    let lower = text.to_ascii_lowercase();
    let ends =
        [b".jpg".as_slice(), b".jpeg", b".png", b".webp", b".gif", b".bmp", b".tif", b".tiff", b".heic", b".avif"]
            .iter()
            .any(|end| lower.ends_with(end));
    begins || drive || ends
}

/// Nothing but what texts are made of, as far as it was looked at.
fn is_text(head: &[u8]) -> bool {
    let is_control = |b: &u8| b.is_ascii_control() && !matches!(b, b'\t' | b'\n' | b'\r' | 0x0c);
    // The last character may have been cut.
    let whole = match std::str::from_utf8(head) {
        Ok(_) => true,
        Err(e) => e.error_len().is_none(),
    };
    !head.is_empty() && whole && !head.iter().any(is_control)
}
