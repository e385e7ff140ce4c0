//! JPEG 2000, alone and in boxes: `hayro-jpeg2000` decodes it, in safe Rust alone. Its levels are those that Pillow gets of OpenJPEG, lossy
//! ones within one. What makes levels of other depths than 8 bits follows Pillow's `Jpeg2KDecode.c`.

mod file;
mod stream;

use hayro_jpeg2000::{ColorSpace, DecodeError, DecodeSettings, DecoderContext, FormatError, Image, MarkerError};
use tiff_levels::cmyk_to_rgb;

use super::decode::{Decoded, check_pixels, damaged, unsupported};
use super::estimate::Need;
use super::format::Format::Jpeg2000;
use super::options::{ReadOptions, Remarks};
use super::reader::array;
use super::{Rgb8, grey16};
use crate::guarded::look;
use crate::memory::zeroed;
use crate::{Error, Result};
use file::File;
use stream::{Fault, Stream};

/// Components that a palette makes.
const MOST_MAPPED: usize = 5;

/// The signature box of a JP2, or the first two markers of a bare codestream.
pub(super) fn is(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\0\0\0\x0cjP  \r\n\x87\n") || bytes.starts_with(b"\xff\x4f\xff\x51")
}

/// The picture in RGB. Each component is brought to 8 bits.
pub(super) fn decode(bytes: &[u8], options: &ReadOptions) -> Result<Decoded> {
    let file = File::read(bytes).ok_or_else(|| damaged(Jpeg2000, "no size in it"))?;
    let (width, height) = Stream::size(file.stream).ok_or_else(|| refusal(Fault::Damaged))?;
    let area = check_pixels(Jpeg2000, width, height, &options.limits)?;
    let Stream { components, .. } = Stream::read(file.stream).map_err(refusal)?;
    if let Some(mapped) = file.mapped.filter(|mapped| *mapped > MOST_MAPPED) {
        return Err(unsupported(Jpeg2000, format_args!("{mapped} colours of a palette's entry")));
    }
    let settings = DecodeSettings { strict: true, ..DecodeSettings::default() };
    let image = Image::new(file.bytes, &settings).map_err(jpeg2000_error)?;
    if (image.width(), image.height()) != (width, height) {
        return Err(damaged(Jpeg2000, "headers disagree"));
    }
    let channels = match image.color_space() {
        // Nothing says what they are: grey or RGB, and opacity behind them.
        _ if file.is_bare() => {
            if components < 3 {
                1
            } else {
                3
            }
        }
        ColorSpace::Gray | ColorSpace::Icc { num_channels: 1, .. } => 1,
        ColorSpace::RGB | ColorSpace::Icc { num_channels: 3, .. } => 3,
        ColorSpace::CMYK | ColorSpace::Icc { num_channels: 4, .. } => 4,
        _ => return Err(unsupported(Jpeg2000, "its colour space")),
    };
    let mut context = DecoderContext::default();
    let decoded = image.decode(&mut context).map_err(jpeg2000_error)?;
    let planes = decoded.components().get(..channels).ok_or_else(|| damaged(Jpeg2000, "colours are missing"))?;
    if planes.iter().any(|plane| plane.samples().len() < area) {
        return Err(unsupported(Jpeg2000, "components of different sizes"));
    }
    let mut remarks = Remarks::default();
    let pixels = match planes {
        [grey] if grey.bit_depth() > 8 => {
            let shift = 16u8.saturating_sub(grey.bit_depth());
            let mut samples = zeroed(2 * area)?;
            for (out, sample) in samples.as_chunks_mut::<2>().0.iter_mut().zip(grey.samples()) {
                *out = ((sample.round_ties_even() as u16) << shift).to_ne_bytes();
            }
            grey16::to_rgb(&samples, options.grey16, &mut remarks)?
        }
        planes => {
            let mut pixels = zeroed(3 * area)?;
            let picture = pixels.as_chunks_mut::<3>().0;
            let (colours, key) = planes.split_at(planes.len().min(3));
            for (channel, plane) in colours.iter().enumerate() {
                look();
                let (samples, depth) = (plane.samples(), plane.bit_depth());
                for (pixel, sample) in picture.iter_mut().zip(samples) {
                    pixel[channel] = level(*sample, depth);
                }
            }
            if let [key] = key {
                look();
                for (pixel, sample) in picture.iter_mut().zip(key.samples()) {
                    let [cyan, magenta, yellow] = *pixel;
                    *pixel = cmyk_to_rgb([cyan, magenta, yellow, level(*sample, key.bit_depth())]);
                }
            }
            if channels == 1 {
                picture.iter_mut().for_each(|pixel| *pixel = [pixel[0]; 3]);
            }
            pixels
        }
    };
    let image = Rgb8 { width, height, pixels };
    Ok(Decoded { remarks, ..Decoded::rgb(image, 1) })
}

/// Deeper samples are rounded to 8 bits, and of less than 8 bits the others are zeros. The whitest stay white: in Pillow they become black.
fn level(sample: f32, depth: u8) -> u8 {
    let (value, depth) = (sample.round_ties_even().clamp(0.0, 65535.0) as u32, depth.min(16));
    let value = value.min((1 << depth) - 1);
    match depth.checked_sub(8) {
        Some(0) => value as u8,
        Some(more) => ((value + (1 << (more - 1))) >> more).min(255) as u8,
        None => (value << (8 - depth)) as u8,
    }
}

/// Samples are floats, and so are coefficients, before and after they are transformed: of one component at a time. What a palette or an
/// order makes of samples is there beside them. Then the picture, and grey of 16 bits.
pub(super) fn need(bytes: &[u8]) -> Option<Need<'_>> {
    let file = File::read(bytes)?;
    let (width, height) = Stream::size(file.stream)?;
    let all = move || {
        let Stream { components, structures, .. } = Stream::read(file.stream).ok()?;
        let area = (width as usize).checked_mul(height as usize)?;
        let mapped = file.mapped.unwrap_or(0).min(MOST_MAPPED);
        let sorted = if file.is_sorted { components.max(mapped) } else { 0 };
        let each = 4 * (components + mapped + sorted) + 2 * 4 + 3 + 2;
        area.checked_mul(each)?.checked_add(structures)?.checked_add(4 << 20)
    };
    Some(Need::new((width, height), all).deaf())
}

fn refusal(fault: Fault) -> Error {
    match fault {
        Fault::Damaged => damaged(Jpeg2000, "its headers are none that can be read"),
        Fault::Components(count) => unsupported(Jpeg2000, format_args!("{count} components")),
        Fault::TooMuch => Error::limit("JPEG 2000 image is too much work: its blocks and packets"),
    }
}

fn u16_be(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_be_bytes)
}

fn jpeg2000_error(e: DecodeError) -> crate::Error {
    match e {
        DecodeError::Format(FormatError::Unsupported) | DecodeError::Marker(MarkerError::Unsupported) => {
            unsupported(Jpeg2000, "its colour space, or how it is coded")
        }
        e => damaged(Jpeg2000, e),
    }
}
