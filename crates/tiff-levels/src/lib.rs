//! A TIFF decoder whose levels are those of Pillow, one by one.
//!
//! TIFF is many formats: Pillow reads what is not compressed by itself, and leaves the rest to libtiff. This crate follows both, as
//! far as a picture's levels depend on it, and makes RGB of 8 bits as Pillow's `convert("RGB")` does.
//!
//! ```no_run
//! use tiff_levels::{Decoder, Env};
//!
//! let bytes = std::fs::read("scan.tif").unwrap();
//! let decoder = Decoder::new(&bytes).unwrap();
//! let (width, height) = (decoder.width(), decoder.height());
//! let pixels = decoder.decode(&Env::default()).unwrap();
//! assert_eq!(pixels.len(), 3 * width * height);
//! ```
//!
//! **Reads** the first page of classic and BigTIFF files of both byte orders and both fill orders, in strips and tiles, contiguous and
//! in planes. Not compressed; PackBits, LZW (of before TIFF 6, too), deflate, Zstandard and LZMA with predictors; modified Huffman,
//! group 3 and group 4 fax; JPEG, new-style and old-style. Grey of 1, 2, 4, 8, 12, 16 and 32 bits and of floats, palettes, RGB and CMYK of
//! 8 and 16 bits, YCbCr with subsampled chroma, Lab; extra samples. What else there is is refused by name ([`Unsupported`]).
//!
//! **Hostile bytes.** Safe Rust, without unchecked places or sums of sizes. [`Decoder::needs`] tells the memory by the header, before
//! any work; [`Env`] gives it and may end the work, which looks there at least every 64 KiB. Strips and tiles that are much larger than
//! the picture are refused, and so is a file in which they lie over each other many times.

#![forbid(unsafe_code)]

mod canvas;
mod codec;
mod compression;
mod decode;
mod directory;
mod error;
mod jpeg;
mod lab;
mod layout;
mod old_jpeg;
mod rgb;
mod samples;
mod source;
mod wide;
mod ycbcr;

pub use error::{Error, Result, Unsupported};
pub use jpeg_levels::Env;
pub use rgb::cmyk_to_rgb;
pub use wide::{Range, Scale};

use compression::Compression;
use directory::{Directory, tag};
use layout::Layout;
use samples::Samples;
use source::{Gaps, Source};

/// Choices where Pillow's way may not be the one that is wanted. The defaults are Pillow's.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// What becomes of grey of more than 8 bits.
    pub scale: Scale,
    /// Strips and tiles may be missing or damaged. What cannot be decoded of them is made of samples of 0.
    pub gaps: bool,
}

/// A decoded page.
#[derive(Clone, Debug)]
pub struct Picture {
    /// `[height, width, 3]` levels of red, green and blue, the top row first.
    pub pixels: Vec<u8>,
    /// The darkest and the brightest value, of grey of more than 8 bits.
    pub range: Option<Range>,
    /// It has gaps.
    pub incomplete: bool,
}

/// A file whose first directory is read.
#[derive(Clone, Debug)]
pub struct Decoder<'a> {
    directory: Directory<'a>,
    width: usize,
    height: usize,
}

impl<'a> Decoder<'a> {
    /// Reads the first directory. What the picture is is looked at later.
    ///
    /// # Errors
    ///
    /// [`Error::NotTiff`] for other bytes, [`Error::Truncated`] where there is no directory, [`Error::Damaged`] where
    /// it has no size.
    pub fn new(bytes: &'a [u8]) -> Result<Self> {
        let directory = Directory::read(bytes)?;
        let (width, height) = layout::size(&directory)?;
        Ok(Self { directory, width, height })
    }

    /// Pixels of a row as stored: the orientation is not applied.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows as stored: the orientation is not applied.
    pub fn height(&self) -> usize {
        self.height
    }

    /// EXIF's number from 1 to 8, `None` where there is no such tag; 1 where it is of another type or value, as for Pillow.
    pub fn orientation(&self) -> Option<u8> {
        let entry = self.directory.find(tag::ORIENTATION)?;
        let value = if entry.is_one_number() { self.directory.value(entry, 0) } else { None };
        Some(value.filter(|value| (1..=8).contains(value)).map_or(1, |value| value as u8))
    }

    /// An XMP packet, which may tell the orientation where no tag does.
    pub fn xmp(&self) -> Option<&'a [u8]> {
        self.directory.bytes(tag::XMP)
    }

    fn with_source<R>(&self, gaps: &Gaps, job: impl FnOnce(Source<'_, 'a>) -> Result<R>) -> Result<R> {
        let directory = &self.directory;
        let compression = Compression::read(directory)?;
        let samples = &Samples::read(directory, compression == Compression::OldJpeg)?;
        let layout = &Layout::read(directory, compression, samples)?;
        job(Source { directory, compression, samples, layout, gaps })
    }

    /// Bytes that [`decode`](Self::decode) will take at most, the picture among them. What Zstandard's and LZMA's
    /// decoders keep is not among them: their data alone tell.
    ///
    /// Fails for a file that [`decode`](Self::decode) refuses by its header.
    pub fn needs(&self, env: &Env<'_>) -> Result<usize> {
        self.with_source(&Gaps::allowed(false), |source| decode::needs(source, env))
    }

    /// The picture, `[height, width, 3]` levels of red, green and blue.
    ///
    /// # Errors
    ///
    /// - [`Error::Unsupported`] for a kind that is refused by name
    /// - [`Error::Truncated`], [`Error::Damaged`] or [`Error::Jpeg`] where the data are not all there, or contradict
    ///   the header
    /// - [`Error::TooMuch`] for strips or tiles that are much larger than the picture or lie over each other
    /// - [`Error::OutOfMemory`] or [`Error::Stopped`] where `env` says so
    pub fn decode(&self, env: &Env<'_>) -> Result<Vec<u8>> {
        Ok(self.decode_with(env, Options::default())?.pixels)
    }

    /// The picture with choices, and what has to be known of it. With [`Options::gaps`] damaged strips and tiles are
    /// no error.
    ///
    /// All else fails as [`decode`](Self::decode) does.
    pub fn decode_with(&self, env: &Env<'_>, options: Options) -> Result<Picture> {
        let gaps = Gaps::allowed(options.gaps);
        let (pixels, range) = self.with_source(&gaps, |source| decode::decode(source, options.scale, env))?;
        Ok(Picture { pixels, range, incomplete: gaps.met.get() })
    }
}
