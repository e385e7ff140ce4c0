//! JPEG inside of a file, new-style and old-style, of streams that the JPEG decoder's own tests have.

mod common;

use std::path::Path;

use common::*;
use jpeg_levels::{Decoder, Env, Output};
use tiff_levels::Error;

/// 4:2:0, baseline.
const SUBSAMPLED: &str = "00053_pillow_58x57_q50_subsampling2_progressiveFalse_optimizeTrue_RGB";
const GREY: &str = "00039_pillow_12x19_q75_progressiveFalse_optimizeFalse_L";
const INKS: &str = "00035_cmyk_40x29_q75";

fn stream(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../jpeg-levels/tests/golden");
    std::fs::read(folder.join(name).with_extension("jpg")).unwrap()
}

fn levels(stream: &[u8], output: Output) -> Vec<u8> {
    Decoder::new(stream).unwrap().decode(output, &Env::default()).unwrap().pixels
}

/// What is in front of the scan's data, segment by segment with its marker; and the rest.
fn segments(stream: &[u8]) -> (Vec<(u8, &[u8])>, &[u8]) {
    let (mut at, mut found) = (2, Vec::new());
    loop {
        let length = usize::from(u16::from_be_bytes([stream[at + 2], stream[at + 3]]));
        let (marker, end) = (stream[at + 1], at + 2 + length);
        found.push((marker, &stream[at..end]));
        at = end;
        if marker == 0xda {
            return (found, &stream[at..]);
        }
    }
}

#[test]
fn a_strip_is_a_stream() {
    let chroma = stream(SUBSAMPLED);
    let file = File::new(58, 57, 6, 3).tag(COMPRESSION, &[7]).chunks(&[&chroma]);
    assert_eq!(file.decode().unwrap(), levels(&chroma, Output::Rgb));
    let grey = stream(GREY);
    let file = File::new(12, 19, 1, 1).tag(COMPRESSION, &[7]).chunks(&[&grey]);
    assert_eq!(file.decode().unwrap(), levels(&grey, Output::Rgb));
    // Here inks are as the file has them: not inverted, as they are in a JPEG file.
    let inks = stream(INKS);
    let file = File::new(40, 29, 5, 4).tag(COMPRESSION, &[7]).chunks(&[&inks]);
    let raw = File::new(40, 29, 5, 4).chunks(&[&levels(&inks, Output::Stored)]);
    assert_eq!(file.decode().unwrap(), raw.decode().unwrap());
}

#[test]
fn tables_may_stand_in_a_tag() {
    let whole = stream(SUBSAMPLED);
    let (segments, data) = segments(&whole);
    let (mut tables, mut rest) = (vec![0xff, 0xd8], vec![0xff, 0xd8]);
    for (marker, segment) in segments {
        let to = if matches!(marker, 0xdb | 0xc4) { &mut tables } else { &mut rest };
        to.extend_from_slice(segment);
    }
    rest.extend_from_slice(data);
    let file = File::new(58, 57, 6, 3).tag(COMPRESSION, &[7]).chunks(&[&rest]);
    // Their end marker is often forgotten.
    for end in [&[0xff, 0xd9][..], &[]] {
        let file = file.clone().bytes(347, &[&tables[..], end].concat());
        assert_eq!(file.decode().unwrap(), levels(&whole, Output::Rgb));
    }
    assert!(matches!(file.decode(), Err(Error::Jpeg(_) | Error::Truncated)), "without the tables");
}

#[test]
fn streams_of_another_size_are_refused() {
    let grey = stream(GREY);
    for (width, height) in [(11, 19), (13, 19), (12, 20)] {
        let file = File::new(width, height, 1, 1).tag(COMPRESSION, &[7]).chunks(&[&grey]);
        assert!(matches!(file.decode(), Err(Error::Damaged(_))), "{width} x {height}");
    }
    // A last strip may be as high as the others.
    let file = File::new(12, 17, 1, 1).tag(COMPRESSION, &[7]).chunks(&[&grey]);
    assert_eq!(file.decode().unwrap(), levels(&grey, Output::Rgb)[..3 * 12 * 17]);
    let file = File::new(12, 19, 2, 3).tag(COMPRESSION, &[7]).chunks(&[&grey]);
    assert!(matches!(file.decode(), Err(Error::Damaged(_))), "one component for three");
    let cut = &grey[..grey.len() / 2 + grey.len() / 4];
    let file = File::new(12, 19, 1, 1).tag(COMPRESSION, &[7]).chunks(&[cut]);
    assert_eq!(file.decode(), Err(Error::Truncated));
}

/// Chroma is repeated, and the range is what libtiff takes where no tag says otherwise: all of it.
#[test]
fn old_style_jpeg() {
    let whole = stream(SUBSAMPLED);
    let samples = Decoder::new(&whole).unwrap().repeat_chroma().decode(Output::Stored, &Env::default()).unwrap();
    let raw = File::new(58, 57, 6, 3).tag(COMPRESSION, &[32773]).tag(530, &[1, 1]);
    let packed: Vec<u8> =
        samples.pixels.chunks(128).flat_map(|run| [&[run.len() as u8 - 1][..], run].concat()).collect();
    let expected = raw.chunks(&[&packed]).decode().unwrap();
    assert_ne!(expected, levels(&whole, Output::Rgb), "the filter makes a difference");
    let old = || File::new(58, 57, 6, 3).tag(COMPRESSION, &[6]);

    // A whole stream, beside strips that say nothing.
    let mut file = old().chunks(&[&[1, 2, 3]]);
    let place = file.put(&whole);
    let file = file.tag(513, &[place]).tag(514, &[whole.len() as u64]);
    assert_eq!(file.decode().unwrap(), expected);
    // A stream in the only strip.
    assert_eq!(old().chunks(&[&whole]).decode().unwrap(), expected);
    // Headers beside the strip.
    let (parts, data) = segments(&whole);
    let headers = whole.len() - data.len();
    let mut file = old().chunks(&[data]);
    let place = file.put(&whole[..headers]);
    assert_eq!(file.tag(513, &[place]).tag(514, &[headers as u64]).decode().unwrap(), expected);

    // Tables in tags. Those of the luma come first.
    let mut file = old().tag(530, &[2, 2]).chunks(&[data]);
    let (mut steps, mut dc, mut ac) = (Vec::new(), Vec::new(), Vec::new());
    for (marker, segment) in parts {
        let mut body = &segment[4..];
        while !body.is_empty() && matches!(marker, 0xdb | 0xc4) {
            let len = if marker == 0xdb { 64 } else { 16 + body[1..17].iter().map(|&n| usize::from(n)).sum::<usize>() };
            let place = file.put(&body[1..1 + len]);
            match (marker, body[0]) {
                (0xdb, _) => steps.push(place),
                (_, 0 | 1) => dc.push(place),
                _ => ac.push(place),
            }
            body = &body[1 + len..];
        }
    }
    for places in [&mut steps, &mut dc, &mut ac] {
        assert_eq!(places.len(), 2);
        places.push(places[1]);
    }
    let file = file.tag(519, &steps).tag(520, &dc).tag(521, &ac);
    assert_eq!(file.decode().unwrap(), expected);
}
