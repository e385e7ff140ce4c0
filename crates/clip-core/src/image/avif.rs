//! AVIF: the picture to be shown, as `avif-levels` decodes it to Pillow's levels. Here are the limits.

use avif_levels::{Decoder, Error as Fault};

use super::decode::{Decoded, check_pixels, damaged, truncated, unsupported};
use super::env::within;
use super::estimate::{Decoding, Need};
use super::format::Format::Avif;
use super::options::ReadOptions;
use super::{Rgb8, exif};
use crate::{Error, Result};

/// The primary picture in RGB. What the container says of turns is its orientation.
pub(super) fn decode(bytes: &[u8], options: &ReadOptions) -> Result<Decoded> {
    let decoder = Decoder::new(bytes).map_err(refusal)?;
    let (width, height) = size(&decoder);
    check_pixels(Avif, width, height, &options.limits)?;
    let pixels = within(|env| decoder.decode(env), refusal)?;
    Ok(Decoded::rgb(Rgb8 { width, height, pixels }, orientation(&decoder)))
}

/// What the container says overrides EXIF, as in Pillow; what XMP says counts where neither says anything.
fn orientation(decoder: &Decoder) -> u8 {
    let upright = || exif::orientation(decoder.exif(), None) != 1;
    decoder.turn().unwrap_or_else(|| if upright() { 1 } else { exif::orientation(decoder.exif(), decoder.xmp()) })
}

/// What planes and picture take, by the headers.
pub(super) fn need(bytes: &[u8]) -> Option<Need<'_>> {
    let decoder = Decoder::new(bytes).ok()?;
    let (width, height) = size(&decoder);
    let decoding = move || Some(Decoding { bytes: decoder.needs().ok()?, deaf: !decoder.looks_within_frames() });
    Some(Need { width, height, decoding: Box::new(decoding) })
}

fn size(decoder: &Decoder) -> (u32, u32) {
    let side = |pixels: usize| u32::try_from(pixels).unwrap_or(u32::MAX);
    (side(decoder.width()), side(decoder.height()))
}

pub(in crate::image) fn refusal(fault: Fault) -> Error {
    match fault {
        Fault::Container(isobmff::Error::Truncated) => truncated(Avif),
        Fault::Container(isobmff::Error::Unsupported(what)) => unsupported(Avif, what),
        Fault::Unsupported(what) => unsupported(Avif, what),
        Fault::TooMuch(what) | Fault::Container(isobmff::Error::TooMuch(what)) => {
            Error::limit(format!("AVIF image is too much work: {what}"))
        }
        other => damaged(Avif, other),
    }
}
