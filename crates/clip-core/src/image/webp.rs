//! WebP: lossy and lossless, with or without alpha; of an animation the first frame.
//!
//! The container is read here, for the sizes, the metadata and the check that the file is complete; the `image-webp` crate
//! decodes the bitstream. Alpha is never decoded, since it is dropped. Follows libwebp's `anim_decode.c`, which Pillow
//! uses: the first frame lies on a canvas of zeros, whatever the background colour says.

use image_webp::{DecodingError, WebPDecoder};

use super::decode::{Decoded, check_pixels, damaged, truncated, unsupported};
use super::estimate::Need;
use super::format::Format::WebP;
use super::options::{ReadOptions, Remarks, Truncated};
use super::reader::{Pieces, array, slice, u16_le, u24_le, u32_le};
use super::{Rgb8, exif, vp8, vp8l};
use crate::Result;
use crate::guarded::look;
use crate::memory::{with_capacity, zeroed};

/// The picture, or the first frame on its canvas, in RGB.
pub(super) fn decode(bytes: &[u8], options: &ReadOptions) -> Result<Decoded> {
    let (limits, file) = (&options.limits, Container::read(bytes, options.truncated)?);
    let picture = file.picture.ok_or_else(|| damaged(WebP, "no picture in it"))?;
    let (width, height) = file.canvas.unwrap_or(picture.size);
    let area = check_pixels(WebP, width, height, limits)?;
    check_pixels(WebP, picture.size.0, picture.size.1, limits)?;
    if picture.data.len().saturating_add(picture.missing) > limits.max_bytes {
        return Err(truncated(WebP));
    }
    let rgb = picture.decode()?;
    let pixels = if file.canvas.is_none_or(|c| c == picture.size) && picture.at == (0, 0) {
        rgb
    } else {
        place(&rgb, &picture, (width as usize, height as usize), area)?
    };
    let orientation = exif::orientation(file.exif, file.xmp);
    let remarks = Remarks { incomplete: file.is_cut.then_some(WebP), ..Remarks::default() };
    Ok(Decoded { remarks, ..Decoded::rgb(Rgb8 { width, height, pixels }, orientation) })
}

/// Four bytes a pixel, the transforms' data and the tables of codes, or the planes of a lossy picture and three. The decoder reads a
/// picture as a whole first.
pub(super) fn need(bytes: &[u8]) -> Option<Need<'_>> {
    let file = Container::read(bytes, Truncated::Accept).ok()?;
    let picture = file.picture?;
    let (width, height) = file.canvas.unwrap_or(picture.size);
    let all = move || {
        let area = |(width, height): (u32, u32)| (width as usize).checked_mul(height as usize);
        let canvas = if (width, height) == picture.size { 0 } else { area((width, height))?.checked_mul(3)? };
        let pixels = area(picture.size)?.checked_mul(5)?.checked_add(1 << 20)?;
        let tables = if &picture.kind == b"VP8L" { vp8l::needs(picture.data) } else { 0 };
        let copies = picture.data.len().checked_add(picture.missing)?.checked_mul(3)?;
        pixels.checked_add(canvas)?.checked_add(copies)?.checked_add(tables)
    };
    Some(Need::new((width, height), all).deaf())
}

/// The frame on its black canvas.
fn place(rgb: &[u8], picture: &Picture, canvas: (usize, usize), area: usize) -> Result<Vec<u8>> {
    let (left, top) = (picture.at.0 as usize, picture.at.1 as usize);
    let (width, height) = (picture.size.0 as usize, picture.size.1 as usize);
    if left + width > canvas.0 || top + height > canvas.1 {
        return Err(damaged(WebP, "frame sticks out of the canvas"));
    }
    let mut pixels = zeroed(3 * area)?;
    for (row, out) in rgb.chunks_exact(3 * width).zip(pixels.chunks_exact_mut(3 * canvas.0).skip(top)) {
        out[3 * left..][..row.len()].copy_from_slice(row);
    }
    Ok(pixels)
}

#[derive(Default)]
struct Container<'a> {
    /// The file ends before its chunks do.
    is_cut: bool,
    canvas: Option<(u32, u32)>,
    picture: Option<Picture<'a>>,
    exif: Option<&'a [u8]>,
    xmp: Option<&'a [u8]>,
}

/// One bitstream and where it belongs on the canvas.
struct Picture<'a> {
    kind: [u8; 4],
    data: &'a [u8],
    /// Bytes that are not there any more.
    missing: usize,
    size: (u32, u32),
    at: (u32, u32),
}

impl<'a> Container<'a> {
    fn read(bytes: &'a [u8], cut: Truncated) -> Result<Self> {
        let size = u32_le(bytes, 4).ok_or_else(|| truncated(WebP))?;
        let chunks = size.checked_sub(4).ok_or_else(|| damaged(WebP, "container is empty"))? as usize;
        let rest = bytes.get(12..).unwrap_or_default();
        let (body, is_cut) = match rest.get(..chunks) {
            Some(body) => (body, false),
            None if cut == Truncated::Accept => (rest, true),
            None => return Err(truncated(WebP)),
        };
        let mut file = Self { is_cut, ..Self::default() };
        for (kind, data, missing) in Chunks(body) {
            if missing > 0 && cut == Truncated::Refuse {
                return Err(truncated(WebP));
            }
            file.is_cut |= missing > 0;
            match &kind {
                b"VP8X" if file.canvas.is_none() => {
                    let side = |at| u24_le(data, at).map(|v| v + 1).ok_or_else(|| truncated(WebP));
                    file.canvas = Some((side(4)?, side(7)?));
                }
                b"ANMF" if file.picture.is_none() => file.picture = frame(data, missing, cut)?,
                b"VP8 " | b"VP8L" if file.picture.is_none() => {
                    file.picture = Some(Picture::read(kind, data, missing, (0, 0))?);
                }
                b"EXIF" => file.exif = file.exif.or(Some(data)),
                b"XMP " => file.xmp = file.xmp.or(Some(data)),
                _ => {}
            }
        }
        Ok(file)
    }
}

/// The first bitstream of an animation's frame: 16 bytes of header, then chunks.
fn frame(data: &[u8], missing: usize, cut: Truncated) -> Result<Option<Picture<'_>>> {
    let offset = |at| u24_le(data, at).map(|v| 2 * v).ok_or_else(|| truncated(WebP));
    let at = (offset(0)?, offset(3)?);
    for (kind, data, lost) in Chunks(data.get(16..).unwrap_or_default()) {
        // A frame that is all there has all of its chunks.
        if lost > 0 && (cut == Truncated::Refuse || missing == 0) {
            return Err(truncated(WebP));
        }
        if matches!(&kind, b"VP8 " | b"VP8L") {
            return Picture::read(kind, data, lost, at).map(Some);
        }
    }
    Err(damaged(WebP, "no picture in the first frame"))
}

/// What a bitstream says of its picture. `None` where it ends before.
pub(super) fn coded_size(kind: [u8; 4], data: &[u8]) -> Option<(u32, u32)> {
    if &kind == b"VP8L" {
        // A signature byte, then 14 bits each for width and height less one.
        return u32_le(data, 1).map(|bits| ((bits & 0x3fff) + 1, ((bits >> 14) & 0x3fff) + 1));
    }
    // Three bytes of frame tag, three of start code, then two sides of 14 bits under 2 bits of scale.
    let side = |at| u16_le(data, at).map(|v| u32::from(v & 0x3fff));
    side(6).zip(side(8))
}

impl<'a> Picture<'a> {
    fn read(kind: [u8; 4], data: &'a [u8], missing: usize, at: (u32, u32)) -> Result<Self> {
        let size = coded_size(kind, data).ok_or_else(|| truncated(WebP))?;
        Ok(Self { kind, data, missing, size, at })
    }

    fn decode(&self) -> Result<Vec<u8>> {
        // A file of its own with nothing but the bitstream, which is how the decoder takes it. What is missing is zeros, of which it
        // makes pixels like those before.
        let len = self.data.len() + self.missing;
        let padding = len % 2;
        let mut file = with_capacity(len + 21)?;
        file.extend(b"RIFF");
        file.extend((len as u32 + 12 + padding as u32).to_le_bytes());
        file.extend(b"WEBP");
        file.extend(self.kind);
        file.extend((len as u32).to_le_bytes());
        file.extend(self.data);
        file.resize(20 + len + padding, 0);
        if &self.kind == b"VP8 " && file.get(20..20 + len).and_then(vp8::fits) == Some(false) {
            return Err(truncated(WebP));
        }
        // A lossless picture has four channels, and without alpha the decoder would make another one of three of it.
        if &self.kind == b"VP8L"
            && let Some(byte) = file.get_mut(20 + 4)
        {
            *byte |= 0x10;
        }
        let mut decoder = WebPDecoder::new(Pieces::new(file)).map_err(webp_error)?;
        let size = decoder.output_buffer_size().ok_or_else(|| damaged(WebP, "size overflows"))?;
        if decoder.dimensions() != self.size {
            return Err(damaged(WebP, "headers disagree"));
        }
        let mut pixels = zeroed(size)?;
        decoder.read_image(&mut pixels).map_err(webp_error)?;
        if decoder.has_alpha() {
            let area = pixels.len() / 4;
            for i in 0..area {
                if i.is_multiple_of(1 << 16) {
                    look();
                }
                pixels.copy_within(4 * i..4 * i + 3, 3 * i);
            }
            pixels.truncate(3 * area);
        }
        Ok(pixels)
    }
}

/// The chunks of a RIFF body: four bytes of kind, the length, the data, a byte of padding after an odd length. Gives the kind, the
/// data, and how many of their bytes are not there: the body ends before them.
pub(super) struct Chunks<'a>(pub &'a [u8]);

impl<'a> Iterator for Chunks<'a> {
    type Item = ([u8; 4], &'a [u8], usize);

    fn next(&mut self) -> Option<Self::Item> {
        let (kind, len) = (array(self.0, 0)?, u32_le(self.0, 4)? as usize);
        let Some(data) = slice(self.0, 8, len) else {
            let data = self.0.get(8..).unwrap_or_default();
            self.0 = &[];
            return Some((kind, data, len - data.len()));
        };
        self.0 = self.0.get(8 + len + len % 2..).unwrap_or_default();
        Some((kind, data, 0))
    }
}

/// What the `image-webp` crate fails with. A file that ends early is told from one that is damaged.
pub(super) fn webp_error(e: DecodingError) -> crate::Error {
    match e {
        DecodingError::IoError(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => truncated(WebP),
        DecodingError::UnsupportedFeature(what) => unsupported(WebP, what),
        e => damaged(WebP, e),
    }
}
