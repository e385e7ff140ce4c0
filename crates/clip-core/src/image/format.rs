//! The formats that are read here, in one table: whatever lists them is made from it.

#[cfg(feature = "avif")]
use super::avif;
use super::decode::Decoded;
use super::estimate::Need;
#[cfg(feature = "heic")]
use super::heic;
#[cfg(feature = "jxl")]
use super::jxl;
use super::signatures::{Other, signature};
use super::textual::describe;
use super::{ReadOptions, bmp, gif, jpeg, png, raw, tiff, webp};
#[cfg(feature = "more-formats")]
use super::{dds, ico, jpeg2000, others, pnm};
use crate::{Error, Result};

/// An image format that [`decode`](super::decode()) reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// JPEG: baseline, extended and progressive.
    Jpeg,
    /// PNG, and the default picture of an APNG.
    Png,
    /// WebP, lossy and lossless.
    WebP,
    /// GIF, its first frame.
    Gif,
    /// BMP, with headers of all versions.
    Bmp,
    /// TIFF, its first page.
    Tiff,
    /// HEIC: HEVC in a HEIF container, as phones take photographs.
    #[cfg(feature = "heic")]
    Heic,
    /// AVIF: AV1 in a HEIF container.
    #[cfg(feature = "avif")]
    Avif,
    /// JPEG XL, bare or in boxes.
    #[cfg(feature = "jxl")]
    Jxl,
    /// JPEG 2000, bare or in boxes.
    #[cfg(feature = "more-formats")]
    Jpeg2000,
    /// PBM, PGM and PPM, binary and as text.
    #[cfg(feature = "more-formats")]
    Pnm,
    /// Windows icons.
    #[cfg(feature = "more-formats")]
    Ico,
    /// Quite OK Image.
    #[cfg(feature = "more-formats")]
    Qoi,
    /// DirectDraw surfaces.
    #[cfg(feature = "more-formats")]
    Dds,
    /// Truevision TGA. It has no mark of its own, so it is tried last.
    #[cfg(feature = "more-formats")]
    Tga,
}

/// What is known of a format.
struct Facts {
    format: Format,
    name: &'static str,
    /// Of file names, in lower case, the usual one first.
    extensions: &'static [&'static str],
    media_type: &'static str,
    /// By the first bytes alone.
    is: fn(&[u8]) -> bool,
    decode: fn(&[u8], &ReadOptions) -> Result<Decoded>,
    /// By the header alone; `None` where it is damaged.
    need: for<'a> fn(&'a [u8]) -> Option<Need<'a>>,
}

/// In the order of [`Format`].
const FORMATS: &[Facts] = &[
    Facts {
        format: Format::Jpeg,
        name: "JPEG",
        extensions: &["jpg", "jpeg", "jpe", "jfif"],
        media_type: "image/jpeg",
        is: |bytes| bytes.starts_with(b"\xff\xd8\xff"),
        decode: jpeg::decode,
        need: jpeg::need,
    },
    Facts {
        format: Format::Png,
        name: "PNG",
        extensions: &["png", "apng"],
        media_type: "image/png",
        is: |bytes| bytes.starts_with(b"\x89PNG\r\n\x1a\n"),
        decode: png::decode,
        need: png::need,
    },
    Facts {
        format: Format::WebP,
        name: "WebP",
        extensions: &["webp"],
        media_type: "image/webp",
        is: |bytes| bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP"),
        decode: webp::decode,
        need: webp::need,
    },
    Facts {
        format: Format::Gif,
        name: "GIF",
        extensions: &["gif"],
        media_type: "image/gif",
        is: |bytes| bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a"),
        decode: gif::decode,
        need: gif::need,
    },
    Facts {
        format: Format::Bmp,
        name: "BMP",
        extensions: &["bmp", "dib"],
        media_type: "image/bmp",
        is: |bytes| bytes.starts_with(b"BM"),
        decode: bmp::decode,
        need: bmp::need,
    },
    Facts {
        format: Format::Tiff,
        name: "TIFF",
        extensions: &["tif", "tiff"],
        media_type: "image/tiff",
        is: |bytes| matches!(bytes, [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..]),
        decode: tiff::decode,
        need: tiff::need,
    },
    #[cfg(feature = "heic")]
    Facts {
        format: Format::Heic,
        name: "HEIC",
        extensions: &["heic", "heif", "heics", "heifs", "hif"],
        media_type: "image/heic",
        is: heic_levels::is_heic,
        decode: heic::decode,
        need: heic::need,
    },
    #[cfg(feature = "avif")]
    Facts {
        format: Format::Avif,
        name: "AVIF",
        extensions: &["avif", "avifs"],
        media_type: "image/avif",
        is: avif_levels::is_avif,
        decode: avif::decode,
        need: avif::need,
    },
    #[cfg(feature = "jxl")]
    Facts {
        format: Format::Jxl,
        name: "JPEG XL",
        extensions: &["jxl"],
        media_type: "image/jxl",
        is: |bytes| bytes.starts_with(b"\xff\x0a") || bytes.starts_with(b"\0\0\0\x0cJXL \r\n\x87\n"),
        decode: jxl::decode,
        need: jxl::need,
    },
    #[cfg(feature = "more-formats")]
    Facts {
        format: Format::Jpeg2000,
        name: "JPEG 2000",
        extensions: &["jp2", "j2k", "jpf", "jpx", "j2c"],
        media_type: "image/jp2",
        is: jpeg2000::is,
        decode: jpeg2000::decode,
        need: jpeg2000::need,
    },
    #[cfg(feature = "more-formats")]
    Facts {
        format: Format::Pnm,
        name: "PNM",
        extensions: &["ppm", "pgm", "pbm", "pnm", "pfm"],
        media_type: "image/x-portable-anymap",
        is: pnm::is_pnm,
        decode: pnm::decode,
        need: pnm::need,
    },
    #[cfg(feature = "more-formats")]
    Facts {
        format: Format::Ico,
        name: "ICO",
        extensions: &["ico", "cur"],
        media_type: "image/vnd.microsoft.icon",
        is: ico::is,
        decode: ico::decode,
        need: ico::need,
    },
    #[cfg(feature = "more-formats")]
    Facts {
        format: Format::Qoi,
        name: "QOI",
        extensions: &["qoi"],
        media_type: "image/qoi",
        is: |bytes| bytes.starts_with(b"qoif"),
        decode: |bytes, options| others::decode(Format::Qoi, bytes, options),
        need: |bytes| others::need(Format::Qoi, bytes),
    },
    #[cfg(feature = "more-formats")]
    Facts {
        format: Format::Dds,
        name: "DDS",
        extensions: &["dds"],
        media_type: "image/vnd-ms.dds",
        is: |bytes| bytes.starts_with(b"DDS "),
        decode: dds::decode,
        need: dds::need,
    },
    #[cfg(feature = "more-formats")]
    Facts {
        format: Format::Tga,
        name: "TGA",
        extensions: &["tga"],
        media_type: "image/x-tga",
        // Last, as it has no mark.
        is: others::is_tga,
        decode: |bytes, options| others::decode(Format::Tga, bytes, options),
        need: |bytes| others::need(Format::Tga, bytes),
    },
];

const _: () = {
    let mut at = 0;
    while at < FORMATS.len() {
        assert!(FORMATS[at].format as usize == at);
        at += 1;
    }
};

impl Format {
    /// Every format that this build reads, in the order in which they are recognised.
    pub fn all() -> impl Iterator<Item = Self> {
        FORMATS.iter().map(|facts| facts.format)
    }

    /// As people write it: `JPEG`, `WebP`.
    pub fn name(self) -> &'static str {
        self.facts().name
    }

    /// Of names of such files, in lower case and without a dot, the usual one first.
    pub fn extensions(self) -> &'static [&'static str] {
        self.facts().extensions
    }

    /// Its media type, as registered with IANA, or else in use: `image/jpeg`.
    pub fn media_type(self) -> &'static str {
        self.facts().media_type
    }

    /// Runs the format's decoder. The file's size has been checked, its format recognised.
    pub(super) fn decode(self, bytes: &[u8], options: &ReadOptions) -> Result<Decoded> {
        (self.facts().decode)(bytes, options)
    }

    /// What the header tells. `None` where it is damaged.
    pub(super) fn need(self, bytes: &[u8]) -> Option<Need<'_>> {
        (self.facts().need)(bytes)
    }

    fn facts(self) -> &'static Facts {
        &FORMATS[self as usize]
    }
}

/// Ends of the names of files that are read here, in lower case and without the dot.
pub fn format_extensions() -> impl Iterator<Item = &'static str> {
    FORMATS.iter().flat_map(|facts| facts.extensions).copied()
}

/// The names of all, as a sentence lists them.
pub fn format_names() -> String {
    let names: Vec<_> = Format::all().map(Format::name).collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => names.concat(),
    }
}

/// Recognises the format by its magic number.
///
/// Fails with `Unsupported` when the bytes are a picture of another format, and with `InvalidImage` when they are none. The hint
/// says what they look like, and what to do.
pub fn sniff(bytes: &[u8]) -> Result<Format> {
    sniff_known(bytes).ok_or_else(|| refusal(bytes))
}

/// The format whose mark the bytes begin with. Nothing is said of those that have none.
pub(super) fn sniff_known(bytes: &[u8]) -> Option<Format> {
    FORMATS.iter().find(|facts| (facts.is)(bytes)).map(|facts| facts.format)
}

/// The error of bytes that are no image of a known format, with a hint at what they look like.
fn refusal(bytes: &[u8]) -> Error {
    if bytes.is_empty() {
        return Error::invalid_image("image is empty").with_hint("The value has no bytes. NULL stands for no image.");
    }
    let no_image = || Error::invalid_image("image is not of a supported format");
    match signature(bytes) {
        Some(Other::Picture(name)) => Error::unsupported(format!("{name} images are not supported"))
            .with_hint("Convert the image to JPEG or PNG."),
        Some(Other::Raw(name)) => Error::unsupported(format!("{name} images are not supported")).with_hint(raw::HINT),
        Some(Other::File(what, hint)) => no_image().with_hint(format!("The bytes look like {what}. {hint}")),
        None => match describe(bytes) {
            Some((what, hint)) => no_image().with_hint(format!("The bytes look like {what}. {hint}")),
            None if bytes.iter().take(64).all(|byte| *byte == 0) => no_image().with_hint(
                "The bytes begin with zeros, as a file does that was not written to its end. Look for the original.",
            ),
            None => no_image().with_hint(format!("Supported formats: {}.", format_names())),
        },
    }
}
