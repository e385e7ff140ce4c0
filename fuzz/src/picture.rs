//! What holds of every image, whatever its bytes.

use clip_core::ErrorKind::{InvalidImage, LimitExceeded, Unsupported};
use clip_core::image::{
    Grey16, JpegDecoding, Limits, Pixels, ReadOptions, Rgb8, Truncated, decode_with, estimate, estimate_frames, frames,
    pixel_values,
};
use clip_core::spec::{AlphaRule, Centre, ImageSpec, Orientation, ResizeFilter, ResizeRule};
use clip_core::{Error, Result};

use crate::{cpu, library, memory};

/// Beside what is estimated from the header: metadata, tables, messages.
const SLACK: usize = 2 << 20;
const SIDE: u32 = 16;

const SPEC: ImageSpec = ImageSpec {
    orientation: Orientation::Exif,
    alpha: AlphaRule::Drop,
    resize: ResizeRule::ShortestEdge(SIDE),
    filter: ResizeFilter::Bicubic,
    crop: SIDE,
    centre: Centre::Floor,
    rescale: 1.0 / 255.0,
    mean: [0.5; 3],
    std: [0.5; 3],
};

/// Few pixels, so that an execution is short.
pub fn limits() -> Limits {
    Limits { max_bytes: 1 << 20, max_pixels: 1 << 18, ..Limits::default() }
}

/// The bytes as a file of a format: the first of its beginnings is put in the place of the first bytes where none is there.
pub fn beginning_with(bytes: &[u8], beginnings: &[&[u8]]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if !beginnings.iter().any(|b| bytes.starts_with(b))
        && let Some(first) = beginnings.first()
    {
        bytes.resize(bytes.len().max(first.len()), 0);
        bytes[..first.len()].copy_from_slice(first);
    }
    bytes
}

/// The bytes as a PNG, whose chunks have the checksums that the decoder asks for.
pub fn png(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = beginning_with(bytes, &[b"\x89PNG\r\n\x1a\n"]);
    let mut at = 8;
    while let Some((length, rest)) = bytes[at..].split_first_chunk() {
        let Some(chunk) = rest.get(..4 + u32::from_be_bytes(*length) as usize) else { break };
        let (checksum, end) = (crc32fast::hash(chunk), at + 4 + chunk.len());
        let Some(place) = bytes.get_mut(end..end + 4) else { break };
        place.copy_from_slice(&checksum.to_be_bytes());
        at = end + 4;
    }
    bytes
}

/// The bytes as a WebP.
pub fn webp(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes.resize(bytes.len().max(12), 0);
    bytes[..4].copy_from_slice(b"RIFF");
    bytes[8..12].copy_from_slice(b"WEBP");
    bytes
}

/// Decodes within the memory that its header makes expect, to a picture of the right size or to an error of the image. What is
/// read where damage is refused is the same where it is accepted.
pub fn check(bytes: &[u8]) -> Option<Rgb8> {
    library::may_panic();
    cpu::limited(|| decoded(bytes))
}

fn decoded(bytes: &[u8]) -> Option<Rgb8> {
    let limits = limits();
    let lenient =
        ReadOptions { limits, truncated: Truncated::Accept, grey16: Grey16::Scale, jpeg: JpegDecoding::Reduced };
    let expected = estimate(bytes, &limits, &SPEC).bytes;
    let (strict, most) = memory::most(|| decode_with(bytes, &limits));
    within("decode", most, expected, bytes);
    let strict = of_the_image(strict);
    let (values, most) = memory::most(|| pixel_values(bytes, &lenient, &SPEC));
    within("pixel_values", most, estimate(bytes, lenient, &SPEC).bytes, bytes);
    let values = of_the_image(values);
    if let Some(Pixels { values, width, height, remarks }) = &values {
        assert_eq!((*width, *height, values.len()), (SIDE as usize, SIDE as usize, 3 * (SIDE * SIDE) as usize));
        assert!(values.iter().all(|v| v.is_finite()));
        assert!(remarks.incomplete.is_some() || strict.is_some(), "whole, and refused");
    }
    let (picture, remarks) = strict?;
    let Rgb8 { width, height, pixels } = &picture;
    let area = u64::from(*width) * u64::from(*height);
    assert!(area > 0 && area <= limits.max_pixels, "{width} x {height}");
    assert_eq!(pixels.len() as u64, 3 * area);
    assert!(remarks.incomplete.is_none(), "incomplete, and not refused");
    let accepted = decode_with(bytes, &ReadOptions { limits, truncated: Truncated::Accept, ..ReadOptions::default() });
    assert!(accepted.is_ok_and(|(other, _)| other == picture), "another picture where damage is accepted");
    Some(picture)
}

/// Frames of an animation, within the memory that is estimated: PNGs of one size, and fewer are some of all.
pub fn check_frames(bytes: &[u8]) {
    library::may_panic();
    cpu::limited(|| drawn(bytes));
}

fn drawn(bytes: &[u8]) {
    let limits = limits();
    let expected = estimate_frames(bytes, &limits).bytes;
    let given = |frames: &Option<Vec<Vec<u8>>>| frames.iter().flatten().map(|frame| frame.capacity()).sum::<usize>();
    // What is given is no part of the estimate, and of an animation that fails nobody can tell how much that was.
    let (all, most) = memory::most(|| frames(bytes, usize::MAX, &limits));
    let all = of_the_image(all);
    if all.is_some() {
        within("frames", most.saturating_sub(2 * given(&all)), expected, bytes);
    }
    let (one, most) = memory::most(|| frames(bytes, 1, &limits));
    let one = of_the_image(one);
    let picture = 4 * limits.max_pixels as usize;
    within("one frame", most.saturating_sub(if one.is_some() { 2 * given(&one) } else { picture }), expected, bytes);
    let Some(all) = all else { return };
    assert!(!all.is_empty(), "no frame");
    let sizes = all.iter().map(|png| decode_with(png, &limits).map(|(picture, _)| (picture.width, picture.height)));
    let sizes: Vec<_> = sizes.map(|size| size.expect("a frame is a PNG")).collect();
    assert!(sizes.windows(2).all(|pair| pair[0] == pair[1]), "frames of different sizes");
    assert!(one.is_some_and(|one| one.len() == 1 && all.contains(&one[0])), "a frame that is none of all");
}

fn within(what: &str, most: usize, expected: usize, bytes: &[u8]) {
    let limit = expected + 2 * bytes.len() + SLACK;
    assert!(most <= limit, "{what} took {most} bytes, estimated {expected}, of a file of {}", bytes.len());
}

fn of_the_image<T>(result: Result<T>) -> Option<T> {
    let Error { kind, message, .. } = match result {
        Ok(value) => return Some(value),
        Err(e) => e,
    };
    assert!(matches!(kind, InvalidImage | LimitExceeded | Unsupported), "{kind:?}: {message}");
    assert!(!message.contains("decoder failed"), "a decoder panicked");
    None
}
