//! JPEG 2000 whose headers ask for more than a picture of its size takes.
#![cfg(feature = "more-formats")]

use std::fs;
use std::path::PathBuf;

use clip_core::ErrorKind;
use clip_core::image::{Limits, decode, estimate};
use clip_core::spec::{AlphaRule, Centre, ImageSpec, Orientation, ResizeFilter, ResizeRule};

const SPEC: ImageSpec = ImageSpec {
    orientation: Orientation::Exif,
    alpha: AlphaRule::Drop,
    resize: ResizeRule::ShortestEdge(16),
    filter: ResizeFilter::Bicubic,
    crop: 16,
    centre: Centre::Floor,
    rescale: 1.0,
    mean: [0.5; 3],
    std: [0.5; 3],
};
const PLAIN: [u8; 10] = [0, 0, 0, 1, 0, 0, 4, 4, 0, 1];

fn file(name: &str) -> Vec<u8> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/others");
    fs::read(directory.join(name)).unwrap()
}

fn memory(bytes: &[u8]) -> usize {
    estimate(bytes, &Limits::default(), &SPEC).bytes
}

fn refused(bytes: &[u8]) -> ErrorKind {
    decode(bytes, &Limits::default()).unwrap_err().kind
}

fn segment(marker: u8, body: &[u8]) -> Vec<u8> {
    [&[0xff, marker][..], &(body.len() as u16 + 2).to_be_bytes(), body].concat()
}

fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    [(body.len() as u32 + 8).to_be_bytes().as_slice(), kind, body].concat()
}

/// Grey, without any data. `style`: flags, progression, layers, transform of colours; levels, sides of blocks, passes, wavelet, and
/// precincts.
fn grey([width, height]: [u32; 2], tile: [u32; 2], style: &[u8], more: &[u8]) -> Vec<u8> {
    let mut size = vec![0, 0];
    for number in [width, height, 0, 0, tile[0], tile[1], 0, 0] {
        size.extend(number.to_be_bytes());
    }
    size.extend([0, 1, 7, 1, 1]);
    let steps = vec![0x40; 2 + 3 * usize::from(style[5])];
    let header = [segment(0x51, &size), segment(0x52, style), segment(0x5c, &steps), more.to_vec()].concat();
    let part = [segment(0x90, &[0, 0, 0, 0, 0, 14, 0, 1]), vec![0xff, 0x93]].concat();
    [&b"\xff\x4f"[..], &header, &part, b"\xff\xd9"].concat()
}

#[test]
fn headers_as_they_usually_are() {
    let bytes = grey([256; 2], [256; 2], &PLAIN, &[]);
    assert!(memory(&bytes) < 8 << 20);
    assert_eq!(decode(&bytes, &Limits::default()).unwrap().width, 256);
}

/// Blocks of one coefficient, each with its layers.
#[test]
fn small_blocks_take_memory() {
    let style = [1, 0, 0, 32, 0, 0, 4, 4, 0, 1, 0];
    assert!(memory(&grey([1024; 2], [1024; 2], &style, &[])) > 1 << 30);
    // As a tile has it, too.
    let plain = grey([1024; 2], [1024; 2], &PLAIN, &[]);
    let at = plain.len() - 4;
    let mut bytes = plain.clone();
    bytes.splice(at..at, segment(0x52, &style));
    let length = 14 + style.len() as u8 + 4;
    bytes[at - 3] = length;
    assert_eq!(bytes[at - 4..at], [0, length, 0, 1]);
    assert!(memory(&bytes) > 1 << 30 && memory(&plain) < 64 << 20);
    // A step for each band, in every tile.
    let mut long = grey([1024; 2], [8; 2], &PLAIN, &[]);
    let at = long.windows(2).position(|pair| pair == [0xff, 0x5c]).unwrap();
    long.splice(at..at + 6, segment(0x5c, &[0x40; 60_000]));
    assert_eq!(refused(&long), ErrorKind::InvalidImage);
}

/// All parts of square trees are visited, also where there are no blocks.
#[test]
fn trees_of_flat_pictures() {
    let flat = grey([32_768, 4], [32_768, 4], &[0, 0, 0, 1, 0, 0, 0, 0, 0, 1], &[]);
    assert_eq!(refused(&flat), ErrorKind::LimitExceeded);
    let changes: Vec<u8> = [0, 0, 0, 1, 1, 1, 0].repeat(33);
    assert_eq!(refused(&grey([64; 2], [64; 2], &PLAIN, &segment(0x5f, &changes))), ErrorKind::LimitExceeded);
    let few = segment(0x5f, &changes[..7]);
    assert!(decode(&grey([64; 2], [64; 2], &PLAIN, &few), &Limits::default()).is_ok());
}

/// Any part of a file may say how a component is coded. The same again takes nothing, and what differs has an end.
#[test]
fn many_ways_of_coding() {
    let with = |ways: u16, times: usize| {
        // Sides of blocks, passes, and sides of precincts.
        let way = |i: u16| segment(0x53, &[0, 1, 0, i as u8 % 7, 0, 0, 1, 0x80 | (i / 7) as u8]);
        let more: Vec<u8> = (0..ways).flat_map(way).collect();
        grey([64; 2], [64; 2], &PLAIN, &more.repeat(times))
    };
    assert!(memory(&with(7, 5_000)) < memory(&with(7, 1)) + (1 << 20));
    assert!(decode(&with(7, 5_000), &Limits::default()).is_ok());
    assert_eq!(refused(&with(65, 1)), ErrorKind::LimitExceeded);
}

#[test]
fn lengths_and_places_are_checked() {
    for (at, value, what) in [(5, 0x2a, "size"), (8, 0x7f, "place"), (48, 13, "style")] {
        let mut bytes = grey([64; 2], [64; 2], &PLAIN, &[]);
        bytes[at] = value;
        assert_eq!(refused(&bytes), ErrorKind::InvalidImage, "{what}");
    }
    // Precincts whose places do not fit.
    let steep = [0, 0, 0, 1, 0, 20, 4, 4, 0, 1];
    assert_eq!(refused(&grey([64; 2], [64; 2], &steep, &[])), ErrorKind::InvalidImage);
}

/// Of two codestreams the first counts, as in OpenJPEG; what comes after it does not.
#[test]
fn after_the_first_codestream() {
    let (first, second) = (file("grey.jp2"), file("lossless.j2k"));
    let expected = decode(&first, &Limits::default()).unwrap();
    for more in [b"more".to_vec(), boxed(b"jp2c", &second), boxed(b"jp2c", &grey([19, 13], [19, 13], &PLAIN, &[]))] {
        let bytes = [first.clone(), more].concat();
        assert!(decode(&bytes, &Limits::default()).is_ok_and(|picture| picture == expected));
    }
}

#[test]
fn palettes_of_many_colours() {
    let bytes = file("grey.jp2");
    let at = bytes.windows(4).position(|kind| kind == b"jp2h").unwrap() - 4;
    let length = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let with = |depth: u8, entries: usize| {
        let palette = [&[0, 1, 3][..], &[depth; 3], &vec![1; 3 * usize::from(depth + 1).div_ceil(8)]].concat();
        let mapping: Vec<u8> = (0..entries).flat_map(|i| [0, 0, 1, (i % 3) as u8]).collect();
        let header = [&bytes[at + 8..at + length], &boxed(b"pclr", &palette), &boxed(b"cmap", &mapping)].concat();
        [&bytes[..at], &boxed(b"jp2h", &header), &bytes[at + length..]].concat()
    };
    assert!(memory(&with(7, 3)) > memory(&bytes) + 19 * 13 * 8);
    assert_eq!(refused(&with(7, 1000)), ErrorKind::Unsupported);
    assert_eq!(refused(&with(40, 3)), ErrorKind::InvalidImage);
}
