//! Which format some bytes claim to be, by their first bytes alone.

use super::signatures::{Other, signature};
use super::textual::describe;
use crate::{Error, Result};

/// An image format that [`super::decode`] reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Jpeg,
    Png,
    WebP,
    Gif,
    Bmp,
    Tiff,
}

impl Format {
    pub fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::WebP => "WebP",
            Self::Gif => "GIF",
            Self::Bmp => "BMP",
            Self::Tiff => "TIFF",
        }
    }
}

/// Recognises the format by its magic number.
///
/// Fails with `Unsupported` when the bytes are a picture of another format, and with `InvalidImage` when they are none. The hint
/// says what they look like, and what to do.
pub fn sniff(bytes: &[u8]) -> Result<Format> {
    sniff_known(bytes).ok_or_else(|| refusal(bytes))
}

pub(super) fn sniff_known(bytes: &[u8]) -> Option<Format> {
    match bytes {
        [0xff, 0xd8, 0xff, ..] => Some(Format::Jpeg),
        [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, ..] => Some(Format::Png),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Format::WebP),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Format::Gif),
        [b'B', b'M', ..] => Some(Format::Bmp),
        [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => Some(Format::Tiff),
        _ => None,
    }
}

fn refusal(bytes: &[u8]) -> Error {
    if bytes.is_empty() {
        return Error::invalid_image("image is empty").with_hint("The value has no bytes. NULL stands for no image.");
    }
    let no_image = || Error::invalid_image("image is not JPEG, PNG, WebP, GIF, BMP or TIFF");
    match signature(bytes) {
        Some(Other::Picture(name)) => Error::unsupported(format!("{name} images are not supported"))
            .with_hint("Convert the image to JPEG, PNG, WebP, GIF, BMP or TIFF."),
        Some(Other::File(what, hint)) => no_image().with_hint(format!("The bytes look like {what}. {hint}")),
        None => match describe(bytes) {
            Some((what, hint)) => no_image().with_hint(format!("The bytes look like {what}. {hint}")),
            None if bytes.iter().take(64).all(|byte| *byte == 0) => no_image().with_hint(
                "The bytes begin with zeros, as a file does that was not written to its end. Look for the original.",
            ),
            None => no_image(),
        },
    }
}
