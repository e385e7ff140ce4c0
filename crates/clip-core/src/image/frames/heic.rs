//! HEIC sequences, as `heic-levels` decodes them to libheif's levels. Pictures are predicted from others before and after them.

use heic_levels::Sequence;

use super::Animation;
use super::canvas::Canvas;
use crate::Result;
use crate::guarded::look;
use crate::image::Limits;
use crate::image::decode::check_pixels;
use crate::image::format::Format::Heic as FORMAT;
use crate::image::heic::{refusal, size, within};
use crate::memory::copied;

pub struct Heic<'a> {
    sequence: Sequence<'a>,
}

impl<'a> Heic<'a> {
    /// `None` where it is no animation.
    pub fn new(bytes: &'a [u8], limits: &Limits) -> Result<Option<Self>> {
        let Some(sequence) = Sequence::new(bytes).map_err(refusal)? else { return Ok(None) };
        let (width, height) = size((sequence.width(), sequence.height()));
        check_pixels(FORMAT, width, height, limits)?;
        Ok(Some(Self { sequence }))
    }
}

/// Bytes that the decoder keeps from frame to frame and works with, by the headers.
pub fn held(bytes: &[u8]) -> usize {
    let sequence = Sequence::new(bytes).ok().flatten();
    sequence.and_then(|sequence| sequence.needs().ok()).unwrap_or(0)
}

impl Animation for Heic<'_> {
    fn size(&self) -> (u32, u32) {
        size((self.sequence.width(), self.sequence.height()))
    }

    fn durations(&self) -> Result<Vec<u32>> {
        copied(self.sequence.durations())
    }

    fn draw(&mut self, canvas: &mut Canvas) -> Result<()> {
        let pixels = within(|env| self.sequence.next(env))?;
        for (out, pixel) in canvas.pixels.as_chunks_mut::<4>().0.iter_mut().zip(pixels.as_chunks::<3>().0) {
            *out = [pixel[0], pixel[1], pixel[2], 255];
        }
        look();
        Ok(())
    }
}
