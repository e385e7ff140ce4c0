//! EXIF and XMP data in each place where they may lie. Whatever they are, the picture is read, as one of its eight orientations.

#![no_main]

use std::sync::OnceLock;

use clip_core::image::{Rgb8, decode};
use libfuzzer_sys::fuzz_target;
use pg_clip_fuzz::picture::{check, limits};

/// Six pixels of six colours, 3 x 2.
const PNG: &[u8] = include_bytes!("../pictures/six.png");
const JPEG: &[u8] = include_bytes!("../pictures/six.jpg");
const WEBP: &[u8] = include_bytes!("../pictures/six.webp");
/// Of a segment of a JPEG.
const SEGMENT: usize = 65_533;

fuzz_target!(|input: &[u8]| {
    let Some((place, data)) = input.split_first() else { return };
    let (container, bytes) = match place % 7 {
        0 => (0, png(b"eXIf", data)),
        1 => (0, png(b"tEXt", &[&b"Raw profile type exif\0"[..], data].concat())),
        2 => (0, png(b"iTXt", &[&b"XML:com.adobe.xmp\0\0\0\0\0"[..], data].concat())),
        3 => (1, jpeg(b"Exif\0\0", data)),
        4 => (1, jpeg(b"http://ns.adobe.com/xap/1.0/\0", data)),
        5 => (2, webp(b"EXIF", data)),
        _ => (2, webp(b"XMP ", data)),
    };
    let picture = check(&bytes).expect("metadata make no picture unreadable");
    static UPRIGHT: OnceLock<Vec<Vec<Rgb8>>> = OnceLock::new();
    let turned = UPRIGHT.get_or_init(|| {
        let plain = |bytes| decode(bytes, &limits()).expect("the plain picture");
        [PNG, JPEG, WEBP].map(|bytes| orientations(&plain(bytes))).into()
    });
    assert!(turned[container].contains(&picture), "no orientation of the picture");
});

fn png(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    // Behind the header, whose length is known.
    let (head, rest) = PNG.split_at(33);
    let length = (data.len() as u32).to_be_bytes();
    let mut crc = crc32fast::Hasher::new();
    crc.update(kind);
    crc.update(data);
    [head, &length, kind, data, &crc.finalize().to_be_bytes(), rest].concat()
}

fn jpeg(prefix: &[u8], data: &[u8]) -> Vec<u8> {
    let mut bytes = JPEG[..2].to_vec();
    for part in data.chunks(SEGMENT - prefix.len()) {
        let length = ((2 + prefix.len() + part.len()) as u16).to_be_bytes();
        bytes.extend([&[0xff, 0xe1][..], &length, prefix, part].concat());
    }
    bytes.extend(&JPEG[2..]);
    bytes
}

fn webp(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let chunk = |kind: &[u8], data: &[u8]| {
        let padding = &[0][..data.len() % 2];
        [kind, &(data.len() as u32).to_le_bytes(), data, padding].concat()
    };
    // Flags of EXIF and XMP; width and height less 1.
    let extended = chunk(b"VP8X", &[0b1100, 0, 0, 0, 2, 0, 0, 1, 0, 0]);
    let body = [&b"WEBP"[..], &extended, &WEBP[12..], &chunk(kind, data)].concat();
    [&b"RIFF"[..], &(body.len() as u32).to_le_bytes(), &body].concat()
}

/// All eight: rows and columns mirrored or not, exchanged or not.
fn orientations(picture: &Rgb8) -> Vec<Rgb8> {
    let (width, height) = (picture.width as usize, picture.height as usize);
    let at = |x: usize, y: usize| &picture.pixels[3 * (y * width + x)..][..3];
    let turned = |which: usize| {
        let place = |x: usize, y: usize| {
            let (x, y) = if which & 4 > 0 { (y, x) } else { (x, y) };
            (if which & 1 > 0 { width - 1 - x } else { x }, if which & 2 > 0 { height - 1 - y } else { y })
        };
        let (w, h) = if which & 4 > 0 { (height, width) } else { (width, height) };
        let places = (0..h).flat_map(|y| (0..w).map(move |x| (x, y)));
        let pixels = places.flat_map(|(x, y)| {
            let (x, y) = place(x, y);
            at(x, y).to_vec()
        });
        Rgb8 { width: w as u32, height: h as u32, pixels: pixels.collect() }
    };
    (0..8).map(turned).collect()
}
