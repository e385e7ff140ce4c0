//! What an image will take, by its header.

use super::format::{Format, sniff};
use super::{Limits, ReadOptions, jpeg, phash, preprocess};
use crate::guarded::guarded;
use crate::spec::ImageSpec;

/// Pixels that a decoder without looks may have on the caller's thread: some 50 ms of work.
fn patience(format: Format) -> u64 {
    if format.name() == "AVIF" { 300_000 } else { 3_000_000 }
}

/// Bytes that it may have there: of chunks and segments that are no pixels.
const PATIENCE: usize = 4 << 20;

/// What [`super::pixel_values`] or [`super::perceptual_hash`] will take, before it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// The image, for an error.
    pub what: String,
    /// Memory beside the file itself.
    pub bytes: usize,
    /// The decoder may work for longer than 50 ms without a [look](crate::memory::look).
    pub deaf: bool,
}

/// What a header tells.
pub(super) struct Need<'a> {
    /// Pixels of a row, as stored.
    pub width: u32,
    /// Rows, as stored.
    pub height: u32,
    /// Asked for where the size is within the limits: some formats tell it only in the midst of their data. `None` where those are damaged.
    pub decoding: Box<dyn FnOnce() -> Option<Decoding> + 'a>,
}

/// What a format's decoder will take.
pub(super) struct Decoding {
    /// Of memory, the decoded picture among it.
    pub bytes: usize,
    /// There are no looks in it.
    pub deaf: bool,
}

impl<'a> Need<'a> {
    /// Of a decoder with looks.
    pub(super) fn new((width, height): (u32, u32), bytes: impl FnOnce() -> Option<usize> + 'a) -> Self {
        let decoding = || bytes().map(|bytes| Decoding { bytes, deaf: false });
        Self { width, height, decoding: Box::new(decoding) }
    }

    /// Of one with looks that takes so many bytes a pixel.
    pub(super) fn each((width, height): (u32, u32), bytes: usize) -> Self {
        Self::new((width, height), move || (width as usize).checked_mul(height as usize)?.checked_mul(bytes))
    }

    /// The same without looks.
    pub(super) fn deaf(self) -> Self {
        let decoding = || (self.decoding)().map(|decoding| Decoding { deaf: true, ..decoding });
        Self { decoding: Box::new(decoding), ..self }
    }
}

/// What [`pixel_values`](super::pixel_values()) will take, by the header alone.
///
/// An image that is refused for another reason, or damaged, takes nothing.
pub fn estimate(bytes: &[u8], options: impl Into<ReadOptions>, spec: &ImageSpec) -> Estimate {
    let options = options.into().of_model(spec);
    let need =
        |format: Format| if format == Format::Jpeg { jpeg::need_with(bytes, &options) } else { format.need(bytes) };
    estimated(bytes, &options.limits, need, |width, height| preprocess::needed(width, height, spec))
}

/// What [`perceptual_hash`](super::perceptual_hash()) will take, by the header alone.
pub fn estimate_hash(bytes: &[u8], limits: &Limits) -> Estimate {
    estimate_with(bytes, limits, phash::needed)
}

/// Width and height in pixels as they are stored, which an orientation may turn. By the header alone.
///
/// `None` where the header is damaged, or the format is one that is not read.
pub fn size(bytes: &[u8]) -> Option<(u32, u32)> {
    let need = sniff(bytes).ok()?.need(bytes)?;
    Some((need.width, need.height)).filter(|(width, height)| *width > 0 && *height > 0)
}

/// `needed`: bytes that a picture of so many columns and rows takes once it is decoded.
pub(super) fn estimate_with(bytes: &[u8], limits: &Limits, needed: impl FnOnce(u32, u32) -> usize) -> Estimate {
    estimated(bytes, limits, |format| format.need(bytes), needed)
}

/// `need`: what the header tells.
fn estimated<'a>(
    bytes: &'a [u8],
    limits: &Limits,
    need: impl FnOnce(Format) -> Option<Need<'a>>,
    needed: impl FnOnce(u32, u32) -> usize,
) -> Estimate {
    let nothing = Estimate { what: "image".to_owned(), bytes: 0, deaf: false };
    if bytes.len() > limits.max_bytes {
        return nothing;
    }
    let Ok(format) = sniff(bytes) else { return nothing };
    let told = || {
        let Need { width, height, decoding } = need(format)?;
        let area = u64::from(width) * u64::from(height);
        let within = area > 0 && area <= limits.max_pixels;
        within.then(decoding).flatten().map(|decoding| (width, height, area, decoding))
    };
    // What makes a reader of headers panic is damaged, and the decoder's to refuse.
    let told = guarded(told).flatten();
    let Some((width, height, area, Decoding { bytes: decoding, deaf })) = told else { return nothing };
    // Whatever follows has the picture, which is three bytes a pixel by then.
    let (picture, rest) = (3 * area as usize, needed(width, height));
    let deaf = deaf && (area > patience(format) || bytes.len() > PATIENCE);
    let copy = if deaf { bytes.len() } else { 0 };
    Estimate {
        what: format!("{} image of {width} x {height} pixels", format.name()),
        bytes: decoding.max(picture.saturating_add(rest)).saturating_add(copy),
        deaf,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn what_pictures_beyond_the_limit_take_is_not_asked() {
        let asked = |max_pixels| {
            let asked = Cell::new(0);
            let need = |_| Some(Need::new((2, 2), || Some(asked.replace(asked.get() + 1))));
            estimated(b"GIF89a", &Limits { max_pixels, ..Limits::default() }, need, |_, _| 0);
            asked.get()
        };
        assert_eq!((asked(3), asked(4)), (0, 1));
    }
}
