//! Large pictures made smaller before they are sent.

use clip_core::image::{Limits, ReadOptions, decode_with, size};
use image::RgbImage;
use image::imageops::{FilterType, resize};

use crate::pictures::{fit, jpeg};

/// Of the JPEG that is made, without subsampling: what is lost is the file's size, not its colours.
const QUALITY: u8 = 92;

/// A JPEG whose longer side has `most` pixels, turned as its EXIF says. The bytes themselves where the picture is smaller, of no known format,
/// or takes fewer bytes as it is, as drawings may.
pub fn shrink(bytes: Vec<u8>, most: u32, reading: &ReadOptions) -> Result<Vec<u8>, String> {
    if size(&bytes).is_none_or(|(width, height)| width.max(height) <= most) {
        return Ok(bytes);
    }
    let options = ReadOptions { limits: Limits { max_bytes: usize::MAX, ..reading.limits }, ..*reading };
    let (picture, _) = decode_with(&bytes, options).map_err(|e| e.to_string())?;
    let (width, height) = fit(picture.width, picture.height, most);
    let whole = RgbImage::from_raw(picture.width, picture.height, picture.pixels).ok_or("could not be scaled")?;
    let small = resize(&whole, width, height, FilterType::Lanczos3);
    let written = jpeg(&small, QUALITY).map_err(|e| e.to_string())?;
    Ok(if written.len() < bytes.len() { written } else { bytes })
}
