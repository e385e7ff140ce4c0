//! TIFF: strips and tiles, LZW, deflate, PackBits, JPEG and fax; grey, RGB, CMYK, YCbCr and palettes; the first page.
//!
//! The `tiff` crate decodes; what is here follows Pillow's table `OPEN_INFO` (`TiffImagePlugin.py`) and its conversions to
//! RGB: 16-bit colours keep their high byte, 16-bit and 32-bit grey is clipped to 0..255, alpha is dropped.

use tiff::decoder::{Decoder, DecodingResult};
use tiff::tags::{PhotometricInterpretation, Tag};
use tiff::{ColorType, TiffError};

use super::decode::{Decoded, check_pixels, damaged, look, truncated, unsupported};
use super::estimate::Need;
use super::format::Format::Tiff;
use super::grey16::{Sample, to_levels};
use super::jpeg;
use super::options::{Grey16, ReadOptions, Remarks};
use super::png::unpack;
use super::reader::{Pieces, slice};
use super::tiff_tags::Directory;
use super::ycc::ycc_to_rgb;
use super::{Limits, Rgb8};
use crate::memory::{copied, zeroed};
use crate::{Error, Result};

type Reader<'a> = Decoder<Pieces<&'a [u8]>>;

/// Pixels converted between two looks.
const PIECE: usize = 1 << 16;
/// Compression by JPEG, whose pictures have headers of their own.
const JPEG: usize = 7;

pub(super) fn decode(bytes: &[u8], options: &ReadOptions) -> Result<Decoded> {
    let limits = &options.limits;
    let mut decoder = open(bytes, limits)?;
    let orientation = Directory::read(bytes).map_or(1, |directory| directory.orientation());
    let photometric = decoder.find_tag_unsigned::<u16>(Tag::PhotometricInterpretation).map_err(tiff_error)?;
    let (image, clipped) = if photometric == Some(PhotometricInterpretation::RGBPalette.to_u16()) {
        let palette = palette(&mut decoder)?;
        drop(decoder);
        read(open(&without_palette(bytes)?, limits)?, options, Some(&palette))?
    } else {
        read(decoder, options, None)?
    };
    let remarks = Remarks { clipped, ..Remarks::default() };
    Ok(Decoded { remarks, ..Decoded::rgb(image, orientation) })
}

fn open<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Reader<'a>> {
    // The decoder would make room for what the directory declares before it knows of limits.
    Directory::read(bytes).ok_or_else(|| truncated(Tiff))?.check()?;
    let mut decoder = Decoder::new(Pieces::new(bytes)).map_err(tiff_error)?;
    let (width, height) = decoder.dimensions().map_err(tiff_error)?;
    let area = check_pixels(Tiff, width, height, limits)?;
    let mut memory = tiff::decoder::Limits::default();
    // 16 bytes hold a pixel of four 32-bit samples; no strip, packed or not, needs more than picture or file.
    memory.decoding_buffer_size = area.saturating_mul(16);
    memory.intermediate_buffer_size = bytes.len().max(area.saturating_mul(16));
    memory.ifd_value_size = bytes.len();
    Ok(decoder.with_limits(memory))
}

/// The colour map: all reds, then all greens, then all blues, 16 bits each, of which Pillow takes the high byte.
fn palette(decoder: &mut Reader<'_>) -> Result<Vec<[u8; 3]>> {
    let map = decoder.get_tag_u16_vec(Tag::ColorMap).map_err(tiff_error)?;
    let n = map.len() / 3;
    let high = |i: usize| map.get(i).map_or(0, |v| (v >> 8) as u8);
    Ok((0..n.max(256)).map(|i| if i < n { [high(i), high(n + i), high(2 * n + i)] } else { [0; 3] }).collect())
}

/// The same file with its palette indices declared to be grey levels: the `tiff` crate refuses to decode palette pictures,
/// though their samples are coded as grey ones are.
fn without_palette(bytes: &[u8]) -> Result<Vec<u8>> {
    let place = Directory::read(bytes).and_then(|directory| directory.place(Tag::PhotometricInterpretation.to_u16()));
    let at = place.ok_or_else(|| damaged(Tiff, "its directory cannot be read"))?;
    let mut copy = copied(bytes)?;
    let little = bytes.first() == Some(&b'I');
    let value = PhotometricInterpretation::BlackIsZero.to_u16();
    let value = if little { value.to_le_bytes() } else { value.to_be_bytes() };
    copy.get_mut(at..at + 2).ok_or_else(|| truncated(Tiff))?.copy_from_slice(&value);
    Ok(copy)
}

/// The samples as they are stored, the levels that are clipped, and the pixels.
pub(super) fn need(bytes: &[u8]) -> Option<Need> {
    let directory = Directory::read(bytes)?;
    let (width, height) = (directory.first(256, 0), directory.first(257, 0));
    let (bits, samples) = (directory.first(258, 1), directory.first(277, 1));
    let area = width.checked_mul(height)?;
    let stored = area.checked_mul(samples)?.checked_mul(bits)?.div_ceil(8);
    let clipped = if bits > 8 && samples < 3 { area.checked_mul(samples)? } else { 0 };
    let palette = if directory.first(262, 0) == 3 { bytes.len() } else { 0 };
    let jpeg = directory.first(259, 1) == JPEG;
    let chunk = if jpeg { largest_jpeg(&directory, bytes) } else { 0 };
    let parts = [stored, clipped, area.checked_mul(3)?, palette, chunk, directory.memory()];
    Some(Need {
        width: u32::try_from(width).ok()?,
        height: u32::try_from(height).ok()?,
        bytes: parts.into_iter().fold(1 << 20, usize::saturating_add),
        deaf: jpeg,
    })
}

/// What the largest of the pictures that a picture is made of takes: their own headers say.
fn largest_jpeg(directory: &Directory, bytes: &[u8]) -> usize {
    let place = |strips, tiles| directory.find(strips).or_else(|| directory.find(tiles));
    let (Some(offsets), Some(lengths)) = (place(273, 324), place(279, 325)) else { return 0 };
    let pieces = (0..offsets.count.min(bytes.len())).map_while(|i| {
        look();
        let (at, length) = (directory.value(offsets, i)?, directory.value(lengths, i)?);
        let piece = slice(bytes, at, length.min(bytes.len().saturating_sub(at)))?;
        Some(jpeg::need_of_others(piece).unwrap_or(0))
    });
    pieces.max().unwrap_or(0)
}

/// The picture, and whether grey levels of it were cut.
fn read(mut decoder: Reader<'_>, options: &ReadOptions, palette: Option<&[[u8; 3]]>) -> Result<(Rgb8, bool)> {
    let (width, height) = decoder.dimensions().map_err(tiff_error)?;
    let area = check_pixels(Tiff, width, height, &options.limits)?;
    let colour = decoder.colortype().map_err(tiff_error)?;
    let channels = match colour {
        ColorType::Gray(_) => 1,
        ColorType::RGB(_) | ColorType::YCbCr(_) => 3,
        ColorType::RGBA(_) | ColorType::CMYK(_) => 4,
        ColorType::CMYKA(_) => 5,
        ColorType::Multiband { num_samples, .. } => usize::from(num_samples),
        _ => return Err(unsupported(Tiff, format_args!("colours {colour:?}"))),
    };
    let extra = decoder.find_tag_unsigned_vec::<u16>(Tag::ExtraSamples).ok().flatten();
    let premultiplied = matches!(extra.as_deref(), Some([1, ..]));

    let mut samples = DecodingResult::U8(Vec::new());
    let layout = decoder.read_image_to_buffer(&mut samples).map_err(tiff_error)?;
    if samples.as_buffer(0).as_bytes().len() < layout.complete_len {
        return Err(Error::limit("TIFF image needs too much memory"));
    }
    look();
    let grey = |level: u8| palette.map_or([level; 3], |p| p[usize::from(level)]);
    let mut pixels = zeroed(3 * area)?;
    let out = pixels.as_chunks_mut::<3>().0;
    if let ColorType::Gray(bits @ (1 | 2 | 4)) = colour {
        // Packed: each row begins with a byte of its own.
        let DecodingResult::U8(packed) = &samples else { return Err(damaged(Tiff, "samples of the wrong type")) };
        let scale = if palette.is_some() { 1 } else { 255 / ((1u8 << bits) - 1) };
        let stride = (width as usize * usize::from(bits)).div_ceil(8);
        for (row, out) in packed.chunks_exact(stride).zip(out.chunks_exact_mut(width as usize)) {
            look();
            out.iter_mut().zip(unpack(row, bits.into())).for_each(|(o, s)| *o = grey(s * scale));
        }
        return Ok((Rgb8 { width, height, pixels }, false));
    }
    let is_grey = matches!(colour, ColorType::Gray(_) | ColorType::Multiband { .. });
    let (levels, clipped) = Levels::new(&samples, is_grey, options.grey16)?;
    let planes = layout.planes.max(1);
    if levels.len() < area * if planes > 1 { planes } else { channels } || (planes > 1 && planes < channels) {
        return Err(truncated(Tiff));
    }
    // Sample `c` of pixel `i`: interleaved, or each channel a plane of its own.
    let at = |i: usize, c: usize| levels.at(if planes > 1 { c * area + i } else { i * channels + c });
    let rgb = |i: usize| [at(i, 0), at(i, 1), at(i, 2)];
    let convert = |i: usize| match colour {
        ColorType::RGB(_) => rgb(i),
        ColorType::RGBA(_) if premultiplied => unmultiply(rgb(i), at(i, 3)),
        ColorType::RGBA(_) => rgb(i),
        ColorType::YCbCr(_) => ycc_to_rgb(rgb(i)),
        ColorType::CMYK(_) | ColorType::CMYKA(_) => cmyk_to_rgb([at(i, 0), at(i, 1), at(i, 2), at(i, 3)]),
        _ => grey(at(i, 0)),
    };
    for (piece, out) in out.chunks_mut(PIECE).enumerate() {
        look();
        out.iter_mut().enumerate().for_each(|(i, o)| *o = convert(piece * PIECE + i));
    }
    Ok((Rgb8 { width, height, pixels }, clipped))
}

/// `unpackRGBa` of Pillow's `src/libImaging/Unpack.c`: colours that were multiplied by their alpha, as they were.
fn unmultiply(rgb: [u8; 3], alpha: u8) -> [u8; 3] {
    match alpha {
        0 => [0; 3],
        255 => rgb,
        _ => rgb.map(|v| (u32::from(v) * 255 / u32::from(alpha)).min(255) as u8),
    }
}

fn tiff_error(e: TiffError) -> Error {
    match e {
        TiffError::IoError(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => truncated(Tiff),
        TiffError::UnsupportedError(e) => unsupported(Tiff, e),
        TiffError::LimitsExceeded => Error::limit("TIFF image needs too much memory"),
        e => damaged(Tiff, e),
    }
}

/// Samples as 8-bit levels, by Pillow's rules.
enum Levels<'a> {
    Bytes(&'a [u8]),
    /// The high byte of each.
    High(&'a [u16]),
    /// Made of others, as those of the modes `I;16`, `I` and `F`.
    Made(Vec<u8>),
}

impl<'a> Levels<'a> {
    /// And whether grey ones were cut.
    fn new(samples: &'a DecodingResult, grey: bool, how: Grey16) -> Result<(Self, bool)> {
        Ok(match samples {
            DecodingResult::U8(v) => (Self::Bytes(v), false),
            DecodingResult::U16(v) if !grey => (Self::High(v), false),
            DecodingResult::U16(v) => Self::grey(v, how)?,
            DecodingResult::I16(v) if grey => Self::grey(v, how)?,
            DecodingResult::U32(v) if grey => Self::grey(v, how)?,
            DecodingResult::I32(v) if grey => Self::grey(v, how)?,
            DecodingResult::F32(v) if grey => Self::grey(v, how)?,
            // Pillow takes the bits as they are.
            DecodingResult::I8(v) => {
                let mut levels = zeroed(v.len())?;
                levels.iter_mut().zip(v).for_each(|(to, from)| *to = *from as u8);
                (Self::Made(levels), false)
            }
            _ => return Err(unsupported(Tiff, "type of its samples")),
        })
    }

    fn grey<T: Sample>(samples: &[T], how: Grey16) -> Result<(Self, bool)> {
        let mut levels = zeroed(samples.len())?;
        let clipped = to_levels(samples, how, &mut levels);
        Ok((Self::Made(levels), clipped))
    }

    fn at(&self, i: usize) -> u8 {
        match self {
            Self::Bytes(v) => v[i],
            Self::High(v) => (v[i] >> 8) as u8,
            Self::Made(v) => v[i],
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Bytes(v) => v.len(),
            Self::High(v) => v.len(),
            Self::Made(v) => v.len(),
        }
    }
}

/// `cmyk2rgb` of Pillow's `src/libImaging/Convert.c`: level = (255 - k) - ink × (255 - k) / 255.
fn cmyk_to_rgb([c, m, y, k]: [u8; 4]) -> [u8; 3] {
    let white = 255 - i32::from(k);
    [c, m, y].map(|ink| {
        let product = i32::from(ink) * white + 128;
        (white - (((product >> 8) + product) >> 8)).clamp(0, 255) as u8
    })
}
