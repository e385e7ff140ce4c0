//! Large pictures made smaller before they are sent.

use clip_core::image::{Limits, ReadOptions, decode_with, size};
use image::imageops::{FilterType, resize};
use image::{ImageBuffer, Rgb};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

/// Of the JPEG that is made, without subsampling: what is lost is the file's size, not its colours.
const QUALITY: u8 = 92;

/// A JPEG whose longer side has `most` pixels, turned as its EXIF says. The bytes themselves where the picture is smaller, of no known format,
/// or takes fewer bytes as it is, as drawings may.
pub fn shrink(bytes: Vec<u8>, most: u32, reading: &ReadOptions) -> Result<Vec<u8>, String> {
    let Some((width, height)) = size(&bytes).filter(|(width, height)| *width.max(height) > most) else {
        return Ok(bytes);
    };
    let options = ReadOptions { limits: Limits { max_bytes: usize::MAX, ..reading.limits }, ..*reading };
    let (picture, _) = decode_with(&bytes, options).map_err(|e| e.to_string())?;
    let scale = f64::from(most) / f64::from(width.max(height));
    let scaled = |side: u32| ((f64::from(side) * scale).round() as u32).clamp(1, most);
    let wrong = || "could not be scaled".to_owned();
    let whole: ImageBuffer<Rgb<u8>, _> =
        ImageBuffer::from_raw(picture.width, picture.height, picture.pixels).ok_or_else(wrong)?;
    let small = resize(&whole, scaled(picture.width), scaled(picture.height), FilterType::Lanczos3);
    let (columns, rows) = (u16::try_from(small.width()), u16::try_from(small.height()));
    let (Ok(columns), Ok(rows)) = (columns, rows) else { return Err(wrong()) };
    let mut written = Vec::new();
    let mut encoder = Encoder::new(&mut written, QUALITY);
    encoder.set_sampling_factor(SamplingFactor::F_1_1);
    encoder.encode(&small, columns, rows, ColorType::Rgb).map_err(|e| e.to_string())?;
    Ok(if written.len() < bytes.len() { written } else { bytes })
}
