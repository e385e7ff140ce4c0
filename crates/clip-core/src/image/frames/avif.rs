//! AVIF sequences, as `avif-levels` decodes them to Pillow's levels. Each frame refers to those before it.

use avif_levels::Sequence;

use super::Animation;
use super::canvas::Canvas;
use crate::Result;
use crate::guarded::look;
use crate::image::avif::refusal;
use crate::image::decode::check_pixels;
use crate::image::env::within;
use crate::image::format::Format::Avif as FORMAT;
use crate::image::{Limits, Rgb8, orient};

/// Bytes a pixel that the decoder keeps: eight frames to refer to, of 16 bits a level with their motion, and the one it works on, which
/// filters copy. Without subsampling 93 were measured, with fewer frames to refer to.
pub const HELD: usize = 128;

pub struct Avif<'a> {
    sequence: Sequence<'a>,
    /// As stored.
    size: (u32, u32),
    orientation: u8,
}

impl<'a> Avif<'a> {
    /// `None` where it is no animation.
    pub fn new(bytes: &'a [u8], limits: &Limits) -> Result<Option<Self>> {
        let Some(sequence) = Sequence::new(bytes).map_err(refusal)? else { return Ok(None) };
        let side = |pixels: usize| u32::try_from(pixels).unwrap_or(u32::MAX);
        let size = (side(sequence.width()), side(sequence.height()));
        check_pixels(FORMAT, size.0, size.1, limits)?;
        let orientation = sequence.turn().unwrap_or(1);
        Ok(Some(Self { sequence, size, orientation }))
    }
}

impl Animation for Avif<'_> {
    fn size(&self) -> (u32, u32) {
        let (width, height) = self.size;
        if self.orientation >= 5 { (height, width) } else { self.size }
    }

    fn durations(&self) -> Result<Vec<u32>> {
        self.sequence.durations().map_err(refusal)
    }

    fn draw(&mut self, canvas: &mut Canvas) -> Result<()> {
        let pixels = within(|env| self.sequence.next(env), refusal)?;
        let frame = orient::apply(Rgb8 { width: self.size.0, height: self.size.1, pixels }, self.orientation)?;
        for (out, pixel) in canvas.pixels.as_chunks_mut::<4>().0.iter_mut().zip(frame.pixels.as_chunks::<3>().0) {
            *out = [pixel[0], pixel[1], pixel[2], 255];
        }
        look();
        Ok(())
    }
}
