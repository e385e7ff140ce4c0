//! TIFF: the first page, as `tiff-levels` decodes it to Pillow's levels. Here are the limits.

use tiff_levels::{Decoder, Env, Error as Fault, Options, Range, Scale};

use super::decode::{Decoded, check_pixels, damaged, truncated, unsupported};
use super::env::{go_on, within};
use super::estimate::Need;
use super::format::Format::Tiff;
use super::options::{ReadOptions, Remarks, Truncated};
use super::{Rgb8, exif, grey16, raw};
use crate::{Error, Result};

/// The first page in RGB. Grey of more than 8 bits that is to be scaled is decoded twice, as its range is known only
/// then.
pub(super) fn decode(bytes: &[u8], options: &ReadOptions) -> Result<Decoded> {
    // The first page of a camera's raw file is a thumbnail, or what the sensor saw.
    if let Some(kind) = raw::kind(bytes) {
        return Err(Error::unsupported(format!("{kind} images are not supported")).with_hint(raw::HINT));
    }
    let decoder = Decoder::new(bytes).map_err(refusal)?;
    let (width, height) = size(&decoder);
    check_pixels(Tiff, width, height, &options.limits)?;
    let gaps = options.truncated == Truncated::Accept;
    let decode = |scale| within(|env| decoder.decode_with(env, Options { scale, gaps }), refusal);
    let mut picture = decode(Scale::default())?;
    let mut remarks = Remarks { incomplete: picture.incomplete.then_some(Tiff), ..Remarks::default() };
    if let Some(Range { darkest, brightest, whole }) = picture.range {
        let (from, factor) = grey16::scale(options.grey16, darkest, brightest, whole);
        // What the darkest and the brightest are is known now. Once more takes time, and no memory.
        let scale = Scale { from, factor };
        if scale != Scale::default() {
            drop(picture);
            picture = decode(scale)?;
        }
        remarks.clipped = grey16::is_cut(options.grey16, darkest, brightest);
    }
    let orientation = decoder.orientation().unwrap_or_else(|| exif::orientation(None, decoder.xmp()));
    Ok(Decoded { remarks, ..Decoded::rgb(Rgb8 { width, height, pixels: picture.pixels }, orientation) })
}

/// What strips or tiles and picture take, by the directory.
pub(super) fn need(bytes: &[u8]) -> Option<Need<'_>> {
    let decoder = Decoder::new(bytes).ok()?;
    Some(Need::new(size(&decoder), move || decoder.needs(&Env { go_on: &go_on, ..Env::default() }).ok()))
}

fn size(decoder: &Decoder) -> (u32, u32) {
    let side = |pixels: usize| u32::try_from(pixels).unwrap_or(u32::MAX);
    (side(decoder.width()), side(decoder.height()))
}

fn refusal(fault: Fault) -> Error {
    match fault {
        Fault::Truncated => truncated(Tiff),
        Fault::Unsupported(what) => unsupported(Tiff, what),
        Fault::Jpeg(jpeg_levels::Error::Truncated) => truncated(Tiff),
        Fault::Jpeg(jpeg_levels::Error::Unsupported(what)) => unsupported(Tiff, format_args!("JPEG inside: {what}")),
        Fault::TooMuch(what) => Error::limit(format!("TIFF image is too much work: {what}")),
        other => damaged(Tiff, other),
    }
}
