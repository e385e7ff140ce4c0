//! Files of odd shapes, class by class: as Pillow reads them, or both refuse. `golden/make_odd.py` makes them.

#[path = "common/images.rs"]
mod images;

use std::collections::BTreeMap;

use clip_core::image::{Limits, ReadOptions, Truncated, decode, decode_with, preprocess};
use clip_core::spec::ResizeRule;
use images::spec;
use serde::Deserialize;
use sha2::{Digest, Sha256};

#[derive(Deserialize)]
struct Odd {
    cases: Vec<Case>,
    squares: Vec<Square>,
}

#[derive(Deserialize)]
struct Square {
    name: String,
    file: String,
    squashed: String,
    centre: String,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    /// In base64.
    file: String,
    strict: Option<Levels>,
    lenient: Option<Levels>,
}

/// Width, height, SHA-256 of the RGB levels.
type Levels = (u32, u32, String);

fn odd() -> Odd {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/odd.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn cases() -> Vec<Case> {
    odd().cases
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn base64(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0u32, 0);
    for value in text.bytes().filter_map(|b| ALPHABET.iter().position(|a| *a == b)) {
        (bits, count) = (bits << 6 | value as u32, count + 6);
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}

fn levels(bytes: &[u8], truncated: Truncated) -> Result<(Levels, bool), String> {
    let options = ReadOptions { truncated, ..ReadOptions::from(&Limits::default()) };
    let (image, remarks) = decode_with(bytes, &options).map_err(|e| e.message)?;
    Ok(((image.width, image.height, digest(&image.pixels)), remarks.incomplete.is_some()))
}

/// Compares all cases; `known` has those that deviate, by their beginnings, with the reason.
fn compare(truncated: Truncated, expected: impl Fn(&Case) -> &Option<Levels>, known: &[(&str, &str)]) {
    let (mut wrong, mut used) = (Vec::new(), BTreeMap::new());
    for case in cases() {
        let given = levels(&base64(&case.file), truncated);
        let same = match (expected(&case), &given) {
            (Some(expected), Ok((given, _))) => expected == given,
            (None, Err(_)) => true,
            _ => false,
        };
        match known.iter().find(|(name, _)| case.name.starts_with(name)) {
            Some((name, _)) if !same => *used.entry(*name).or_insert(0) += 1,
            None if !same => wrong.push(format!("{}: {:?}, expected {:?}", case.name, given, expected(&case))),
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases().len(), wrong.join("\n"));
    for (name, reason) in known {
        assert!(used.contains_key(name), "{name} ({reason}): as in Pillow now");
    }
}

#[test]
fn as_pillow() {
    compare(Truncated::Refuse, |case| &case.strict, &[]);
}

#[test]
fn as_pillow_with_truncated_images() {
    compare(Truncated::Accept, |case| &case.lenient, &[]);
}

/// What the strict way reads is whole, and the lenient way reads it alike; what that alone reads has its mark.
#[test]
fn the_lenient_way_is_for_what_is_not_whole() {
    let mut marked = 0;
    for case in cases() {
        let bytes = base64(&case.file);
        let (strict, lenient) = (levels(&bytes, Truncated::Refuse), levels(&bytes, Truncated::Accept));
        match (strict, lenient) {
            (Ok(strict), lenient) => {
                assert!(!strict.1, "{}", case.name);
                assert_eq!(Ok(strict), lenient, "{}", case.name);
            }
            (Err(_), Ok((_, incomplete))) => {
                assert!(incomplete, "{}", case.name);
                marked += 1;
            }
            (Err(_), Err(_)) => {}
        }
    }
    assert!(marked > 50, "{marked}");
}

/// A height of 3, or of 1, is no number of channels.
#[test]
fn few_rows_and_columns() {
    for Square { name, file, squashed, centre } in odd().squares {
        let picture = decode(&base64(&file), &Limits::default()).unwrap();
        let seen = |rule| digest(&preprocess(&picture, &spec(rule, 32)).unwrap().pixels);
        assert_eq!(seen(ResizeRule::Squash(32)), squashed, "{name}");
        assert_eq!(seen(ResizeRule::ShortestEdge(32)), centre, "{name}");
    }
}
