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
    let (image, remarks) = decode_with(bytes, options).map_err(|e| e.message)?;
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

const FLAT: &str = "a picture of one colour is none";
const SMALL: &str = "the decoder finds the damage before it has given out the rows before";
const CUT: &str = "libwebp, and so Pillow, decodes nothing of it";
const BLOCKS: &str = "a block that is cut is decoded as far as it goes, which Pillow leaves out";

/// Where Pillow refuses what is harmless, or takes what is not all there.
const KINDER_OR_STRICTER: &[(&str, &str)] = &[
    ("png, wrong checksum of tEXt before", "it says nothing of the pixels"),
    ("png, wrong checksum of iCCP before", "it says nothing of the pixels"),
    ("png, wrong checksum of gAMA before", "it says nothing of the pixels"),
    ("png, wrong checksum of zzZz before", "it says nothing of the pixels"),
    ("png, fewer rows than the header says", "the rest would be black"),
    ("png, critical chunk that nobody knows", "PNG says so"),
    ("png eXIf, prefix twice", "metadata makes no picture unreadable"),
    ("gif, code size 12", "GIF has no such codes"),
    ("jpeg RGB with a short JFIF", "libjpeg reads it, Pillow's own parser does not"),
];

#[test]
fn as_pillow() {
    compare(Truncated::Refuse, |case| &case.strict, KINDER_OR_STRICTER);
}

#[test]
fn as_pillow_with_truncated_images() {
    let more = [
        ("png, wrong Adler-32", SMALL),
        ("png, damaged stream", SMALL),
        ("png, pixels after IEND", FLAT),
        ("png, another chunk between the pixels", FLAT),
        ("bmp 1, cut at 50%", FLAT),
        ("bmp L, cut at 50%", FLAT),
        ("bmp P, cut at 50%", FLAT),
        ("bmp, run lengths cut", "they are decoded as far as they go"),
        ("jpeg, unknown marker", FLAT),
        ("jpeg progressive, cut at 90%", "Pillow gives a black one"),
        ("webp lossy, ", CUT),
        ("webp lossless, ", CUT),
        ("webp extended, ", CUT),
        ("gif, cut at", BLOCKS),
        ("gif, interlaced, cut at", BLOCKS),
        ("gif, smaller frame, cut at", BLOCKS),
        ("gif, smaller frame, transparent, cut at", BLOCKS),
    ];
    // Checksums of chunks before the pixels do not matter to Pillow here, either, nor that there are rows too few.
    let also = KINDER_OR_STRICTER.iter().filter(|(name, _)| {
        !name.starts_with("png, wrong checksum")
            && !["png, fewer rows", "jpeg EXIF, prefix"].iter().any(|n| name.starts_with(n))
    });
    compare(Truncated::Accept, |case| &case.lenient, &also.copied().chain(more).collect::<Vec<_>>());
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

/// 64 x 48 pixels of squares, from Pillow.
const LOSSY: &str = "UklGRuoAAABXRUJQVlA4IN4AAABQBwCdASpAADAAAUAmJaAMk1+HOmAfxj8Gvxytf/NAfgH8W/C+KK0P0z5x+Ff5M/IxRn5J90vyNz/sQIy/tAfJpXAAAP7wdZBRyvqQgrO/9+gRbvwn07OJ3weCJfkQuT9/c/ZdQ/6aCn6m6EQanfHgCkjMgQM8X7zh4nHDTEjiNPHhaCPhjDrXguCJLr0fbng51//0o/KfAbvX4GD5dP33B+3rK1szKSLe8SDNEX/+FOVNKwt7yjEdwL+xr1SGu6bbxWsflflsQQRTpwrk9jFKY8cCxKamY+Ry2ZgAAAA=";

/// Pillow refuses what libwebp has not got whole. Here the picture goes on as it was; the mark says so.
#[test]
fn webp_that_is_cut() {
    let bytes = base64(LOSSY);
    let (whole, _) = decode_with(&bytes, &Limits::default()).unwrap();
    for part in [0.6, 0.8, 0.95] {
        let cut = &bytes[..(bytes.len() as f64 * part) as usize];
        assert_eq!(levels(cut, Truncated::Refuse).unwrap_err(), "truncated WebP image");
        let options = ReadOptions { truncated: Truncated::Accept, ..ReadOptions::from(&Limits::default()) };
        let (image, remarks) = decode_with(cut, options).unwrap();
        assert!(remarks.incomplete.is_some());
        let rows = (part / 2.0 * f64::from(image.height)) as usize * 3 * image.width as usize;
        let far = image.pixels[..rows].iter().zip(&whole.pixels).filter(|(a, b)| a.abs_diff(**b) > 16).count();
        assert!(far * 10 <= rows, "{far} of {rows} levels at {part}");
    }
    let small = Limits { max_bytes: bytes.len() - 40, ..Limits::default() };
    let options = ReadOptions { truncated: Truncated::Accept, ..ReadOptions::from(&small) };
    assert!(decode_with(&bytes[..bytes.len() - 41], options).is_err(), "what is missing counts");
}
