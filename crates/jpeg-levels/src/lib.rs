//! A JPEG decoder whose levels are those of libjpeg-turbo, one by one.
//!
//! Other decoders differ from libjpeg by a level here and there, in the inverse transform, between two samples of chroma, in the
//! rounding of a colour. That is invisible, and yet it moves what a neural network makes of a picture. This crate follows
//! libjpeg-turbo's arithmetic, as Pillow and most programs use it: its accurate integer transform (ISLOW), its
//! triangle filter between chroma samples, its colour tables.
//!
//! ```no_run
//! use jpeg_levels::{Decoder, Env, Output};
//!
//! let bytes = std::fs::read("photo.jpg").unwrap();
//! let picture = Decoder::new(&bytes).unwrap().decode(Output::Rgb, &Env::default()).unwrap();
//! assert_eq!(picture.pixels.len(), 3 * picture.width * picture.height);
//! ```
//!
//! **Reads** what ITU-T T.81 calls baseline, extended sequential and progressive, with Huffman and with arithmetic coding, of 8 bits and
//! one to four components with any whole sampling factors, in scans of any order, with restart markers. Colours are told by
//! libjpeg's rules. Refuses by name ([`Unsupported`]): 12 bits, lossless, hierarchical, fractional sampling factors.
//!
//! **Hostile bytes.** Safe Rust, without unchecked places or sums of sizes that the header alone decides: [`Decoder::needs`] tells
//! the memory before any work, and [`Env`] gives it and may end the work, which looks there at least every row of blocks. Work grows
//! with the file and the picture; more than 200 full scans are refused. What libjpeg warns of and goes on is decoded as
//! libjpeg does, and told in [`Warnings`].
//!
//! **Memory.** The picture, and some rows: where the only scan has all components, they are all. Else the coefficients of the whole
//! picture have to be kept, two bytes a sample. Pixels then take the place of their coefficients.
//!
//! | picture as RGB | bytes a pixel |
//! |---|---|
//! | one scan | 3 |
//! | several, 4:2:0 or grey | 3 |
//! | several, 4:2:2 | 4 |
//! | several, 4:4:4 | 6 |
//! | several, CMYK | 8 |
//!
//! **Follows**, by the names of libjpeg-turbo's files: `jdmarker.c` (segments, restarts), `jdapimin.c` (colour space), `jdinput.c`,
//! `jdcoefct.c` (scans, block smoothing), `jdhuff.c`, `jdphuff.c`, `jdarith.c`, `jidctint.c` and `jidctred.c` in
//! their vector forms, `jdmaster.c`, `jdsample.c`, `jdmainct.c`, `jdcolor.c`. No code is theirs.

#![forbid(unsafe_code)]

mod arithmetic;
mod bits;
mod block;
mod coder;
mod color;
#[cfg(target_arch = "x86_64")]
mod color_avx2;
mod decode;
mod error;
mod frame;
mod huffman;
mod idct;
#[cfg(target_arch = "x86_64")]
mod idct_avx2;
mod idct_reduced;
mod input;
mod markers;
mod progressive;
mod rows;
mod scan;
mod sequential;
mod smooth;
mod store;
mod units;
mod upsample;
mod vectors;

pub use color::Output;
pub use error::{Error, Result, Unsupported, Warnings};
pub use frame::Colour;
#[cfg(feature = "portable")]
pub use vectors::portable;

use decode::{Job, is_single};
use frame::{Frame, MOST};
use input::{EOI, Input, SOI};
use markers::{Reader, ScanHeader};

/// Where memory comes from, and whether to go on.
#[derive(Clone, Copy)]
pub struct Env<'e> {
    /// Gives so many zero bytes, or `None` where there is no memory for them: then the work fails with
    /// [`Error::OutOfMemory`].
    pub zeroed: &'e dyn Fn(usize) -> Option<Vec<u8>>,
    /// Asked at least once for each row of blocks; `false` ends the work with [`Error::Stopped`].
    pub go_on: &'e dyn Fn() -> bool,
}

impl Default for Env<'_> {
    /// Memory from the allocator, and no end.
    fn default() -> Self {
        Self { zeroed: &zeroed, go_on: &|| true }
    }
}

fn zeroed(len: usize) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(len).ok()?;
    bytes.resize(len, 0);
    Some(bytes)
}

impl Env<'_> {
    /// The bytes that are asked for. Memory of another length is taken for none.
    fn zeroed(&self, len: usize) -> Result<Vec<u8>> {
        (self.zeroed)(len).filter(|bytes| bytes.len() == len).ok_or(Error::OutOfMemory(len))
    }

    fn look(&self) -> Result<()> {
        if (self.go_on)() { Ok(()) } else { Err(Error::Stopped) }
    }
}

/// How much smaller than it is a picture is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduction {
    /// 1/2 of the width and the height.
    Half,
    /// 1/4 of the width and the height.
    Quarter,
    /// 1/8 of the width and the height.
    Eighth,
}

impl Reduction {
    /// All of them, the largest picture first.
    pub const ALL: [Self; 3] = [Self::Half, Self::Quarter, Self::Eighth];

    /// What width and height are divided by.
    pub const fn divisor(self) -> usize {
        match self {
            Self::Half => 2,
            Self::Quarter => 4,
            Self::Eighth => 8,
        }
    }
}

/// A decoded picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Pixels of a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Bytes a pixel, as the [`Output`] says.
    pub channels: usize,
    /// `[height, width, channels]`, the top row first. More memory may be reserved behind it.
    pub pixels: Vec<u8>,
    /// What was met on the way and gone over.
    pub warnings: Warnings,
}

/// Where the pixels go.
enum Target<'t> {
    Picture,
    Rows(&'t mut dyn FnMut(usize, &[u8]) -> Result<()>),
}

/// A file whose headers are read, up to its first scan.
#[derive(Clone)]
pub struct Decoder<'a> {
    reader: Reader<'a>,
    frame: Frame,
    first: ScanHeader,
    colour: Colour,
}

impl<'a> Decoder<'a> {
    /// Reads the headers up to the first scan.
    ///
    /// # Errors
    ///
    /// - [`Error::NotJpeg`] where the bytes do not begin as a JPEG does
    /// - [`Error::Truncated`] where they end before the first scan
    /// - [`Error::Damaged`] or [`Error::Unsupported`] for a header that libjpeg refuses, or a kind that is not read
    ///   here
    pub fn new(bytes: &'a [u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes)?;
        let first = reader.next_scan()?;
        let first = match first {
            Some(first) => first,
            None if reader.input.ended => return Err(Error::Truncated),
            None => return Err(Error::Damaged("no scan before the end marker")),
        };
        let frame = reader.frame.clone().ok_or(Error::Damaged("no frame header"))?;
        let colour = frame.colour(reader.hints);
        Ok(Self { reader, frame, first, colour })
    }

    /// Pixels of a row to be decoded, at least 1. Pictures of more than 65500 are refused by [`decode`](Self::decode), as by
    /// libjpeg.
    pub fn width(&self) -> usize {
        self.frame.width
    }

    /// Rows, at least 1 and at most 65535.
    pub fn height(&self) -> usize {
        self.frame.height
    }

    /// How the samples encode colour, by libjpeg's rules (`default_decompress_parms` of `jdapimin.c`).
    pub fn colour(&self) -> Colour {
        self.colour
    }

    /// Repeats chroma samples, as libjpeg does where its `do_fancy_upsampling` is off. Readers of raw samples, such as
    /// libtiff's of old-style JPEG, do so, too.
    pub fn repeat_chroma(mut self) -> Self {
        self.frame.components.iter_mut().for_each(frame::Component::repeat);
        self
    }

    /// Decodes to 1/2, 1/4 or 1/8 of the width and the height, rounded up, as libjpeg does where its `scale_denom` is told: from the
    /// low frequencies of each block alone. It takes less time and memory, and the pixels are about the means of those
    /// of the whole picture.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] for sampling factors that are fractional at this size.
    pub fn reduced(mut self, to: Reduction) -> Result<Self> {
        // Pictures that are refused stay so.
        if self.frame.width <= MOST && self.frame.height <= MOST {
            self.frame.reduce(8 / to.divisor())?;
        }
        Ok(self)
    }

    /// The segments before the first scan, by their markers: those of applications (0xe0 to 0xef) hold metadata.
    pub fn segments(&self) -> Segments<'a> {
        Segments(Input { pos: 2, marker: 0, ..self.reader.input })
    }

    /// Progressive, or with components in scans of their own: there are coefficients to keep.
    pub fn has_several_scans(&self) -> bool {
        !is_single(&self.frame, &self.first)
    }

    /// Bytes that [`decode`](Self::decode) will take at most, the picture among them.
    pub fn needs(&self, output: Output) -> usize {
        let frame = &self.frame;
        let line = output.channels(self.colour) * frame.width;
        let kept = if self.has_several_scans() {
            // Means for the smoothing, which only pictures with missing scans need.
            store::size(frame, line).1 + if frame.progressive { smooth::Smooth::size(frame) } else { 0 }
        } else {
            line * frame.height
        };
        kept + rows::size(frame) + FIXED
    }

    /// The whole picture.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`] or [`Error::Stopped`] where `env` says so. [`Error::TooManyScans`] for more work than
    /// any encoder makes. [`Error::Damaged`] or [`Error::Unsupported`] for what libjpeg refuses in later headers.
    ///
    /// A file that ends early is no error here, but told in [`Picture::warnings`].
    pub fn decode(self, output: Output, env: &Env<'_>) -> Result<Picture> {
        self.job(output, env, Target::Picture)
    }

    /// Hands rows of pixels out as they come: the number of the first one, and the bytes of some whole rows. The
    /// picture returned has no pixels.
    ///
    /// Fails as [`decode`](Self::decode) does, and with whatever `sink` fails with.
    pub fn decode_rows(
        self,
        output: Output,
        env: &Env<'_>,
        sink: &mut dyn FnMut(usize, &[u8]) -> Result<()>,
    ) -> Result<Picture> {
        self.job(output, env, Target::Rows(sink))
    }

    fn job(self, output: Output, env: &Env<'_>, target: Target<'_>) -> Result<Picture> {
        let Self { reader, frame, first, colour } = self;
        if frame.width > MOST || frame.height > MOST {
            return Err(Error::Damaged("picture is more than 65500 pixels wide or high"));
        }
        if output == Output::Rgb && colour == Colour::Unknown {
            return Err(Error::Unsupported(Unsupported::Components(2)));
        }
        Job { reader, frame, first, colour, output, env, target }.run()
    }
}

/// The markers and bodies of segments.
#[derive(Clone, Debug)]
pub struct Segments<'a>(Input<'a>);

impl<'a> Iterator for Segments<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let marker = self.0.seek_marker();
            match marker {
                EOI if self.0.ended => return None,
                0xda => return None,
                // Markers without a segment; a stream of tables may come before the picture's.
                EOI | SOI | 0xd0..=0xd7 | 0x01 => self.0.marker = 0,
                _ => {
                    self.0.marker = 0;
                    return Some((marker, self.0.segment().ok()?.unwrap_or_default()));
                }
            }
        }
    }
}

/// Tables and blocks on their way, at most.
const FIXED: usize = 256 << 10;
