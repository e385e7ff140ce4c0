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
//! an error and never a half-grey picture unless that is asked for, and a panic of a decoder becomes an error.

#[cfg(feature = "avif")]
mod avif;
mod bmp;
#[cfg(feature = "more-formats")]
mod dds;
mod decode;
mod env;
mod estimate;
mod exif;
mod format;
mod frames;
mod gif;
mod grey16;
#[cfg(feature = "heic")]
mod heic;
#[cfg(feature = "more-formats")]
mod ico;
mod jpeg;
#[cfg(feature = "more-formats")]
mod jpeg2000;
#[cfg(feature = "jxl")]
mod jxl;
mod normalize;
mod options;
mod orient;
#[cfg(feature = "more-formats")]
mod others;
mod phash;
mod png;
mod png_chunks;
#[cfg(feature = "more-formats")]
mod pnm;
mod preprocess;
mod raw;
mod reader;
mod resize;
mod signatures;
mod textual;
mod tiff;
mod vp8;
mod vp8l;
mod webp;
mod ycc;

pub use decode::{decode, decode_with};
pub use estimate::{Estimate, estimate, estimate_hash, size};
pub use format::{Format, format_extensions, format_names, sniff};
pub use frames::{MOST_FRAMES, estimate_frames, frames};
pub use normalize::normalize;
pub use options::{Grey16, JpegDecoding, ReadOptions, Remarks, Truncated};
pub use phash::perceptual_hash;
pub use preprocess::{most_pixels, preprocess};
pub use raw::preview;

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
    /// | BMP, DDS | 3 |
    /// | HEIC | 3, and some rows; 7 where its chroma has to be enlarged before it is turned |
    /// | AVIF | 4 of grey, 5 at 4:2:0, 8 at 4:4:4; of 10 and 12 bits 7 at 4:2:0, 8 at 4:4:4; with film grain 21 to 45 |
    /// | JPEG XL | 6; of floats 12; and those of frames that others are made of |
    /// | JPEG 2000 | 25 of three components |
    /// | PNM | 3; 5 of grey of 16 bits |
    /// | TGA, QOI | 7 |
    /// | TIFF | 3; compressed 3 and those of its largest strip or tile, or of the JPEG in it |
    ///
    /// To turn a picture upright takes nothing more.
    pub max_pixels: u64,
}

impl Default for Limits {
    /// 64 MiB, and what Pillow reads: twice its `MAX_IMAGE_PIXELS`, from which on it warns.
    fn default() -> Self {
        Self { max_bytes: 64 << 20, max_pixels: 2 * 89_478_485 }
    }
}

/// A picture: `height` rows of `width` pixels of three bytes (red, green, blue), top row first, no padding.
///
/// [`decode`](decode()) gives it upright.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rgb8 {
    /// Pixels of a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// `[height, width, 3]` levels of 0 to 255.
    pub pixels: Vec<u8>,
}

/// What the vision tower sees of one image.
#[derive(Clone, Debug, PartialEq)]
pub struct Pixels {
    /// `[3, height, width]`: all of red, then green, then blue. Row by row, rescaled and normalised.
    pub values: Vec<f32>,
    /// Of a row: `spec.crop`, but where the model sees pictures of any aspect.
    pub width: usize,
    /// Rows: as many as a row has pixels, but where the model sees pictures of any aspect.
    pub height: usize,
    /// What has to be known of the picture beside its pixels.
    pub remarks: Remarks,
}

/// Decodes, preprocesses and normalises one image.
///
/// The picture is turned upright and converted as it is resized, so that neither takes a copy of it.
///
/// Fails as [`decode`](decode()) and [`preprocess`](preprocess()) do.
pub fn pixel_values(bytes: &[u8], options: impl Into<ReadOptions>, spec: &ImageSpec) -> Result<Pixels> {
    let (seen, remarks) = {
        let picture = decode::stored(bytes, &options.into().of_model(spec))?;
        (preprocess::seen(&picture, spec)?, picture.remarks)
    };
    let mut values = zeroed(seen.pixels.len())?;
    normalize(&seen, spec, &mut values);
    Ok(Pixels { values, width: seen.width as usize, height: seen.height as usize, remarks })
}
