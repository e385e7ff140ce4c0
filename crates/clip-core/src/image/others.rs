//! TGA and QOI, which Pillow opens by itself, through the `image` crate. Here are how they are told, the limits and the conversion.
//!
//! Radiance HDR and OpenEXR are left out: Pillow opens neither, and how light without bounds becomes 255 levels is nobody's rule.
//! What `image` refuses of a format that Pillow reads is an error that says so.

use std::io;

use image::codecs::{qoi::QoiDecoder, tga::TgaDecoder};
use image::{ColorType, ImageDecoder, ImageError};

use super::Rgb8;
use super::decode::{Decoded, check_pixels, damaged, truncated, unsupported};
use super::estimate::Need;
use super::format::Format;
use super::options::ReadOptions;
use super::reader::{Pieces, u16_le, u32_be};
use crate::guarded::look;
use crate::memory::zeroed;
use crate::{Error, Result};

/// Bytes that a pixel of a decoder's may take: colours and opacity.
const EACH: usize = 4;

/// The picture in RGB, by the `image` crate's decoder for the format.
pub(super) fn decode(format: Format, bytes: &[u8], options: &ReadOptions) -> Result<Decoded> {
    let size = size(format, bytes).ok_or_else(|| damaged(format, "no size in it"))?;
    check_pixels(format, size.0, size.1, &options.limits)?;
    let file = Pieces::new(bytes);
    let failed = |e| refusal(format, e);
    match format {
        Format::Tga => picture(format, size, TgaDecoder::new(file).map_err(failed)?, options),
        _ => picture(format, size, QoiDecoder::new(file).map_err(failed)?, options),
    }
}

/// The samples and the picture.
pub(super) fn need(format: Format, bytes: &[u8]) -> Option<Need<'_>> {
    Some(Need::each(size(format, bytes)?, EACH + 3).deaf())
}

fn size(format: Format, bytes: &[u8]) -> Option<(u32, u32)> {
    match format {
        Format::Tga => Some((u16_le(bytes, 12)?.into(), u16_le(bytes, 14)?.into())),
        _ => Some((u32_be(bytes, 4)?, u32_be(bytes, 8)?)),
    }
}

/// The format has no mark of its own, so all that its header must be is looked at, more closely than Pillow does.
pub(super) fn is_tga(bytes: &[u8]) -> bool {
    let Some(header) = bytes.first_chunk::<18>() else { return false };
    let (has_map, kind, depth, flags) = (header[1], header[2], header[16], header[17]);
    let (width, height) = (u16::from_le_bytes([header[12], header[13]]), u16::from_le_bytes([header[14], header[15]]));
    let map_length = u16::from_le_bytes([header[5], header[6]]);
    let is_map_right = match (has_map, kind) {
        (0, 2 | 3 | 10 | 11) => header[3..8] == [0; 5],
        (1, 1 | 9) => map_length > 0 && matches!(header[7], 15 | 16 | 24 | 32),
        _ => false,
    };
    let is_depth_right = match kind {
        1 | 9 => depth == 8,
        2 | 10 => matches!((depth, flags & 15), (15, 0) | (16, 0 | 1) | (24, 0) | (32, 0 | 8)),
        _ => matches!((depth, flags & 15), (8, 0) | (16, 0 | 8)),
    };
    // Of rows that are not compressed all have to be there.
    let map = if has_map == 1 { usize::from(map_length) * usize::from(header[7]).div_ceil(8) } else { 0 };
    let pixels = usize::from(width) * usize::from(height) * usize::from(depth).div_ceil(8);
    let shortest = 18 + usize::from(header[0]) + map + if kind < 9 { pixels } else { 1 };
    is_map_right && is_depth_right && width > 0 && height > 0 && flags & 0xc0 == 0 && bytes.len() >= shortest
}

/// `size`: what was read of the header here, by which memory is estimated.
fn picture(format: Format, size: (u32, u32), mut decoder: impl ImageDecoder, options: &ReadOptions) -> Result<Decoded> {
    if decoder.dimensions() != size {
        return Err(damaged(format, "its size can be read in two ways"));
    }
    let (width, height) = size;
    let area = check_pixels(format, width, height, &options.limits)?;
    let mut limits = image::Limits::default();
    limits.max_alloc = Some((EACH * area) as u64 + (1 << 20));
    decoder.set_limits(limits).map_err(|e| refusal(format, e))?;
    let colour = decoder.color_type();
    let len = usize::try_from(decoder.total_bytes()).ok().filter(|len| *len <= EACH * area);
    let mut samples = zeroed(len.ok_or_else(|| damaged(format, "size overflows"))?)?;
    decoder.read_image(&mut samples).map_err(|e| refusal(format, e))?;
    Ok(Decoded::rgb(Rgb8 { width, height, pixels: to_rgb(format, colour, &samples, area)? }, 1))
}

fn to_rgb(format: Format, colour: ColorType, samples: &[u8], area: usize) -> Result<Vec<u8>> {
    /// Pixels between two looks.
    const PIECE: usize = 1 << 16;
    let bytes = usize::from(colour.bytes_per_pixel());
    let mut pixels = zeroed(3 * area)?;
    for (samples, pixels) in samples.chunks(bytes * PIECE).zip(pixels.chunks_mut(3 * PIECE)) {
        look();
        let out = pixels.as_chunks_mut::<3>().0.iter_mut().zip(samples.chunks_exact(bytes));
        match colour {
            ColorType::L8 | ColorType::La8 => out.for_each(|(o, s)| *o = [s[0]; 3]),
            ColorType::Rgb8 | ColorType::Rgba8 => out.for_each(|(o, s)| *o = [s[0], s[1], s[2]]),
            other => return Err(unsupported(format, format_args!("samples of the kind {other:?}"))),
        }
    }
    Ok(pixels)
}

fn refusal(format: Format, e: ImageError) -> Error {
    match e {
        ImageError::IoError(e) if e.kind() == io::ErrorKind::UnexpectedEof => truncated(format),
        ImageError::Unsupported(e) => unsupported(format, e.kind_description()),
        ImageError::Limits(_) => {
            Error::limit(format!("{} image needs too much memory besides its pixels", format.name()))
        }
        e => damaged(format, e),
    }
}

/// What an error of `image` is about, in words of this crate.
trait Described {
    fn kind_description(&self) -> String;
}

impl Described for image::error::UnsupportedError {
    fn kind_description(&self) -> String {
        match self.kind() {
            image::error::UnsupportedErrorKind::GenericFeature(what) => what.clone(),
            image::error::UnsupportedErrorKind::Color(colour) => format!("colours of the kind {colour:?}"),
            _ => self.to_string(),
        }
    }
}
