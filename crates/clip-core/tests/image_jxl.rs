//! JPEG XL as the engine reads it, upright and as RGB, beside Pillow with its plugin.
#![cfg(feature = "jxl")]

use std::fs;
use std::path::PathBuf;

use clip_core::ErrorKind;
use clip_core::image::{Format, Grey16, Limits, ReadOptions, Truncated, decode, decode_with, sniff};

fn file(name: &str) -> Vec<u8> {
    fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../jxl-levels/tests/golden").join(name)).unwrap()
}

#[test]
fn pictures_are_upright_and_of_the_references_levels() {
    let manifest = String::from_utf8(file("manifest.txt")).unwrap();
    for line in manifest.lines() {
        let [name, width, height, kind, how] = line.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let bytes = file(&format!("{name}.jxl"));
        assert_eq!(sniff(&bytes).unwrap(), Format::Jxl);
        let picture = decode(&bytes, &Limits::default()).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(
            (picture.width.to_string().as_str(), picture.height.to_string().as_str()),
            (width, height),
            "{name}"
        );
        if kind == "grey16" || how == "jpeg" {
            continue;
        }
        let expected = file(&format!("{name}.raw"));
        let most = picture.pixels.iter().zip(&expected).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        assert!(most <= u8::from(how == "near"), "{name}: {most}");
    }
}

#[test]
fn grey_of_16_bits() {
    let bytes = file("grey-16.jxl");
    let (cut, remarks) = decode_with(&bytes, ReadOptions::default()).unwrap();
    assert!(remarks.clipped && cut.pixels.iter().filter(|level| **level == 255).count() > cut.pixels.len() / 2);
    let scale = ReadOptions { grey16: Grey16::Scale, ..ReadOptions::default() };
    let (scaled, remarks) = decode_with(&bytes, scale).unwrap();
    let expected = file("grey-16.raw");
    let high = expected.as_chunks::<2>().0.iter().flat_map(|[_, high]| [*high; 3]);
    assert!(!remarks.clipped && scaled.pixels.iter().copied().eq(high));
}

#[test]
fn limits_and_truncation() {
    let bytes = file("size-520x6.jxl");
    let few = Limits { max_pixels: 520 * 6 - 1, ..Limits::default() };
    assert_eq!(decode(&bytes, &few).unwrap_err().kind, ErrorKind::LimitExceeded);
    let cut = &bytes[..bytes.len() * 3 / 4];
    let e = decode(cut, &Limits::default()).unwrap_err();
    assert_eq!((e.kind, e.message.as_str()), (ErrorKind::InvalidImage, "truncated JPEG XL image"));
    let accept = ReadOptions { truncated: Truncated::Accept, ..ReadOptions::default() };
    let (picture, remarks) = decode_with(cut, accept).unwrap();
    assert_eq!((picture.width, picture.height, remarks.incomplete), (520, 6, Some(Format::Jxl)));
}

/// The library panics at what there is of it: a palette is never applied.
#[test]
fn what_the_library_asserts_is_an_error() {
    let accept = ReadOptions { truncated: Truncated::Accept, ..ReadOptions::default() };
    let e = decode_with(&file("../damaged/asserted.jxl"), accept).unwrap_err();
    let expected = (ErrorKind::InvalidImage, "damaged JPEG XL image: its parts do not fit together");
    assert_eq!((e.kind, e.message.as_str()), expected);
}

/// Of 298 bytes, which would take 30 MB.
#[test]
fn thousands_of_splines_are_too_much() {
    let e = decode(&file("../damaged/splines.jxl"), &Limits::default()).unwrap_err();
    let expected = (ErrorKind::LimitExceeded, "JPEG XL image is too much work: too many splines");
    assert_eq!((e.kind, e.message.as_str()), expected);
}
