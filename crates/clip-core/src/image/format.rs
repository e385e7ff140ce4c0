//! Which format some bytes claim to be, by their first bytes alone.

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
/// Fails with `InvalidImage` when the bytes are none of the formats, and with `Unsupported` when they are a HEIC, AVIF or
/// JPEG XL image: those are pictures, so the user is told what to do.
pub fn sniff(bytes: &[u8]) -> Result<Format> {
    let riff_webp = bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP");
    match bytes {
        [] => Err(Error::invalid_image("image is empty")),
        [0xff, 0xd8, 0xff, ..] => Ok(Format::Jpeg),
        [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, ..] => Ok(Format::Png),
        _ if riff_webp => Ok(Format::WebP),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Ok(Format::Gif),
        [b'B', b'M', ..] => Ok(Format::Bmp),
        [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => Ok(Format::Tiff),
        // With the version number in the other byte order, as Pillow reads it, too.
        [b'I', b'I', 0, 42, ..] | [b'M', b'M', 42, 0, ..] => Ok(Format::Tiff),
        _ => Err(match other_image(bytes) {
            Some(name) => Error::unsupported(format!("{name} images are not supported"))
                .with_hint("Convert the image to JPEG, PNG, WebP, GIF, BMP or TIFF."),
            None => Error::invalid_image("image is not JPEG, PNG, WebP, GIF, BMP or TIFF"),
        }),
    }
}

/// Pictures that are recognised only to be refused by name.
fn other_image(bytes: &[u8]) -> Option<&'static str> {
    if bytes.starts_with(&[0xff, 0x0a]) || bytes.starts_with(b"\0\0\0\x0cJXL \r\n\x87\n") {
        return Some("JPEG XL");
    }
    if bytes.get(4..8) != Some(b"ftyp") {
        return None;
    }
    // The ISO base media file format (HEIC and AVIF, but videos too) names its brand after `ftyp`.
    match bytes.get(8..12)? {
        b"avif" | b"avis" => Some("AVIF"),
        b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"mif1" | b"msf1" => Some("HEIC"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn other_pictures_are_refused_by_name() {
        let e = sniff(b"\0\0\0\x18ftypheic\0\0\0\0").unwrap_err();
        assert_eq!((e.kind, e.message.as_str()), (ErrorKind::Unsupported, "HEIC images are not supported"));
        assert!(e.hint.is_some());
        let e = sniff(b"<svg xmlns=").unwrap_err();
        assert_eq!(e.kind, ErrorKind::InvalidImage);
    }
}
