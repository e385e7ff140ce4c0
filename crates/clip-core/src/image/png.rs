//! PNG: every colour type and depth, palettes, interlacing; of an APNG the default picture.
//!
//! Follows Pillow's `PngImagePlugin.py` on the way to RGB: 16-bit colours keep their high byte, 16-bit grey (mode
//! `I;16`) is clipped at 255, transparency is dropped, palette entries that the file does not define are black.

use png::{BitDepth, ColorType, DecodingError, Transformations};

use super::decode::{Decoded, check_pixels, damaged, look, truncated};
use super::estimate::Need;
use super::format::Format::Png;
use super::reader::{Pieces, array, slice, u8_at, u32_be};
use super::{Limits, Rgb8, exif};
use crate::Result;
use crate::memory::zeroed;

pub(super) fn decode(bytes: &[u8], limits: &Limits) -> Result<Decoded> {
    let (width, height) = header(bytes)?;
    let area = check_pixels(Png, width, height, limits)?;
    let mut decoder = png::Decoder::new_with_limits(Pieces::new(bytes), png::Limits { bytes: 64 << 20 });
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder.set_transformations(Transformations::IDENTITY);
    let mut reader = decoder.read_info().map_err(png_error)?;
    let info = reader.info();
    if (info.width, info.height) != (width, height) {
        return Err(damaged(Png, "headers disagree"));
    }
    let format = Samples::new(info)?;
    let mut pixels = zeroed(3 * area)?;
    let stride = 3 * width as usize;
    if info.interlaced {
        let size = reader.output_buffer_size().ok_or_else(|| damaged(Png, "size overflows"))?;
        let mut buffer = zeroed(size)?;
        let frame = reader.next_frame(&mut buffer).map_err(png_error)?;
        for (row, out) in buffer.chunks_exact(frame.line_size.max(1)).zip(pixels.chunks_exact_mut(stride)) {
            look();
            format.row_to_rgb(row, out);
        }
    } else {
        // Row by row: a 16-bit picture never exists as a whole.
        for out in pixels.chunks_exact_mut(stride) {
            look();
            let row = reader.next_row().map_err(png_error)?.ok_or_else(|| truncated(Png))?;
            format.row_to_rgb(row.data(), out);
        }
    }
    let (exif, xmp) = metadata(bytes);
    let orientation = exif::orientation(exif.as_deref(), xmp);
    Ok(Decoded::rgb(Rgb8 { width, height, pixels }, orientation))
}

/// The pixels; interlaced ones as the file has them, too. The decoder keeps some rows.
pub(super) fn need(bytes: &[u8]) -> Option<Need> {
    let (width, height) = header(bytes).ok()?;
    let samples = match u8_at(bytes, 25)? {
        2 => 3,
        4 => 2,
        6 => 4,
        _ => 1,
    };
    let row = (width as usize).checked_mul(samples * usize::from(u8_at(bytes, 24)?))?.div_ceil(8);
    let interlaced = u8_at(bytes, 28)? != 0;
    let rows = if interlaced { row.checked_mul(height as usize)? } else { 0 };
    let pixels = (width as usize).checked_mul(height as usize)?.checked_mul(3)?;
    Some(Need { width, height, bytes: pixels.checked_add(rows)?.checked_add(14 * row + (1 << 20))?, deaf: false })
}

/// Width and height, from the chunk that has to come first.
fn header(bytes: &[u8]) -> Result<(u32, u32)> {
    let head: [u8; 16] = array(bytes, 8).ok_or_else(|| truncated(Png))?;
    if &head[4..8] != b"IHDR" {
        return Err(damaged(Png, "the first chunk is not IHDR"));
    }
    let size = |at| u32_be(&head, at).ok_or_else(|| truncated(Png));
    Ok((size(8)?, size(12)?))
}

fn png_error(e: DecodingError) -> crate::Error {
    match e {
        DecodingError::IoError(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => truncated(Png),
        DecodingError::LimitsExceeded => crate::Error::limit("PNG image needs too much memory besides its pixels"),
        e => damaged(Png, e),
    }
}

/// How a row's bytes become RGB.
struct Samples {
    colour: ColorType,
    depth: BitDepth,
    palette: Vec<[u8; 3]>,
}

impl Samples {
    fn new(info: &png::Info) -> Result<Self> {
        let mut palette = Vec::new();
        if info.color_type == ColorType::Indexed {
            let entries = info.palette.as_deref().ok_or_else(|| damaged(Png, "no palette"))?;
            palette = entries.as_chunks::<3>().0.to_vec();
            palette.resize(256, [0; 3]);
        }
        Ok(Self { colour: info.color_type, depth: info.bit_depth, palette })
    }

    fn row_to_rgb(&self, row: &[u8], out: &mut [u8]) {
        let out = out.as_chunks_mut::<3>().0.iter_mut();
        // Bytes per sample; the first byte of a 16-bit one is the high byte.
        let step = if self.depth == BitDepth::Sixteen { 2 } else { 1 };
        match (self.colour, self.depth) {
            (ColorType::Grayscale, BitDepth::Sixteen) => {
                out.zip(row.as_chunks::<2>().0).for_each(|(o, s)| *o = [u16::from_be_bytes(*s).min(255) as u8; 3]);
            }
            (ColorType::Grayscale, BitDepth::Eight) => out.zip(row).for_each(|(o, s)| *o = [*s; 3]),
            (ColorType::Grayscale, depth) => {
                let bits = depth as usize;
                let scale = 255 / ((1u8 << bits) - 1);
                out.zip(unpack(row, bits)).for_each(|(o, s)| *o = [s * scale; 3]);
            }
            (ColorType::Indexed, BitDepth::Eight) => {
                out.zip(row).for_each(|(o, s)| *o = self.palette[usize::from(*s)]);
            }
            (ColorType::Indexed, depth) => {
                out.zip(unpack(row, depth as usize)).for_each(|(o, s)| *o = self.palette[usize::from(s)]);
            }
            (ColorType::GrayscaleAlpha, _) => {
                out.zip(row.chunks_exact(2 * step)).for_each(|(o, s)| *o = [s[0]; 3]);
            }
            (ColorType::Rgb, _) => {
                out.zip(row.chunks_exact(3 * step)).for_each(|(o, s)| *o = [s[0], s[step], s[2 * step]]);
            }
            (ColorType::Rgba, _) => {
                out.zip(row.chunks_exact(4 * step)).for_each(|(o, s)| *o = [s[0], s[step], s[2 * step]]);
            }
        }
    }
}

/// Samples of 1, 2 or 4 bits, the first in the high bits.
pub(super) fn unpack(row: &[u8], bits: usize) -> impl Iterator<Item = u8> + '_ {
    let mask = ((1u16 << bits) - 1) as u8;
    row.iter().flat_map(move |byte| (0..8 / bits).map(move |i| (byte >> (8 - bits * (i + 1))) & mask))
}

/// The EXIF block (from `eXIf`, or from ImageMagick's hexadecimal text chunk) and the XMP packet.
fn metadata(bytes: &[u8]) -> (Option<std::borrow::Cow<'_, [u8]>>, Option<&[u8]>) {
    let (mut exif, mut xmp) = (None, None);
    let mut at = 8usize;
    while let (Some(len), Some(kind)) = (u32_be(bytes, at), array::<4>(bytes, at.saturating_add(4))) {
        let Some(data) = slice(bytes, at + 8, len as usize) else { break };
        match &kind {
            b"eXIf" => exif = Some(data.into()),
            b"iTXt" => xmp = plain_xmp(data).or(xmp),
            b"tEXt" if exif.is_none() => exif = raw_profile(data).map(Into::into),
            b"IEND" => break,
            _ => {}
        }
        at += 12 + len as usize;
    }
    (exif, xmp)
}

/// An uncompressed `iTXt` chunk: keyword, 0, compression flag and method, language, 0, translated keyword, 0, text.
fn plain_xmp(data: &[u8]) -> Option<&[u8]> {
    data.strip_prefix(b"XML:com.adobe.xmp\0\0\0")
}

/// ImageMagick's `Raw profile type exif`: a line feed, the name, the length, then hexadecimal digits in lines.
fn raw_profile(data: &[u8]) -> Option<Vec<u8>> {
    let text = data.strip_prefix(b"Raw profile type exif\0")?;
    let digits: Vec<u8> = text.splitn(4, |b| *b == b'\n').nth(3)?.iter().copied().filter(|b| *b != b'\n').collect();
    let digit = |b: u8| (b as char).to_digit(16).map(|d| d as u8);
    digits.as_chunks::<2>().0.iter().map(|[hi, lo]| Some(digit(*hi)? << 4 | digit(*lo)?)).collect()
}
