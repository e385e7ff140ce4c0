//! HEIC: the primary picture, as `heic-levels` decodes it to libheif's levels. Here are the limits.
//!
//! The file's own turns and crops are in the pixels, and its EXIF data say the same once more: they do not count, as for
//! pillow-heif.

use std::cell::Cell;

use heic_levels::{Decoder, Env, Error as Fault};

use super::Rgb8;
use super::decode::{Decoded, check_pixels, damaged, truncated, unsupported};
use super::env::go_on;
use super::estimate::Need;
use super::format::Format::Heic;
use super::options::ReadOptions;
use crate::memory::zeroed;
use crate::{Error, Result};

/// The primary picture in RGB, turned and cropped as the file says.
pub(super) fn decode(bytes: &[u8], options: &ReadOptions) -> Result<Decoded> {
    let decoder = Decoder::new(bytes).map_err(refusal)?;
    let (width, height) = size((decoder.width(), decoder.height()));
    check_pixels(Heic, width, height, &options.limits)?;
    let pixels = within(|env| decoder.decode(env))?;
    Ok(Decoded::rgb(Rgb8 { width, height, pixels }, 1))
}

/// Runs the decoder. Where memory was refused, that is the error, whatever the decoder made of it.
pub(super) fn within<T>(decode: impl FnOnce(&Env<'_>) -> std::result::Result<T, Fault>) -> Result<T> {
    let refused = Cell::new(None);
    let zeroed = |len| zeroed(len).map_err(|e| refused.set(Some(e))).ok();
    decode(&Env { zeroed: &zeroed, go_on: &go_on }).map_err(|e| refused.take().unwrap_or_else(|| refusal(e)))
}

/// What planes and picture take, by the headers.
pub(super) fn need(bytes: &[u8]) -> Option<Need<'_>> {
    let decoder = Decoder::new(bytes).ok()?;
    Some(Need::new(size((decoder.width(), decoder.height())), move || decoder.needs().ok()))
}

pub(super) fn size((width, height): (usize, usize)) -> (u32, u32) {
    let side = |pixels: usize| u32::try_from(pixels).unwrap_or(u32::MAX);
    (side(width), side(height))
}

pub(super) fn refusal(fault: Fault) -> Error {
    match fault {
        Fault::Truncated => truncated(Heic),
        Fault::Unsupported(what) => unsupported(Heic, what),
        Fault::TooMuch(what) => Error::limit(format!("HEIC image is too much work: {what}")),
        Fault::OutOfMemory(bytes) => crate::memory::refused(bytes),
        other => damaged(Heic, other),
    }
}
