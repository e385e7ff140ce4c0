//! A JPEG XL decoder whose levels are libjxl's, as `pillow-jxl-plugin` gives them to Pillow.
//!
//! The `jxl` crate decodes the codestream. What makes 8 bits of its samples is here, since that is a decoder's choice: libjxl adds
//! noise of its own. The colour space stays the file's, as in the reference.
//!
//! ```no_run
//! use jxl_levels::{Decoder, Env, Levels};
//!
//! let bytes = std::fs::read("photo.jxl").unwrap();
//! let decoder = Decoder::new(&bytes).unwrap();
//! let picture = decoder.decode(&Env::default()).unwrap();
//! if let Levels::Rgb(pixels) = picture.levels {
//!     assert_eq!(pixels.len(), 3 * decoder.width() * decoder.height());
//! }
//! ```
//!
//! **Hostile bytes.** Everything here is safe Rust. What of `jxl` is unsafe are intrinsics
//! that load and store at lengths asserted before, the memory of its images, whose places are asserted against their sizes, casts between
//! numbers, and a table of the weighted predictor that is read at places proven from the arithmetic on coded values. So strangers' bytes reach
//! unsafe code as values, and as sizes that are checked at the time of use. [`Decoder::needs`] tells the memory by the headers of frames and of
//! their groups, which jxl-oxide's parsers read; [`Env`] may end the work between groups of pixels. Frames much larger than the picture, far more
//! groups than it has, thousands of splines or patches, and tables of codes above 16 MB are refused. Not seen before decoding are codes behind
//! coded pixels in the same section, whose tables take up to 68 MB for a time. Both libraries assert what they believe, so that damaged files
//! may end in a panic: whoever decodes strangers' files has to catch it.

#![forbid(unsafe_code)]

mod codes;
mod container;
mod decode;
mod dither;
mod error;
mod features;
mod frames;
mod global;
mod groups;
mod header;
mod profile;
mod transforms;
mod tree;

use std::borrow::Cow;

pub use error::{Error, Result};
pub use jpeg_levels::Env;

use container::Container;
use frames::Needs;
use header::Header;

/// A file whose header is read.
#[derive(Debug)]
pub struct Decoder<'a> {
    bytes: &'a [u8],
    container: Container<'a>,
    header: Header,
}

/// The first picture of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    pub levels: Levels,
    /// There is more of the picture than the bytes have.
    pub is_cut: bool,
}

/// In rows without padding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Levels {
    /// Three bytes a pixel.
    Rgb(Vec<u8>),
    /// Grey of 16 bits, two bytes a pixel in the machine's order: what was declared with more than 8, scaled to 65535.
    Grey16(Vec<u8>),
}

impl<'a> Decoder<'a> {
    pub fn new(bytes: &'a [u8]) -> Result<Self> {
        let container = Container::read(bytes)?;
        let header = Header::read(&container.codestream)?;
        Ok(Self { bytes, container, header })
    }

    /// As stored: the orientation is not applied.
    pub fn width(&self) -> usize {
        self.header.width()
    }

    pub fn height(&self) -> usize {
        self.header.height()
    }

    /// EXIF's number from 1 to 8, of the codestream.
    pub fn orientation(&self) -> u8 {
        self.header.orientation()
    }

    pub fn exif(&self) -> Option<&'a [u8]> {
        self.container.exif
    }

    pub fn xmp(&self) -> Option<&'a [u8]> {
        self.container.xmp
    }

    /// Bytes that [`decode`](Self::decode) will take, the picture among them. It reads the headers of all frames that are needed for the
    /// picture, and counts what is kept of them. Of a damaged file it tells what was found before the damage.
    pub fn needs(&self) -> usize {
        let mut needs = Needs::default();
        let _told_by_decode = frames::read(&self.header, &self.container.codestream, &mut needs, &Env::default());
        // Sections are copied as a whole, and so are parts of a codestream.
        let copies = if matches!(self.container.codestream, Cow::Owned(_)) { 2 } else { 1 };
        decode::needs(&self.header, needs).saturating_add(copies * self.container.codestream.len())
    }

    pub fn decode(&self, env: &Env<'_>) -> Result<Picture> {
        self.decode_as(false, env)
    }

    /// As [`decode`](Self::decode); of a picture whose data end early, what there is.
    pub fn decode_incomplete(&self, env: &Env<'_>) -> Result<Picture> {
        self.decode_as(true, env)
    }

    fn decode_as(&self, incomplete: bool, env: &Env<'_>) -> Result<Picture> {
        frames::read(&self.header, &self.container.codestream, &mut Needs::default(), env)?;
        decode::decode(self.bytes, &self.header, self.container.jpeg.is_some(), incomplete, env)
    }
}
