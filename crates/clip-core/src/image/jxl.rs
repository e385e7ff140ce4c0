//! JPEG XL: the first picture, as `jxl-levels` decodes it to the levels that Pillow gets through `pillow-jxl-plugin`. Here are the
//! limits and the orientation.
//!
//! Of an animation the plugin gives the last frame, by mistake; here it is the first one, as of other formats.

use jxl_levels::{Decoder, Env, Error as Fault, Levels};

use super::decode::{Decoded, check_pixels, damaged, truncated, unsupported};
use super::env::within;
use super::estimate::Need;
use super::format::Format::Jxl;
use super::options::{ReadOptions, Remarks, Truncated};
use super::{Rgb8, exif, grey16};
use crate::guarded::guarded;
use crate::{Error, Result};

/// The first frame in RGB. Where the file is truncated and that is accepted, as far as it goes.
pub(super) fn decode(bytes: &[u8], options: &ReadOptions) -> Result<Decoded> {
    // The libraries assert what they believe of a file, which holds of some damaged ones no more.
    let asserted = || damaged(Jxl, "its parts do not fit together");
    let decoder = guarded(|| Decoder::new(bytes).map_err(refusal)).unwrap_or_else(|| Err(asserted()))?;
    let (width, height) = (decoder.width() as u32, decoder.height() as u32);
    check_pixels(Jxl, width, height, &options.limits)?;
    let decode = |env: &Env| match options.truncated {
        Truncated::Refuse => decoder.decode(env),
        Truncated::Accept => decoder.decode_incomplete(env),
    };
    let picture = guarded(|| within(decode, refusal)).unwrap_or_else(|| Err(asserted()))?;
    let mut remarks = Remarks { incomplete: picture.is_cut.then_some(Jxl), clipped: false };
    let pixels = match picture.levels {
        Levels::Rgb(pixels) => pixels,
        Levels::Grey16(samples) => grey16::to_rgb(&samples, options.grey16, &mut remarks)?,
    };
    // The codestream's orientation is what viewers go by. Pillow's plugin writes one into EXIF data alone.
    let orientation = match decoder.orientation() {
        1 => exif::orientation(decoder.exif(), None),
        orientation => orientation,
    };
    Ok(Decoded { remarks, ..Decoded::rgb(Rgb8 { width, height, pixels }, orientation) })
}

/// Half again as much where grey of 16 bits becomes RGB: less than RGB of 16 bits takes.
pub(super) fn need(bytes: &[u8]) -> Option<Need<'_>> {
    let decoder = Decoder::new(bytes).ok()?;
    let size = (decoder.width() as u32, decoder.height() as u32);
    Some(Need::new(size, move || Some(decoder.needs())))
}

fn refusal(fault: Fault) -> Error {
    match fault {
        Fault::Truncated => truncated(Jxl),
        Fault::Unsupported(what) => unsupported(Jxl, what),
        Fault::TooMuch(what) => Error::limit(format!("JPEG XL image is too much work: {what}")),
        Fault::OutOfMemory(bytes) => crate::memory::refused(bytes),
        other => damaged(Jxl, other),
    }
}
