//! TIFF: strips and tiles, LZW, deflate, PackBits, JPEG and fax; grey, RGB, CMYK, YCbCr and palettes; the first page.
//!
//! The `tiff` crate decodes; what is here follows Pillow's table `OPEN_INFO` (`TiffImagePlugin.py`) and its conversions to
//! RGB: 16-bit colours keep their high byte, 16-bit and 32-bit grey is clipped to 0..255, alpha is dropped.

use std::io::Cursor;

use tiff::decoder::{Decoder, DecodingResult};
use tiff::tags::{PhotometricInterpretation, Tag};
use tiff::{ColorType, TiffError};

use super::decode::{Decoded, check_pixels, damaged, truncated, unsupported, zeroed};
use super::format::Format::Tiff;
use super::jpeg::cmyk_to_rgb;
use super::png::unpack;
use super::reader::array;
use super::ycc::ycc_to_rgb;
use super::{Limits, Rgb8};
use crate::{Error, Result};

type Reader<'a> = Decoder<Cursor<&'a [u8]>>;

pub(super) fn decode(bytes: &[u8], limits: &Limits) -> Result<Decoded> {
    let mut decoder = open(bytes, limits)?;
    let orientation = decoder.find_tag_unsigned::<u16>(Tag::Orientation).ok().flatten().unwrap_or(1);
    let photometric = decoder.find_tag_unsigned::<u16>(Tag::PhotometricInterpretation).map_err(tiff_error)?;
    let image = if photometric == Some(PhotometricInterpretation::RGBPalette.to_u16()) {
        let palette = palette(&mut decoder)?;
        drop(decoder);
        read(open(&without_palette(bytes)?, limits)?, limits, Some(&palette))?
    } else {
        read(decoder, limits, None)?
    };
    Ok(Decoded::rgb(image, u8::try_from(orientation).unwrap_or(1)))
}

fn open<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Reader<'a>> {
    let mut decoder = Decoder::new(Cursor::new(bytes)).map_err(tiff_error)?;
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
    let at = photometric_value(bytes).ok_or_else(|| damaged(Tiff, "its directory cannot be read"))?;
    let mut copy = bytes.to_vec();
    let little = bytes.first() == Some(&b'I');
    let value = PhotometricInterpretation::BlackIsZero.to_u16();
    let value = if little { value.to_le_bytes() } else { value.to_be_bytes() };
    copy.get_mut(at..at + 2).ok_or_else(|| truncated(Tiff))?.copy_from_slice(&value);
    Ok(copy)
}

/// Where the value of the tag PhotometricInterpretation lies in the first directory, of a TIFF or a BigTIFF.
fn photometric_value(bytes: &[u8]) -> Option<usize> {
    let little = bytes.first() == Some(&b'I');
    let u16_at = |at| array(bytes, at).map(if little { u16::from_le_bytes } else { u16::from_be_bytes });
    let u32_at = |at| array(bytes, at).map(if little { u32::from_le_bytes } else { u32::from_be_bytes });
    let u64_at = |at| array(bytes, at).map(if little { u64::from_le_bytes } else { u64::from_be_bytes });
    let big = u16_at(2)? == 43;
    let directory = usize::try_from(if big { u64_at(8)? } else { u32_at(4)?.into() }).ok()?;
    let count = usize::try_from(if big { u64_at(directory)? } else { u16_at(directory)?.into() }).ok()?;
    let (head, entry, value) = if big { (8, 20, 12) } else { (2, 12, 8) };
    let first = directory.checked_add(head)?;
    (0..count.min(bytes.len() / entry))
        .map(|i| first.saturating_add(i * entry))
        .find(|&at| u16_at(at) == Some(Tag::PhotometricInterpretation.to_u16()))
        .and_then(|at| at.checked_add(value))
}

fn read(mut decoder: Reader<'_>, limits: &Limits, palette: Option<&[[u8; 3]]>) -> Result<Rgb8> {
    let (width, height) = decoder.dimensions().map_err(tiff_error)?;
    let area = check_pixels(Tiff, width, height, limits)?;
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
    let grey = |level: u8| palette.map_or([level; 3], |p| p[usize::from(level)]);
    let mut pixels = zeroed(3 * area)?;
    let out = pixels.as_chunks_mut::<3>().0;
    if let ColorType::Gray(bits @ (1 | 2 | 4)) = colour {
        // Packed: each row begins with a byte of its own.
        let DecodingResult::U8(packed) = &samples else { return Err(damaged(Tiff, "samples of the wrong type")) };
        let scale = if palette.is_some() { 1 } else { 255 / ((1u8 << bits) - 1) };
        let stride = (width as usize * usize::from(bits)).div_ceil(8);
        for (row, out) in packed.chunks_exact(stride).zip(out.chunks_exact_mut(width as usize)) {
            out.iter_mut().zip(unpack(row, bits.into())).for_each(|(o, s)| *o = grey(s * scale));
        }
        return Ok(Rgb8 { width, height, pixels });
    }
    let levels = Levels::new(&samples, matches!(colour, ColorType::Gray(_) | ColorType::Multiband { .. }))?;
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
    out.iter_mut().enumerate().for_each(|(i, o)| *o = convert(i));
    Ok(Rgb8 { width, height, pixels })
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
    /// Clipped, as the modes `I;16`, `I` and `F` are.
    Clipped(Vec<u8>),
}

impl<'a> Levels<'a> {
    fn new(samples: &'a DecodingResult, grey: bool) -> Result<Self> {
        let clip = |v: f64| v.clamp(0.0, 255.0) as u8;
        Ok(match samples {
            DecodingResult::U8(v) => Self::Bytes(v),
            DecodingResult::U16(v) if !grey => Self::High(v),
            DecodingResult::U16(v) => Self::Clipped(v.iter().map(|&s| s.min(255) as u8).collect()),
            DecodingResult::I16(v) if grey => Self::Clipped(v.iter().map(|&s| s.clamp(0, 255) as u8).collect()),
            DecodingResult::U32(v) if grey => Self::Clipped(v.iter().map(|&s| s.min(255) as u8).collect()),
            DecodingResult::I32(v) if grey => Self::Clipped(v.iter().map(|&s| s.clamp(0, 255) as u8).collect()),
            DecodingResult::F32(v) if grey => Self::Clipped(v.iter().map(|&s| clip(s.into())).collect()),
            DecodingResult::I8(v) => Self::Clipped(v.iter().map(|&s| s as u8).collect()),
            _ => return Err(unsupported(Tiff, "type of its samples")),
        })
    }

    fn at(&self, i: usize) -> u8 {
        match self {
            Self::Bytes(v) => v[i],
            Self::High(v) => (v[i] >> 8) as u8,
            Self::Clipped(v) => v[i],
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Bytes(v) => v.len(),
            Self::High(v) => v.len(),
            Self::Clipped(v) => v.len(),
        }
    }
}
