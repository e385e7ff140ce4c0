//! A HEIC decoder whose levels are those of libheif, one by one.
//!
//! ```no_run
//! use heic_levels::{Decoder, Env};
//!
//! let bytes = std::fs::read("photo.heic").unwrap();
//! let decoder = Decoder::new(&bytes).unwrap();
//! let pixels = decoder.decode(&Env::default()).unwrap();
//! assert_eq!(pixels.len(), 3 * decoder.width() * decoder.height());
//! ```
//!
//! **Reads** the primary picture of items coded as HEVC, grids of them, overlays of both, and the pictures of a [`Sequence`], of which the
//! first counts where one is wanted; 4:0:0 to 4:4:4, 8 to 14 bits, all matrices but YCgCo, YDzDx and ICtCp. Turns, mirrors and
//! crops of the file are made; alpha and thumbnails do not count. What else there is is refused by name ([`Error::Unsupported`]).
//!
//! **Follows** libheif, in its colours' arithmetic (integers for 4:2:0 of full range, floats for the rest), in how often a chroma sample
//! is repeated, in the rounding of crops, and in that it enlarges chroma before some turns.
//!
//! **Hostile bytes.** Safe Rust, without unchecked places or sums. [`Decoder::needs`] tells the memory by the headers, before any
//! work; [`Env`] gives it and may end the work. Tiles that are much larger than the picture are refused.
//!
//! **Memory.** The picture, three bytes a pixel, and some rows of a tile: tiles are decoded one after the other, and each row goes to
//! its turned place at once. Where chroma is enlarged before a turn (odd sizes, 4:2:2 by a quarter), all samples besides: three or four bytes.

#![forbid(unsafe_code)]

mod convert;
mod decode;
mod error;
mod overlay;
mod planes;
mod sequence;
mod shown;
mod source;
mod turn;
mod upsample;

pub use error::{Error, Result};
pub use sequence::Sequence;

use shown::Shown;

/// Whether the bytes are those of a HEIC file: by its brands, or where these say nothing of a codec, by its items.
pub fn is_heic(bytes: &[u8]) -> bool {
    const BRANDS: [&[u8; 4]; 6] = [b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"];
    let Some(brands) = isobmff::Brands::read(bytes) else { return false };
    match &brands.major {
        major if BRANDS.contains(&major) => true,
        b"mif1" | b"msf1" => BRANDS.iter().any(|brand| brands.has(brand)) || source::has_hevc(bytes),
        _ => false,
    }
}

/// Where memory comes from, and whether to go on.
#[derive(Clone, Copy)]
pub struct Env<'e> {
    /// So many zeros, or `None` where there is no memory for them.
    pub zeroed: &'e dyn Fn(usize) -> Option<Vec<u8>>,
    /// Asked at least once for every eight coding tree blocks; `false` ends the work with [`Error::Stopped`].
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

/// A file whose headers are read.
#[derive(Clone, Debug)]
pub struct Decoder<'a> {
    shown: Shown<'a>,
}

impl<'a> Decoder<'a> {
    pub fn new(bytes: &'a [u8]) -> Result<Self> {
        Ok(Self { shown: Shown::new(bytes)? })
    }

    /// As shown: turned and cropped as the file says, whatever its EXIF data say.
    pub fn width(&self) -> usize {
        self.shown.turn().width
    }

    pub fn height(&self) -> usize {
        self.shown.turn().height
    }

    /// Width and height of what is coded, before it is turned and cropped.
    pub fn stored(&self) -> (usize, usize) {
        self.shown.stored()
    }

    /// Bytes that [`decode`](Self::decode) will take at most, the picture among them.
    pub fn needs(&self) -> Result<usize> {
        let picture = self.width().saturating_mul(self.height()).saturating_mul(3);
        Ok(self.shown.needs()?.saturating_add(picture))
    }

    /// The picture, three bytes a pixel.
    pub fn decode(&self, env: &Env<'_>) -> Result<Vec<u8>> {
        self.shown.decode(env)
    }
}
