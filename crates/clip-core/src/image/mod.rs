//! From a stranger's bytes to the vision tower's input.
//!
//! ```text
//! &[u8] ── decode ──▶ Rgb8 ── preprocess ──▶ Rgb8, S×S ── normalize ──▶ [3, S, S] f32
//! ```
//!
//! Owns: formats, limits, orientation, conversion to RGB, resampling, normalisation. Does not own: batches, threads,
//! where the bytes come from. The reference for every number is Pillow and the Pillow-based `CLIPImageProcessor` of
//! transformers: `ImageOps.exif_transpose(Image.open(b)).convert("RGB")`, then resize, crop, rescale, normalise.
//!
//! The bytes are hostile until proven otherwise: sizes are checked before anything is allocated, a truncated file is
//! an error and never a half-grey picture, and a panic of a decoder becomes an error.

mod bmp;
mod decode;
mod estimate;
mod exif;
mod format;
mod gif;
mod jpeg;
mod normalize;
mod orient;
mod phash;
mod png;
mod preprocess;
mod reader;
mod resize;
mod tiff;
mod webp;
mod ycc;

pub use decode::{decode, is_decoding};
pub use estimate::{Estimate, estimate, estimate_hash};
pub use format::{Format, sniff};
pub use normalize::normalize;
pub use phash::perceptual_hash;
pub use preprocess::preprocess;

use crate::memory::zeroed;
use crate::{Result, spec::ImageSpec};

/// What an image may cost. Both are checked before any pixel is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Length of the encoded image, in bytes.
    pub max_bytes: usize,
    /// Width times height, in pixels.
    ///
    /// What decoding takes beside the file is [estimated](estimate()) from the header. In bytes a pixel:
    ///
    /// | format | bytes |
    /// |---|---|
    /// | JPEG in one scan | 3 |
    /// | JPEG in several, as progressive ones | 3 at 4:2:0 and grey, 4 at 4:2:2, 6 at 4:4:4, 8 of CMYK |
    /// | PNG | 3; interlaced 3 and those of the file |
    /// | WebP | 5, lossy or not |
    /// | GIF, BMP with run lengths | 4 |
    /// | BMP | 3 |
    /// | TIFF | 3; compressed 3 and those of its largest strip or tile, or of the JPEG in it |
    ///
    /// To turn a picture upright takes nothing more.
    pub max_pixels: u64,
}

impl Default for Limits {
    /// 64 MiB, and Pillow's `MAX_IMAGE_PIXELS`.
    fn default() -> Self {
        Self { max_bytes: 64 << 20, max_pixels: 89_478_485 }
    }
}

/// A picture: `height` rows of `width` pixels of three bytes (red, green, blue), top row first, no padding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rgb8 {
    pub width: u32,
    pub height: u32,
    pub pixels: Vec<u8>,
}

/// Decodes, preprocesses and normalises one image: channel-first `[3, S, S]` with S = `spec.crop`.
///
/// Fails as [`decode`] and [`preprocess`] do.
pub fn pixel_values(bytes: &[u8], limits: &Limits, spec: &ImageSpec) -> Result<Vec<f32>> {
    let square = {
        let picture = decode::stored(bytes, limits)?;
        preprocess::square(&picture, spec)?
    };
    let mut out = zeroed(square.pixels.len())?;
    normalize(&square, spec, &mut out);
    Ok(out)
}
