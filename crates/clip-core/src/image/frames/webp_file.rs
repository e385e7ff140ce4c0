//! The frames of a WebP file, as they lie in it, and their bitstreams decoded with their opacity.

use image_webp::WebPDecoder;

use crate::Result;
use crate::guarded::look;
use crate::image::decode::{damaged, truncated};
use crate::image::format::Format::WebP;
use crate::image::reader::{Pieces, slice, u8_at, u24_le, u32_le};
use crate::image::webp::{Chunks, coded_size, webp_error};
use crate::image::{vp8, vp8l};
use crate::memory::{with_capacity, zeroed};

/// One frame of an animation.
pub struct Frame<'a> {
    /// Column and row of its upper left pixel on the canvas, both even.
    pub at: (u32, u32),
    /// Width and height, in pixels.
    pub size: (u32, u32),
    /// Milliseconds.
    pub duration: u32,
    /// It is mixed with what it lies over.
    pub blends: bool,
    /// It leaves nothing.
    pub is_removed: bool,
    /// There are pixels that may not be opaque.
    pub has_opacity: bool,
    kind: [u8; 4],
    data: &'a [u8],
    opacity: Option<&'a [u8]>,
}

/// Gives each frame of an animation, in order, and tells the canvas's size. `None` where the file is none.
pub fn read<'a>(bytes: &'a [u8], mut each: impl FnMut(Frame<'a>) -> Result<()>) -> Result<Option<(u32, u32)>> {
    const ANIMATED: u8 = 2;
    let size = u32_le(bytes, 4).ok_or_else(|| truncated(WebP))?;
    let chunks = size.checked_sub(4).ok_or_else(|| damaged(WebP, "container is empty"))? as usize;
    let body = slice(bytes, 12, chunks).ok_or_else(|| truncated(WebP))?;
    let mut canvas = None;
    for (kind, data, missing) in Chunks(body) {
        look();
        if missing > 0 {
            return Err(truncated(WebP));
        }
        match &kind {
            b"VP8X" if canvas.is_none() => {
                if u8_at(data, 0).is_none_or(|flags| flags & ANIMATED == 0) {
                    return Ok(None);
                }
                let side = |at| u24_le(data, at).map(|v| v + 1).ok_or_else(|| truncated(WebP));
                canvas = Some((side(4)?, side(7)?));
            }
            b"ANMF" if canvas.is_some() => each(frame(data)?)?,
            _ if canvas.is_none() => return Ok(None),
            _ => {}
        }
    }
    Ok(canvas)
}

/// 16 bytes of header, then chunks.
fn frame(data: &[u8]) -> Result<Frame<'_>> {
    let number = |at| u24_le(data, at).ok_or_else(|| truncated(WebP));
    let flags = u8_at(data, 15).ok_or_else(|| truncated(WebP))?;
    let mut frame = Frame {
        at: (2 * number(0)?, 2 * number(3)?),
        size: (number(6)? + 1, number(9)? + 1),
        duration: number(12)?,
        blends: flags & 2 == 0,
        is_removed: flags & 1 == 1,
        has_opacity: false,
        kind: *b"VP8 ",
        data: &[],
        opacity: None,
    };
    for (kind, data, missing) in Chunks(data.get(16..).unwrap_or_default()) {
        if missing > 0 {
            return Err(truncated(WebP));
        }
        match &kind {
            b"ALPH" if frame.opacity.is_none() => frame.opacity = Some(data),
            b"VP8 " | b"VP8L" => {
                // In a lossless bitstream a bit behind the sizes says so.
                let is_lossless = &kind == b"VP8L";
                frame.has_opacity = match is_lossless {
                    true => u32_le(data, 1).is_some_and(|bits| bits & 1 << 28 != 0),
                    false => frame.opacity.is_some(),
                };
                if is_lossless {
                    frame.opacity = None;
                }
                (frame.kind, frame.data) = (kind, data);
                return frame.checked();
            }
            _ => {}
        }
    }
    Err(damaged(WebP, "no picture in a frame"))
}

/// Bytes that the tables of codes take of that frame which takes the most.
pub fn tables(bytes: &[u8]) -> usize {
    let mut most = 0;
    let _told_when_it_is_drawn = read(bytes, |frame| {
        most = most.max(frame.tables());
        Ok(())
    });
    most
}

impl Frame<'_> {
    fn tables(&self) -> usize {
        match &self.kind {
            b"VP8L" => vp8l::needs(self.data),
            _ => vp8l::opacity_needs(self.opacity.unwrap_or_default(), self.size),
        }
    }

    /// The bitstream says the same size.
    fn checked(self) -> Result<Self> {
        match coded_size(self.kind, self.data) {
            Some(size) if size == self.size => Ok(self),
            Some(_) => Err(damaged(WebP, "headers disagree")),
            None => Err(truncated(WebP)),
        }
    }

    /// Four bytes a pixel.
    pub fn decode(&self) -> Result<Vec<u8>> {
        if &self.kind == b"VP8 " && vp8::fits(self.data) == Some(false) {
            return Err(truncated(WebP));
        }
        let mut decoder = WebPDecoder::new(Pieces::new(self.file()?)).map_err(webp_error)?;
        if decoder.dimensions() != self.size {
            return Err(damaged(WebP, "headers disagree"));
        }
        let size = decoder.output_buffer_size().ok_or_else(|| damaged(WebP, "size overflows"))?;
        let mut pixels = zeroed(size)?;
        decoder.read_image(&mut pixels).map_err(webp_error)?;
        if decoder.has_alpha() {
            return Ok(pixels);
        }
        let mut opaque = zeroed(pixels.len() / 3 * 4)?;
        for (out, pixel) in opaque.as_chunks_mut::<4>().0.iter_mut().zip(pixels.as_chunks::<3>().0) {
            *out = [pixel[0], pixel[1], pixel[2], 255];
        }
        Ok(opaque)
    }

    /// A file of its own with nothing but the frame, which is how the decoder takes it.
    fn file(&self) -> Result<Vec<u8>> {
        let opacity = self.opacity.unwrap_or_default();
        let mut file = with_capacity(self.data.len() + opacity.len() + 64)?;
        file.extend(b"RIFF\0\0\0\0WEBP");
        if self.opacity.is_some() {
            let [w0, w1, w2, _] = (self.size.0 - 1).to_le_bytes();
            let [h0, h1, h2, _] = (self.size.1 - 1).to_le_bytes();
            put(&mut file, b"VP8X", &[0x10, 0, 0, 0, w0, w1, w2, h0, h1, h2]);
            put(&mut file, b"ALPH", opacity);
        }
        put(&mut file, &self.kind, self.data);
        let size = u32::try_from(file.len() - 8).map_err(|_| damaged(WebP, "size overflows"))?;
        if let Some(place) = file.get_mut(4..8) {
            place.copy_from_slice(&size.to_le_bytes());
        }
        Ok(file)
    }
}

/// Within the room that there is.
fn put(file: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) {
    file.extend(kind);
    file.extend((data.len() as u32).to_le_bytes());
    file.extend(data);
    file.extend(&[0][..data.len() % 2]);
}
