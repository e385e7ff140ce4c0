//! What holds of every image, whatever its bytes.

use clip_core::ErrorKind::{InvalidImage, LimitExceeded, Unsupported};
use clip_core::image::{Limits, Rgb8, decode, estimate, pixel_values};
use clip_core::spec::{AlphaRule, Centre, ImageSpec, Orientation, ResizeFilter, ResizeRule};
use clip_core::{Error, Result};

use crate::memory;

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

/// Decodes within the memory that its header makes expect, to a picture of the right size or to an error of the image.
pub fn check(bytes: &[u8]) -> Option<Rgb8> {
    let limits = limits();
    let expected = estimate(bytes, &limits, &SPEC);
    let (decoded, most) = memory::most(|| decode(bytes, &limits));
    within("decode", most, expected.bytes, bytes);
    let (values, most) = memory::most(|| pixel_values(bytes, &limits, &SPEC));
    within("pixel_values", most, expected.bytes, bytes);
    let (decoded, values) = (of_the_image(decoded), of_the_image(values));
    assert_eq!(decoded.is_some(), values.is_some());
    if let (Some(Rgb8 { width, height, pixels }), Some(values)) = (&decoded, &values) {
        let area = u64::from(*width) * u64::from(*height);
        assert!(area > 0 && area <= limits.max_pixels, "{width} x {height}");
        assert_eq!(pixels.len() as u64, 3 * area);
        assert_eq!(values.len(), 3 * (SIDE * SIDE) as usize);
        assert!(values.iter().all(|v| v.is_finite()));
    }
    decoded
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
