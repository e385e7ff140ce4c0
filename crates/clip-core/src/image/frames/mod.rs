//! Frames of an animation, evenly in time, as PNG.
//!
//! ```text
//! &[u8] ── durations ──▶ which frames ── compose, one after the other ──▶ Canvas ── encode ──▶ PNG
//! ```
//!
//! A format is an [`Animation`]: it tells how long its frames are shown, and draws them as they are shown, each over what the one
//! before it has left. The reference is Pillow's `seek(i)` and `convert("RGB")`. Memory holds the canvas, one frame and what is
//! given out. Of anything else than an animation the picture is the one frame.

mod apng;
#[cfg(feature = "avif")]
mod avif;
mod canvas;
mod encode;
mod gif;
#[cfg(feature = "heic")]
mod heic;
mod timing;
mod webp;
mod webp_file;

use super::decode::{check_bytes, check_pixels, damaged, decode_with};
use super::format::{Format, sniff};
use super::{Estimate, Limits, estimate};
use crate::guarded::{guarded, look};
use crate::{Error, Result};
use canvas::Canvas;

/// Frames that a call may ask for.
pub const MOST_FRAMES: usize = 1000;

/// Canvases that are drawn for one call, in pictures of the largest size that is allowed.
const MOST_CANVASES: u64 = 4;

/// A file with several frames.
trait Animation {
    /// Width and height of the canvas, in pixels.
    fn size(&self) -> (u32, u32);

    /// How long each frame is shown, in milliseconds. Nothing is decoded for that.
    fn durations(&self) -> Result<Vec<u32>>;

    /// Draws the next frame, with what becomes of the one before.
    fn draw(&mut self, canvas: &mut Canvas) -> Result<()>;
}

/// Up to `at_most` frames, each a PNG file. Of more frames those that are shown in the middle of as many parts of the
/// time.
///
/// # Errors
///
/// Those of [`decode`](super::decode()). `LimitExceeded`, too, where the frames up to the last one wanted have more
/// than four times the pixels that a picture may have.
pub fn frames(bytes: &[u8], at_most: usize, limits: &Limits) -> Result<Vec<Vec<u8>>> {
    check_bytes(bytes.len(), limits)?;
    let format = sniff(bytes)?;
    let drawn = guarded(|| {
        let Some(mut animation) = open(format, bytes, limits)? else { return Ok(None) };
        let durations = animation.durations()?;
        if durations.len() < 2 {
            return Ok(None);
        }
        draw(format, animation.as_mut(), &timing::choose(&durations, at_most), limits).map(Some)
    });
    match drawn.unwrap_or_else(|| Err(damaged(format, "decoder failed")))? {
        Some(frames) => Ok(frames),
        None => {
            let (picture, _) = decode_with(bytes, limits)?;
            let mut frames = Vec::new();
            if at_most > 0 {
                frames.push(encode::png(
                    picture.width,
                    picture.height,
                    picture.pixels.chunks(3 * picture.width as usize),
                )?);
            }
            Ok(frames)
        }
    }
}

/// What [`frames`] takes. The PNGs that it gives are counted when they are there, as nothing tells their size before.
pub fn estimate_frames(bytes: &[u8], limits: &Limits) -> Estimate {
    estimate::estimate_with(bytes, limits, |width, height| {
        let (pixel, rest) = guarded(|| held(bytes)).unwrap_or_default();
        // Twice the canvas, the frame, and that as the decoder has it.
        let pixel = 16 + pixel;
        (width as usize).saturating_mul(height as usize).saturating_mul(pixel).saturating_add(rest)
    })
}

/// Bytes a pixel that a decoder keeps from frame to frame, and bytes in all.
fn held(bytes: &[u8]) -> (usize, usize) {
    match sniff(bytes) {
        #[cfg(feature = "avif")]
        Ok(Format::Avif) => (avif::HELD, 0),
        #[cfg(feature = "heic")]
        Ok(Format::Heic) => (0, heic::held(bytes)),
        Ok(Format::WebP) => (0, webp_file::tables(bytes)),
        _ => (0, 0),
    }
}

fn open<'a>(format: Format, bytes: &'a [u8], limits: &Limits) -> Result<Option<Box<dyn Animation + 'a>>> {
    fn boxed<'a>(animation: impl Animation + 'a) -> Box<dyn Animation + 'a> {
        Box::new(animation)
    }
    Ok(match format {
        Format::Gif => gif::Gif::new(bytes, limits)?.map(boxed),
        Format::Png => apng::Apng::new(bytes, limits)?.map(boxed),
        Format::WebP => webp::WebP::new(bytes, limits)?.map(boxed),
        #[cfg(feature = "avif")]
        Format::Avif => avif::Avif::new(bytes, limits)?.map(boxed),
        #[cfg(feature = "heic")]
        Format::Heic => heic::Heic::new(bytes, limits)?.map(boxed),
        _ => None,
    })
}

/// `wanted`: numbers of frames, from 0, in their order.
fn draw(format: Format, animation: &mut dyn Animation, wanted: &[usize], limits: &Limits) -> Result<Vec<Vec<u8>>> {
    let (width, height) = animation.size();
    let area = check_pixels(format, width, height, limits)? as u64;
    let count = wanted.last().map_or(0, |last| last + 1);
    let most = limits.max_pixels.saturating_mul(MOST_CANVASES);
    if area.saturating_mul(count as u64) > most {
        return Err(Error::limit(format!(
            "{count} frames of {width} x {height} pixels exceed the limit of {most} pixels for an animation"
        ))
        .with_hint("Ask for fewer frames. A superuser may raise clip.max_image_pixels, of which it is four times."));
    }
    let mut canvas = Canvas::new(width as usize, height as usize)?;
    let mut given = Vec::new();
    let mut wanted = wanted.iter().peekable();
    for i in 0..count {
        look();
        animation.draw(&mut canvas)?;
        if wanted.next_if_eq(&&i).is_some() {
            given.push(canvas.to_png()?);
        }
    }
    Ok(given)
}
