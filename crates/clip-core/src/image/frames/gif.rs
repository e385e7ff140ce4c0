//! GIF, as Pillow's `GifImagePlugin.py` composes it.
//!
//! A frame that is to be removed leaves its transparent colour, where it has one, else the background's, both looked up in the
//! frame's own palette. A frame that does not say what becomes of it does as the one before. On a screen that a frame sticks out of,
//! what sticks out is left out.

use std::borrow::Cow;
use std::num::NonZeroU64;

use gif::{DecodeOptions, Decoder, DisposalMethod, MemoryLimit};

use super::Animation;
use super::canvas::{Area, Canvas};
use crate::Result;
use crate::guarded::look;
use crate::image::Limits;
use crate::image::decode::{check_pixels, truncated};
use crate::image::format::Format::Gif as FORMAT;
use crate::image::gif::{gif_error, order, palette, with_ramp};
use crate::image::reader::{Pieces, u8_at, u16_le};
use crate::memory::{reserve, zeroed};

/// The frames of a GIF, decoded one after the other.
pub struct Gif<'a> {
    decoder: Decoder<Pieces<Cow<'a, [u8]>>>,
    bytes: &'a [u8],
    limits: Limits,
    size: (u32, u32),
    background: u8,
    is_first: bool,
    disposal: DisposalMethod,
    /// What is to be put in the place of the frame before.
    left_behind: Option<(Area, Left)>,
}

/// What becomes of a frame's part of the screen.
enum Left {
    Colour([u8; 3]),
    Before(Vec<u8>),
}

impl<'a> Gif<'a> {
    /// `None` where there is no screen: it is as large as the first frame then.
    pub fn new(bytes: &'a [u8], limits: &Limits) -> Result<Option<Self>> {
        let side = |at| u16_le(bytes, at).ok_or_else(|| truncated(FORMAT));
        let size = (u32::from(side(6)?), u32::from(side(8)?));
        if size.0 == 0 || size.1 == 0 {
            return Ok(None);
        }
        let flags = u8_at(bytes, 10).unwrap_or(0);
        // The decoder wants a palette, Pillow takes indices for levels of grey.
        let with_palette = if flags & 0x80 == 0 { with_ramp(bytes)? } else { None };
        let background = if flags & 0x80 == 0 { 0 } else { u8_at(bytes, 11).unwrap_or(0) };
        let decoder = decoder(with_palette.map_or(Cow::Borrowed(bytes), Cow::Owned), limits, false)?;
        check_pixels(FORMAT, size.0, size.1, limits)?;
        let (limits, disposal) = (*limits, DisposalMethod::Any);
        Ok(Some(Self { decoder, bytes, limits, size, background, is_first: true, disposal, left_behind: None }))
    }
}

fn decoder<'a>(bytes: Cow<'a, [u8]>, limits: &Limits, skip: bool) -> Result<Decoder<Pieces<Cow<'a, [u8]>>>> {
    let mut decoding = DecodeOptions::new();
    let memory = NonZeroU64::new(limits.max_pixels).unwrap_or(NonZeroU64::MIN);
    decoding.set_memory_limit(MemoryLimit::Bytes(memory));
    decoding.allow_unknown_blocks(true);
    decoding.skip_frame_decoding(skip);
    decoding.read_info(Pieces::new(bytes)).map_err(gif_error)
}

impl Animation for Gif<'_> {
    fn size(&self) -> (u32, u32) {
        self.size
    }

    fn durations(&self) -> Result<Vec<u32>> {
        let mut decoder = decoder(Cow::Borrowed(self.bytes), &self.limits, true)?;
        let mut durations = Vec::new();
        loop {
            match decoder.next_frame_info() {
                Ok(Some(frame)) => {
                    let duration = 10 * u32::from(frame.delay);
                    if durations.len() == durations.capacity() {
                        let more = durations.len().max(64);
                        reserve(&mut durations, more)?;
                    }
                    durations.push(duration);
                }
                Ok(None) => return Ok(durations),
                // What comes after the last whole frame is no frame, as in Pillow.
                Err(_) if !durations.is_empty() => return Ok(durations),
                Err(e) => return Err(gif_error(e)),
            }
        }
    }

    fn draw(&mut self, canvas: &mut Canvas) -> Result<()> {
        let frame = self.decoder.next_frame_info().map_err(gif_error)?;
        let frame = frame.ok_or_else(|| truncated(FORMAT))?;
        let (width, height) = (usize::from(frame.width), usize::from(frame.height));
        let (left, top) = (usize::from(frame.left), usize::from(frame.top));
        let (transparent, interlaced) = (frame.transparent, frame.interlaced);
        if frame.dispose != DisposalMethod::Any {
            self.disposal = frame.dispose;
        }
        let local = frame.palette.clone();
        check_pixels(FORMAT, width as u32, height as u32, &self.limits)?;
        let colours = palette(local.as_deref().or(self.decoder.global_palette()));
        match self.left_behind.take() {
            Some((area, Left::Colour([r, g, b]))) => canvas.fill(area, [r, g, b, 255]),
            Some((area, Left::Before(pixels))) => canvas.put(area, &pixels),
            None => {}
        }
        let colour = |index: u8| colours[usize::from(index)];
        if self.is_first {
            // What it does not cover is its transparent colour, too.
            let [r, g, b] = colour(transparent.unwrap_or(0));
            canvas.fill(Area { left: 0, top: 0, width: canvas.width, height: canvas.height }, [r, g, b, 255]);
        }
        // As far as it lies on the screen.
        let area = Area {
            left: left.min(canvas.width),
            top: top.min(canvas.height),
            width: width.min(canvas.width.saturating_sub(left)),
            height: height.min(canvas.height.saturating_sub(top)),
        };
        self.left_behind = match self.disposal {
            DisposalMethod::Background => Some((area, Left::Colour(colour(transparent.unwrap_or(self.background))))),
            DisposalMethod::Previous if self.is_first => transparent.map(|index| (area, Left::Colour(colour(index)))),
            DisposalMethod::Previous => Some((area, Left::Before(canvas.copy(area)?))),
            _ => None,
        };
        let mut indices = zeroed(width * height)?;
        if !self.decoder.fill_buffer(&mut indices).map_err(gif_error)? {
            return Err(truncated(FORMAT));
        }
        let shows = |index: u8| self.is_first || transparent != Some(index);
        for (row, indices) in order(height, interlaced).zip(indices.chunks_exact(width.max(1))) {
            look();
            let line = Area { top: top + row, height: 1, ..area };
            for out in canvas.rows(line) {
                for (pixel, index) in out.iter_mut().zip(indices).filter(|(_, index)| shows(**index)) {
                    let [r, g, b] = colour(*index);
                    *pixel = [r, g, b, 255];
                }
            }
        }
        self.is_first = false;
        Ok(())
    }
}
