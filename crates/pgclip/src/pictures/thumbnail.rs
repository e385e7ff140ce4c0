//! Small pictures of large ones.

use clip_core::image::{Grey16, Limits, ReadOptions, Truncated, decode_with, estimate_hash, preview};
use clip_core::{Error, Result};
use image::{RgbImage, imageops};
use jpeg_encoder::{ColorType, Encoder};

/// What is read of a file.
pub const MAX_BYTES: usize = 64 << 20;
/// Of the JPEGs that thumbnails are shown as.
pub const QUALITY: u8 = 85;
/// Memory that decoding one picture may take.
const MAX_MEMORY: usize = 1 << 30;

/// The picture within a square of `edge` pixels, upright; never larger than it is. Of a camera's raw file it is the camera's own picture. What can be decoded
/// of a damaged file is shown.
pub fn thumbnail(bytes: &[u8], edge: u32) -> Result<RgbImage> {
    let limits = Limits::default();
    let bytes = preview(bytes, &limits)?.unwrap_or(bytes);
    let estimate = estimate_hash(bytes, &limits);
    if estimate.bytes > MAX_MEMORY {
        return Err(Error::limit(format!("{} takes too much memory for a thumbnail", estimate.what)));
    }
    let options = ReadOptions { limits, truncated: Truncated::Accept, grey16: Grey16::Scale, ..ReadOptions::default() };
    let (picture, _) = decode_with(bytes, options)?;
    let (width, height) = fit(picture.width, picture.height, edge);
    let large = RgbImage::from_raw(picture.width, picture.height, picture.pixels)
        .ok_or_else(|| Error::internal("a picture's pixels do not fit its size"))?;
    Ok(if (width, height) == large.dimensions() { large } else { imageops::thumbnail(&large, width, height) })
}

/// A JPEG of it. From a quality of 90 on its colours are not subsampled.
pub fn jpeg(picture: &RgbImage, quality: u8) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let (Ok(width), Ok(height)) = (u16::try_from(picture.width()), u16::try_from(picture.height())) else {
        return Err(Error::internal("a picture is too large for a JPEG"));
    };
    Encoder::new(&mut bytes, quality)
        .encode(picture, width, height, ColorType::Rgb)
        .map_err(|e| Error::internal(format!("could not encode a JPEG: {e}")))?;
    Ok(bytes)
}

/// Sides of a picture within a square of `edge` pixels; never larger than they are.
pub fn fit(width: u32, height: u32, edge: u32) -> (u32, u32) {
    let longest = width.max(height);
    if longest <= edge {
        return (width, height);
    }
    let scaled = |side: u32| ((u64::from(side) * u64::from(edge) + u64::from(longest) / 2) / u64::from(longest)).max(1);
    (scaled(width) as u32, scaled(height) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_keep_their_relation() {
        assert_eq!(fit(4000, 3000, 320), (320, 240));
        assert_eq!(fit(3000, 4000, 320), (240, 320));
        assert_eq!(fit(100, 50, 320), (100, 50));
        assert_eq!(fit(100_000, 1, 320), (320, 1));
    }

    #[test]
    fn a_picture_becomes_a_small_jpeg() {
        let ox = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/demo/pictures/ox.png")).unwrap();
        let small = thumbnail(&ox, 40).unwrap();
        assert_eq!(small.width().max(small.height()), 40);
        let again = clip_core::image::decode(&jpeg(&small, QUALITY).unwrap(), &Limits::default()).unwrap();
        assert_eq!((again.width, again.height), small.dimensions());
        assert!(thumbnail(b"no picture", 40).is_err());
    }
}
