//! JPEG: baseline, extended and progressive, Huffman and arithmetic; grey, YCbCr, RGB, CMYK and YCCK.
//!
//! `jpeg-levels` decodes to libjpeg-turbo's levels. Here are the limits, the metadata, and what is no picture though libjpeg makes
//! one of it.

use std::borrow::Cow;

use jpeg_levels::{Colour, Decoder, Error as Fault, Output, Reduction, Unsupported, Warnings};

use super::decode::{Decoded, Reduced, check_pixels, damaged, truncated, unsupported};
use super::env::within;
use super::estimate::Need;
use super::format::Format::Jpeg;
use super::ycc::Levels;
use super::{JpegDecoding, ReadOptions, Remarks, Rgb8, Truncated, exif};
use crate::memory::reserve;
use crate::{Error, Result};

/// The picture in RGB, or still in YCbCr where the file is.
pub(super) fn decode(bytes: &[u8], options: &ReadOptions) -> Result<Decoded> {
    let decoder = Decoder::new(bytes).map_err(refusal)?;
    let whole = (decoder.width() as u32, decoder.height() as u32);
    check_pixels(Jpeg, whole.0, whole.1, &options.limits)?;
    let orientation = orientation(&decoder)?;
    let (decoder, reduced) = match reduced(&decoder, options) {
        Some((smaller, by)) => (smaller, Some(Reduced { whole, divisor: by.divisor() as u32 })),
        None => (decoder, None),
    };
    let (width, height) = (decoder.width() as u32, decoder.height() as u32);
    let (output, levels) = output(&decoder);
    let mut picture = within(|env| decoder.decode(output, env), refusal)?;
    // libjpeg fills up with grey. A picture that is grey from the middle on must not become an embedding unasked.
    let Warnings { truncated: cut, lost, missing, .. } = picture.warnings;
    let incomplete = cut || lost || missing;
    if incomplete && options.truncated == Truncated::Refuse {
        return Err(truncated(Jpeg));
    }
    let remarks = Remarks { incomplete: incomplete.then_some(Jpeg), ..Remarks::default() };
    picture.pixels.shrink_to_fit();
    Ok(Decoded { image: Rgb8 { width, height, pixels: picture.pixels }, levels, orientation, reduced, remarks })
}

/// What coefficients and picture take, by the headers.
pub(super) fn need(bytes: &[u8]) -> Option<Need<'_>> {
    need_with(bytes, &ReadOptions::default())
}

/// What they take where the picture may be decoded smaller.
pub(super) fn need_with<'a>(bytes: &'a [u8], options: &ReadOptions) -> Option<Need<'a>> {
    let decoder = Decoder::new(bytes).ok()?;
    let decoder = reduced(&decoder, options).map_or(decoder, |(smaller, _)| smaller);
    let size = (decoder.width() as u32, decoder.height() as u32);
    Some(Need::new(size, move || Some(decoder.needs(output(&decoder).0))))
}

/// A decoder for the smallest picture that is large enough, where the whole one is not asked for.
fn reduced<'a>(decoder: &Decoder<'a>, options: &ReadOptions) -> Option<(Decoder<'a>, Reduction)> {
    let JpegDecoding::AtLeast(least) = options.jpeg else { return None };
    let side = decoder.width().min(decoder.height());
    let enough = |by: &Reduction| side / by.divisor() >= least.max(1) as usize;
    Reduction::ALL.into_iter().rev().filter(enough).find_map(|by| Some((decoder.clone().reduced(by).ok()?, by)))
}

/// Three bytes a pixel. Those of YCbCr stay as they are.
fn output(decoder: &Decoder) -> (Output, Levels) {
    match decoder.colour() {
        Colour::YCbCr => (Output::Stored, Levels::YCbCr),
        _ => (Output::Rgb, Levels::Rgb),
    }
}

/// As Pillow: EXIF data may be split over segments, of XMP packets the last one counts.
fn orientation(decoder: &Decoder) -> Result<u8> {
    let (mut exif, mut xmp): (Option<Cow<[u8]>>, _) = (None, None);
    for (_, segment) in decoder.segments().filter(|(marker, _)| *marker == 0xe1) {
        if let Some(more) = segment.strip_prefix(b"Exif\0\0") {
            match &mut exif {
                None => exif = Some(Cow::Borrowed(segment)),
                Some(exif) => {
                    let exif = exif.to_mut();
                    reserve(exif, more.len())?;
                    exif.extend_from_slice(more);
                }
            }
        } else if let Some(packet) = segment.strip_prefix(b"http://ns.adobe.com/xap/1.0/\0") {
            xmp = Some(packet);
        }
    }
    Ok(exif::orientation(exif.as_deref(), xmp))
}

fn refusal(fault: Fault) -> Error {
    match fault {
        Fault::Truncated => truncated(Jpeg),
        Fault::Unsupported(Unsupported::LateHeight) => damaged(Jpeg, "height is 0, or follows the first scan"),
        Fault::Unsupported(what) => unsupported(Jpeg, what),
        Fault::TooManyScans => Error::limit("JPEG image has too many scans"),
        other => damaged(Jpeg, other),
    }
}
