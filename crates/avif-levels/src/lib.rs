//! An AVIF decoder whose levels are those of Pillow, one by one.
//!
//! Pillow leaves AVIF to libavif: that takes planes from an AV1 decoder, puts tiles together, and turns YCbCr into RGB by libyuv's
//! integers or, for rare matrices, by floats of its own. AV1 says exactly what the planes are; this crate follows the rest.
//!
//! ```no_run
//! use avif_levels::{Decoder, Env};
//!
//! let bytes = std::fs::read("photo.avif").unwrap();
//! let decoder = Decoder::new(&bytes).unwrap();
//! let (width, height) = (decoder.width(), decoder.height());
//! let pixels = decoder.decode(&Env::default()).unwrap();
//! assert_eq!(pixels.len(), 3 * width * height);
//! ```
//!
//! **Reads** still pictures, grids, a layer of several, and the first picture of a sequence; 8, 10 and 12 bits, 4:0:0 to 4:4:4. Alpha
//! is not decoded but where colours are multiplied by it. As Pillow does it, the picture is neither turned nor cropped:
//! [`Decoder::turn`] says what is to be done. Predicted frames of a [`Sequence`] may have other levels, where `oxideav-av1` errs.
//!
//! **Hostile bytes.** Safe Rust, the AV1 decoder included. [`Decoder::needs`] tells the memory by the header. A frame larger than
//! the file's own size of the picture is refused before memory is taken for it. [`Env`] may end the work between frames and between
//! rows, but not within a frame of AV1.

#![forbid(unsafe_code)]

mod av1;
mod colour;
mod error;
mod float;
mod grid;
mod header;
mod integer;
mod intra;
mod memory;
mod multiplied;
mod picture;
mod planes;
mod primaries;
mod rgb;
mod sequence;
mod tile;
mod units;

pub use error::{Error, Result, Unsupported};
pub use jpeg_levels::Env;
pub use sequence::Sequence;

use isobmff::File;
use picture::Picture;

/// Whether some bytes are an AVIF file, by its brands or by the item to be shown.
pub fn is_avif(bytes: &[u8]) -> bool {
    picture::is_avif(bytes)
}

/// A file whose container is read.
#[derive(Clone, Debug)]
pub struct Decoder<'a> {
    picture: Picture<'a>,
    exif: Option<&'a [u8]>,
    xmp: Option<&'a [u8]>,
}

impl<'a> Decoder<'a> {
    /// Fails where there is no picture of AV1 in the file, or no size of it.
    pub fn new(bytes: &'a [u8]) -> Result<Self> {
        let file = File::read(bytes)?;
        let picture = Picture::find(&file)?;
        let (exif, xmp) = picture::metadata(&file);
        Ok(Self { picture, exif, xmp })
    }

    /// As stored: the picture is not turned.
    pub fn width(&self) -> usize {
        self.picture.width as usize
    }

    pub fn height(&self) -> usize {
        self.picture.height as usize
    }

    /// EXIF's number from 2 to 8 for how `irot` and `imir` turn the picture, `None` where they do not.
    pub fn turn(&self) -> Option<u8> {
        self.picture.turn.exif()
    }

    /// The block from its TIFF header on. Pillow lets [`turn`](Self::turn) override the orientation that it tells.
    pub fn exif(&self) -> Option<&'a [u8]> {
        self.exif
    }

    /// An XMP packet, which tells the orientation for Pillow where nothing else does.
    pub fn xmp(&self) -> Option<&'a [u8]> {
        self.xmp
    }

    /// Bytes that [`decode`](Self::decode) will take at most, the picture among them, if the first frame is what the picture is made
    /// of. Frames before it, which it may refer to, are not among them: their data alone tell.
    pub fn needs(&self) -> Result<usize> {
        memory::needs(&self.picture)
    }

    /// [`Env::go_on`] is asked within frames too, and not only before each.
    pub fn looks_within_frames(&self) -> bool {
        let picture = &self.picture;
        let looks = |tile| intra::needs(tile).is_ok_and(|needs| needs.is_some());
        picture.tiles.iter().chain(picture.multiplied.iter().flat_map(|alpha| &alpha.tiles)).all(looks)
    }

    /// The picture, three bytes a pixel.
    pub fn decode(&self, env: &Env<'_>) -> Result<Vec<u8>> {
        let (planes, colour) = grid::decode(&self.picture, env)?;
        let Some(alpha) = &self.picture.multiplied else {
            return rgb::convert(planes, colour, self.picture.alpha, env);
        };
        let kind = planes.kind;
        multiplied::check(kind, colour)?;
        let (alpha, range) = grid::decode(alpha, env)?;
        let mut pixels = rgb::convert(planes, colour, true, env)?;
        multiplied::divide(&mut pixels, &alpha, range.full_range, kind.depth, env)?;
        Ok(pixels)
    }
}
