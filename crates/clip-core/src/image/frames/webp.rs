//! WebP, as libwebp's `anim_decode.c` composes it, which Pillow uses.

use super::Animation;
use super::canvas::{Area, Canvas};
use super::webp_file::{self, Frame};
use crate::Result;
use crate::guarded::look;
use crate::image::Limits;
use crate::image::decode::{check_pixels, damaged, truncated};
use crate::image::format::Format::WebP as FORMAT;
use crate::memory::reserve;

/// The frames of an animated WebP (WebP Container Specification: `ANMF`).
pub struct WebP<'a> {
    frames: Vec<Frame<'a>>,
    limits: Limits,
    size: (u32, u32),
    next: usize,
    before: Option<Before>,
}

/// What is known of the frame before.
struct Before {
    area: Area,
    is_removed: bool,
    is_full: bool,
    is_key: bool,
}

impl<'a> WebP<'a> {
    /// `None` where it is no animation.
    pub fn new(bytes: &'a [u8], limits: &Limits) -> Result<Option<Self>> {
        let mut frames = Vec::new();
        let Some(size) = webp_file::read(bytes, |frame| {
            if frames.len() == frames.capacity() {
                let more = frames.len().max(64);
                reserve(&mut frames, more)?;
            }
            frames.push(frame);
            Ok(())
        })?
        else {
            return Ok(None);
        };
        check_pixels(FORMAT, size.0, size.1, limits)?;
        Ok(Some(Self { frames, limits: *limits, size, next: 0, before: None }))
    }
}

impl Animation for WebP<'_> {
    fn size(&self) -> (u32, u32) {
        self.size
    }

    fn durations(&self) -> Result<Vec<u32>> {
        let mut durations = Vec::new();
        reserve(&mut durations, self.frames.len())?;
        durations.extend(self.frames.iter().map(|frame| frame.duration));
        Ok(durations)
    }

    fn draw(&mut self, canvas: &mut Canvas) -> Result<()> {
        let frame = self.frames.get(self.next).ok_or_else(|| truncated(FORMAT))?;
        self.next += 1;
        let (width, height) = (frame.size.0 as usize, frame.size.1 as usize);
        let area = Area { left: frame.at.0 as usize, top: frame.at.1 as usize, width, height };
        if !area.fits(canvas.width, canvas.height) {
            return Err(damaged(FORMAT, "frame sticks out of the canvas"));
        }
        check_pixels(FORMAT, frame.size.0, frame.size.1, &self.limits)?;
        let whole = Area { left: 0, top: 0, width: canvas.width, height: canvas.height };
        let is_full = area == whole;
        let is_key = match &self.before {
            None => true,
            Some(before) => {
                ((!frame.has_opacity || !frame.blends) && is_full)
                    || (before.is_removed && (before.is_full || before.is_key))
            }
        };
        // Where the frame before was removed there is nothing to blend with.
        let mut removed = None;
        if let Some(before) = &self.before
            && before.is_removed
        {
            canvas.fill(before.area, [0; 4]);
            removed = Some(before.area);
        }
        if is_key {
            canvas.fill(whole, [0; 4]);
        }
        let blends = frame.blends && !is_key;
        let pixels = frame.decode()?;
        for ((y, row), out) in pixels.chunks_exact((4 * width).max(1)).enumerate().zip(canvas.rows(area)) {
            look();
            for ((x, above), out) in row.as_chunks::<4>().0.iter().enumerate().zip(out) {
                let is_alone = || removed.is_some_and(|removed| removed.contains(area.left + x, area.top + y));
                *out = if blends && above[3] != 255 && !is_alone() { blended(*out, *above) } else { *above };
            }
        }
        self.before = Some(Before { area, is_removed: frame.is_removed, is_full, is_key });
        Ok(())
    }
}

/// libwebp's `BlendPixelNonPremult`.
fn blended(under: [u8; 4], above: [u8; 4]) -> [u8; 4] {
    let [above_opacity, under_opacity] = [above[3], under[3]].map(u32::from);
    if above_opacity == 0 {
        return under;
    }
    let factor = (under_opacity * (256 - above_opacity)) >> 8;
    let opacity = above_opacity + factor;
    let scale = (1 << 24) / opacity;
    let channel = |i: usize| {
        let sum = u32::from(above[i]) * above_opacity + u32::from(under[i]) * factor;
        (sum.wrapping_mul(scale) >> 24) as u8
    };
    [channel(0), channel(1), channel(2), opacity as u8]
}
