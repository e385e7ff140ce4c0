//! PNG: every colour type and depth, palettes, interlacing; of an APNG the default picture.
//!
//! Follows Pillow's `PngImagePlugin.py` on the way to RGB: 16-bit colours keep their high byte, 16-bit grey (mode
//! `I;16`) is clipped at 255, transparency is dropped, palette entries that the file does not define are black.

use std::cell::Cell;

use png::{BitDepth, ColorType, DecodingError, Transformations};

use super::decode::{Decoded, check_pixels, damaged, truncated};
use super::estimate::Need;
use super::format::Format::Png;
use super::grey16;
use super::options::{Grey16, ReadOptions, Remarks, Truncated};
use super::png_chunks;
use super::reader::{Pieces, array, u8_at, u32_be};
use super::{Rgb8, exif};
use crate::Result;
use crate::guarded::look;
use crate::memory::zeroed;

/// The default picture in RGB.
pub(super) fn decode(bytes: &[u8], options: &ReadOptions) -> Result<Decoded> {
    let (width, height) = header(bytes)?;
    let area = check_pixels(Png, width, height, &options.limits)?;
    png_chunks::check(bytes)?;
    let pieces = Pieces::new(bytes);
    let left = pieces.left();
    let mut decoder = png::Decoder::new_with_options(pieces, what_counts());
    decoder.set_limits(png::Limits { bytes: 64 << 20 });
    decoder.set_transformations(Transformations::IDENTITY);
    let mut reader = decoder.read_info().map_err(png_error)?;
    let info = reader.info();
    if (info.width, info.height) != (width, height) {
        return Err(damaged(Png, "headers disagree"));
    }
    let mut format = Samples::new(info, options.grey16)?;
    let mut pixels = zeroed(3 * area)?;
    let stride = 3 * width as usize;
    let read = if info.interlaced {
        let bits = format.colour.samples() * format.depth as usize;
        let line = reader.output_line_size(width).ok_or_else(|| damaged(Png, "size overflows"))?;
        let size = line.checked_mul(height as usize).ok_or_else(|| damaged(Png, "size overflows"))?;
        let mut buffer = zeroed(size)?;
        let read = interlaced(&mut reader, &mut buffer, line, bits as u8, (width, height));
        for (row, out) in buffer.chunks_exact(line.max(1)).zip(pixels.chunks_exact_mut(stride)) {
            look();
            format.row_to_rgb(row, out);
        }
        read
    } else {
        rows(&mut reader, &mut pixels, stride, &mut format)
    };
    let mut remarks = Remarks { incomplete: None, clipped: format.clipped };
    if let Err(e) = read.and_then(|()| check_end(&mut reader, &left)) {
        if options.truncated == Truncated::Refuse {
            return Err(png_error(e));
        }
        remarks.incomplete = Some(Png);
    }
    format.finish(&mut pixels);
    let (exif, xmp) = png_chunks::metadata(bytes);
    let orientation = exif::orientation(exif.as_deref(), xmp.as_deref());
    Ok(Decoded { remarks, ..Decoded::rgb(Rgb8 { width, height, pixels }, orientation) })
}

/// Of checksums that of the deflated stream: those of chunks are `png_chunks`'s to check.
pub(super) fn what_counts() -> png::DecodeOptions {
    let mut options = png::DecodeOptions::default();
    options.set_ignore_crc(true);
    options.set_ignore_adler32(false);
    options.set_ignore_text_chunk(true);
    options.set_ignore_iccp_chunk(true);
    options
}

/// After the last row: the stream's checksum, where it follows. That there is more of it, or less, does not matter, as in Pillow.
fn check_end(reader: &mut Reader, left: &Cell<usize>) -> std::result::Result<(), DecodingError> {
    /// Deflated bytes that may follow the last row: they cost some milliseconds, whatever they are.
    const MORE: usize = 1 << 14;
    left.set(MORE);
    match reader.next_interlaced_row() {
        Err(e @ DecodingError::Format(_)) => Err(e),
        _ => Ok(()),
    }
}

type Reader<'a> = png::Reader<Pieces<&'a [u8]>>;

/// Row by row: a 16-bit picture never exists as a whole. Rows that are missing are left as zeros would be.
fn rows(
    reader: &mut Reader,
    pixels: &mut [u8],
    stride: usize,
    format: &mut Samples,
) -> std::result::Result<(), DecodingError> {
    let mut result = Ok(());
    let mut none = Vec::new();
    for out in pixels.chunks_exact_mut(stride) {
        look();
        if result.is_ok() {
            match reader.next_row() {
                Ok(Some(row)) => {
                    format.row_to_rgb(row.data(), out);
                    continue;
                }
                Ok(None) => result = Err(end()),
                Err(e) => result = Err(e),
            }
            // A row is no longer than the decoder's own.
            none = vec![0; reader.output_line_size((stride / 3) as u32).unwrap_or(0)];
        }
        format.row_to_rgb(&none, out);
    }
    result
}

/// The passes into a picture of lines as the file has them. What follows the last row does not matter.
fn interlaced(
    reader: &mut Reader,
    buffer: &mut [u8],
    line: usize,
    bits: u8,
    (width, height): (u32, u32),
) -> std::result::Result<(), DecodingError> {
    // Of each pass the first column and row, and how far apart they are.
    const PASSES: [(u32, u32, u32, u32); 7] =
        [(0, 8, 0, 8), (4, 8, 0, 8), (0, 4, 4, 8), (2, 4, 0, 4), (0, 2, 2, 4), (1, 2, 0, 2), (0, 1, 1, 2)];
    let count = |size: u32, first: u32, step: u32| size.saturating_sub(first).div_ceil(step);
    let lines = PASSES.map(|(x, dx, y, dy)| if count(width, x, dx) > 0 { u64::from(count(height, y, dy)) } else { 0 });
    for _ in 0..lines.iter().sum::<u64>() {
        look();
        let row = reader.next_interlaced_row()?.ok_or_else(end)?;
        if let png::InterlaceInfo::Adam7(pass) = row.interlace() {
            png::expand_interlaced_row(buffer, line, row.data(), pass, bits);
        }
    }
    Ok(())
}

fn end() -> DecodingError {
    DecodingError::IoError(std::io::ErrorKind::UnexpectedEof.into())
}

/// The pixels; interlaced ones as the file has them, too. The decoder keeps some rows.
pub(super) fn need(bytes: &[u8]) -> Option<Need<'_>> {
    let (width, height) = header(bytes).ok()?;
    let samples = match u8_at(bytes, 25)? {
        2 => 3,
        4 => 2,
        6 => 4,
        _ => 1,
    };
    let (bits, interlaced) = (samples * usize::from(u8_at(bytes, 24)?), u8_at(bytes, 28)? != 0);
    let all = move || {
        let row = (width as usize).checked_mul(bits)?.div_ceil(8);
        let rows = if interlaced { row.checked_mul(height as usize)? } else { 0 };
        let pixels = (width as usize).checked_mul(height as usize)?.checked_mul(3)?;
        pixels.checked_add(rows)?.checked_add(14 * row + (1 << 20))
    };
    Some(Need::new((width, height), all))
}

/// Width and height, from the chunk that has to come first.
pub(super) fn header(bytes: &[u8]) -> Result<(u32, u32)> {
    let head: [u8; 16] = array(bytes, 8).ok_or_else(|| truncated(Png))?;
    if &head[4..8] != b"IHDR" {
        return Err(damaged(Png, "the first chunk is not IHDR"));
    }
    let size = |at| u32_be(&head, at).ok_or_else(|| truncated(Png));
    Ok((size(8)?, size(12)?))
}

/// What the `png` crate fails with. A file that ends early is told from one that is damaged.
pub(super) fn png_error(e: DecodingError) -> crate::Error {
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
    grey16: Grey16,
    /// The brightest level of grey of 16 bits.
    brightest: u16,
    clipped: bool,
}

impl Samples {
    fn new(info: &png::Info, grey16: Grey16) -> Result<Self> {
        let mut palette = Vec::new();
        if info.color_type == ColorType::Indexed {
            let entries = info.palette.as_deref().ok_or_else(|| damaged(Png, "no palette"))?;
            palette = entries.as_chunks::<3>().0.to_vec();
            palette.resize(256, [0; 3]);
        }
        Ok(Self { colour: info.color_type, depth: info.bit_depth, palette, grey16, brightest: 0, clipped: false })
    }

    fn row_to_rgb(&mut self, row: &[u8], out: &mut [u8]) {
        let out = out.as_chunks_mut::<3>().0.iter_mut();
        // Bytes per sample; the first byte of a 16-bit one is the high byte.
        let step = if self.depth == BitDepth::Sixteen { 2 } else { 1 };
        match (self.colour, self.depth) {
            (ColorType::Grayscale, BitDepth::Sixteen) => self.grey16_row(row, out),
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

    fn grey16_row<'a>(&mut self, row: &[u8], out: impl Iterator<Item = &'a mut [u8; 3]>) {
        let row = row.as_chunks::<2>().0;
        let brightest = row.iter().map(|sample| u16::from_be_bytes(*sample)).max().unwrap_or(0);
        self.brightest = self.brightest.max(brightest);
        match self.grey16 {
            Grey16::Clip => {
                self.clipped |= brightest > 255;
                out.zip(row).for_each(|(o, s)| *o = [u16::from_be_bytes(*s).min(255) as u8; 3]);
            }
            // As they are, until all are known.
            Grey16::Scale => out.zip(row).for_each(|(o, [high, low])| *o = [*high, *low, 0]),
        }
    }

    /// What could not be done before all rows were known.
    fn finish(&self, pixels: &mut [u8]) {
        /// Bytes between two looks, whole pixels.
        const PIECE: usize = 3 << 16;
        if (self.colour, self.depth, self.grey16) != (ColorType::Grayscale, BitDepth::Sixteen, Grey16::Scale) {
            return;
        }
        let shift = grey16::shift(self.brightest.into());
        for pixels in pixels.chunks_mut(PIECE) {
            look();
            for pixel in pixels.as_chunks_mut::<3>().0 {
                *pixel = [(u16::from_be_bytes([pixel[0], pixel[1]]) >> shift) as u8; 3];
            }
        }
    }
}

/// Samples of 1, 2 or 4 bits, the first in the high bits.
pub(super) fn unpack(row: &[u8], bits: usize) -> impl Iterator<Item = u8> + '_ {
    let mask = ((1u16 << bits) - 1) as u8;
    row.iter().flat_map(move |byte| (0..8 / bits).map(move |i| (byte >> (8 - bits * (i + 1))) & mask))
}
