//! APNG, as Pillow's `PngImagePlugin.py` composes it: colours are mixed by the frame's opacity, whatever the canvas has.
//!
//! A default picture that is no part of the animation is left out; Pillow counts it as the first frame.

use png::{BlendOp, ColorType, DecodingError, DisposeOp, Transformations};

use super::Animation;
use super::canvas::{Area, Canvas};
use crate::Result;
use crate::guarded::look;
use crate::image::Limits;
use crate::image::decode::{check_pixels, damaged, truncated};
use crate::image::format::Format::Png;
use crate::image::png::{header, png_error, what_counts};
use crate::image::png_chunks::{check, chunks};
use crate::image::reader::{Pieces, array};
use crate::memory::{reserve, zeroed};

/// The frames of an APNG, decoded one after the other (PNG specification, third edition: `acTL`, `fcTL`, `fdAT`).
pub struct Apng<'a> {
    bytes: &'a [u8],
    reader: png::Reader<Pieces<&'a [u8]>>,
    size: (u32, u32),
    /// The default picture, which is decoded first, is a frame.
    has_default: bool,
    is_first: bool,
    left_behind: Option<(Area, Option<Vec<u8>>)>,
}

impl<'a> Apng<'a> {
    /// `None` where it is no animation.
    pub fn new(bytes: &'a [u8], limits: &Limits) -> Result<Option<Self>> {
        let size = header(bytes)?;
        check_pixels(Png, size.0, size.1, limits)?;
        let kinds = || chunks(bytes).map(|(kind, ..)| kind);
        let before_pixels = |wanted: &[u8; 4]| kinds().take_while(|kind| kind != b"IDAT").any(|kind| kind == *wanted);
        if !before_pixels(b"acTL") {
            return Ok(None);
        }
        check(bytes)?;
        let has_default = before_pixels(b"fcTL");
        let mut decoder = png::Decoder::new_with_options(Pieces::new(bytes), what_counts());
        decoder.set_limits(png::Limits { bytes: 64 << 20 });
        decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
        let reader = decoder.read_info().map_err(png_error)?;
        if reader.info().size() != size {
            return Err(damaged(Png, "headers disagree"));
        }
        Ok(Some(Self { bytes, reader, size, has_default, is_first: true, left_behind: None }))
    }
}

impl Animation for Apng<'_> {
    fn size(&self) -> (u32, u32) {
        self.size
    }

    fn durations(&self) -> Result<Vec<u32>> {
        let mut durations = Vec::new();
        for (_, _, data) in chunks(self.bytes).filter(|(kind, ..)| kind == b"fcTL") {
            look();
            let [n0, n1, d0, d1] = array::<4>(data, 20).ok_or_else(|| damaged(Png, "a frame without its times"))?;
            let (number, of) = (u32::from(u16::from_be_bytes([n0, n1])), u32::from(u16::from_be_bytes([d0, d1])));
            if durations.len() == durations.capacity() {
                let more = durations.len().max(64);
                reserve(&mut durations, more)?;
            }
            durations.push(1000 * number / if of == 0 { 100 } else { of });
        }
        Ok(durations)
    }

    fn draw(&mut self, canvas: &mut Canvas) -> Result<()> {
        if !self.is_first || !self.has_default {
            self.reader.next_frame_info().map_err(frame_error)?;
        }
        let control = *self.reader.info().frame_control().ok_or_else(|| truncated(Png))?;
        let area = Area {
            left: control.x_offset as usize,
            top: control.y_offset as usize,
            width: control.width as usize,
            height: control.height as usize,
        };
        if !area.fits(canvas.width, canvas.height) {
            return Err(damaged(Png, "frame sticks out of the picture"));
        }
        match self.left_behind.take() {
            Some((area, None)) => canvas.fill(area, [0; 4]),
            Some((area, Some(pixels))) => canvas.put(area, &pixels),
            None => {}
        }
        self.left_behind = match control.dispose_op {
            DisposeOp::None => None,
            DisposeOp::Background => Some((area, None)),
            DisposeOp::Previous if self.is_first => Some((area, None)),
            DisposeOp::Previous => Some((area, Some(canvas.copy(area)?))),
        };
        let size = self.reader.output_buffer_size().ok_or_else(|| damaged(Png, "size overflows"))?;
        let mut pixels = zeroed(size)?;
        let info = self.reader.next_frame(&mut pixels).map_err(png_error)?;
        // Interlaced rows lie as far from each other as those of the whole picture.
        let stride = match self.reader.info().interlaced {
            true => self.reader.output_line_size(self.size.0).ok_or_else(|| damaged(Png, "size overflows"))?,
            false => info.line_size,
        };
        let over = control.blend_op == BlendOp::Over && !self.is_first;
        for (row, out) in pixels.chunks(stride.max(1)).zip(canvas.rows(area)) {
            look();
            match info.color_type {
                ColorType::Grayscale => out.iter_mut().zip(row).for_each(|(o, s)| *o = [*s, *s, *s, 255]),
                ColorType::GrayscaleAlpha => {
                    let samples = row.as_chunks::<2>().0.iter().map(|[s, a]| [*s, *s, *s, *a]);
                    out.iter_mut().zip(samples).for_each(|(o, s)| *o = mixed(*o, s, over));
                }
                ColorType::Rgba => {
                    out.iter_mut().zip(row.as_chunks::<4>().0).for_each(|(o, s)| *o = mixed(*o, *s, over));
                }
                _ => out.iter_mut().zip(row.as_chunks::<3>().0).for_each(|(o, [r, g, b])| *o = [*r, *g, *b, 255]),
            }
        }
        self.is_first = false;
        Ok(())
    }
}

/// Pillow's `paste` with a mask.
fn mixed(under: [u8; 4], above: [u8; 4], over: bool) -> [u8; 4] {
    let opacity = u32::from(above[3]);
    if !over || opacity == 255 {
        return above;
    }
    std::array::from_fn(|i| {
        let sum = u32::from(under[i]) * (255 - opacity) + u32::from(above[i]) * opacity + 128;
        ((sum + (sum >> 8)) >> 8) as u8
    })
}

/// There is no other frame where one is said to be.
fn frame_error(e: DecodingError) -> crate::Error {
    match e {
        DecodingError::Parameter(_) => truncated(Png),
        e => png_error(e),
    }
}
