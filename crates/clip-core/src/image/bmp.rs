//! BMP: 1, 4, 8, 16, 24 and 32 bits per pixel, RLE4 and RLE8, either row order, all header versions.
//!
//! A decoder of its own, since the format is simple and `image`'s differs from Pillow in what matters here: the scaling
//! of 16-bit colours and what run-length escapes leave behind. Follows Pillow's `BmpImagePlugin.py`.

use super::Rgb8;
use super::decode::{Decoded, check_pixels, damaged, truncated, unsupported};
use super::estimate::Need;
use super::format::Format::Bmp;
use super::options::{ReadOptions, Remarks, Truncated};
use super::png::unpack;
use super::reader::{array, slice, u8_at, u16_le, u32_le};
use crate::guarded::look;
use crate::memory::{reserve, zeroed};
use crate::{ErrorKind, Result};

/// What the headers of all versions say, and the palette.
struct Header {
    width: u32,
    height: u32,
    bottom_up: bool,
    bits: u16,
    compression: u32,
    /// Red, green, blue, where the header has bit fields.
    masks: Option<[u32; 3]>,
    palette: Vec<[u8; 3]>,
    /// Where the pixels begin.
    offset: usize,
}

/// Pixels made of indices between two looks.
const PIECE: usize = 1 << 16;

const RAW: u32 = 0;
const RLE8: u32 = 1;
const RLE4: u32 = 2;
const BITFIELDS: u32 = 3;

/// The picture in RGB, the top row first, whichever row the file has first.
pub(super) fn decode(bytes: &[u8], options: &ReadOptions) -> Result<Decoded> {
    decode_after(&Header::read(bytes)?, bytes, options)
}

/// The same of one in an ICO, which begins without the file's own header, and is followed by a mask. That is opacity, and dropped.
#[cfg(feature = "more-formats")]
pub(super) fn decode_masked(bytes: &[u8], options: &ReadOptions) -> Result<Decoded> {
    decode_after(&Header::masked(bytes)?, bytes, options)
}

fn decode_after(header: &Header, bytes: &[u8], options: &ReadOptions) -> Result<Decoded> {
    let area = check_pixels(Bmp, header.width, header.height, &options.limits)?;
    let data = bytes.get(header.offset..).ok_or_else(|| truncated(Bmp))?;
    let width = header.width as usize;
    let accept = options.truncated == Truncated::Accept;
    let mut incomplete = false;
    let mut pixels = match header.compression {
        RLE8 | RLE4 => {
            let mut indices = Vec::new();
            if let Err(e) = runs(data, header.compression == RLE4, width, area, &mut indices) {
                // What was refused for want of memory is refused.
                if !accept || e.kind != ErrorKind::InvalidImage {
                    return Err(e);
                }
                incomplete = true;
                let left = area - indices.len();
                reserve(&mut indices, left)?;
                indices.resize(area, 0);
            }
            let mut pixels = zeroed(3 * area)?;
            for (indices, pixels) in indices.chunks(PIECE).zip(pixels.chunks_mut(3 * PIECE)) {
                look();
                let pixels = pixels.as_chunks_mut::<3>().0;
                pixels.iter_mut().zip(indices).for_each(|(p, i)| *p = header.palette[usize::from(*i)]);
            }
            pixels
        }
        _ => rows(data, header, area, accept, &mut incomplete)?,
    };
    if header.bottom_up {
        let mut rows = pixels.chunks_exact_mut(3 * width);
        while let (Some(a), Some(b)) = (rows.next(), rows.next_back()) {
            look();
            a.swap_with_slice(b);
        }
    }
    let image = Rgb8 { width: header.width, height: header.height, pixels };
    let remarks = Remarks { incomplete: incomplete.then_some(Bmp), ..Remarks::default() };
    Ok(Decoded { remarks, ..Decoded::rgb(image, 1) })
}

/// The pixels, and of run lengths the indices that they are made of.
pub(super) fn need(bytes: &[u8]) -> Option<Need<'_>> {
    need_of(&Header::read(bytes).ok()?)
}

/// The same of one in an ICO.
#[cfg(feature = "more-formats")]
pub(super) fn need_masked(bytes: &[u8]) -> Option<Need<'_>> {
    need_of(&Header::masked(bytes).ok()?)
}

fn need_of(&Header { width, height, compression, .. }: &Header) -> Option<Need<'static>> {
    let each = if matches!(compression, RLE8 | RLE4) { 4 } else { 3 };
    Some(Need::each((width, height), each))
}

impl Header {
    fn read(bytes: &[u8]) -> Result<Self> {
        let offset = u32_le(bytes, 10).ok_or_else(|| truncated(Bmp))?;
        Self::after(bytes, 14, offset as usize)
    }

    /// Its height is that of picture and mask together.
    #[cfg(feature = "more-formats")]
    fn masked(bytes: &[u8]) -> Result<Self> {
        let header = Self::after(bytes, 0, 0)?;
        Ok(Self { height: header.height / 2, ..header })
    }

    /// `start`: bytes of the file's own header, which says where the pixels are: 0 for behind the rest.
    fn after(bytes: &[u8], start: usize, mut offset: usize) -> Result<Self> {
        let short = || truncated(Bmp);
        let size = u32_le(bytes, start).ok_or_else(short)?;
        let body = slice(bytes, start, size as usize).ok_or_else(short)?;
        let u16_at = |at| u16_le(body, at).ok_or_else(short);
        let u32_at = |at| u32_le(body, at).ok_or_else(short);
        let mut end = start + size as usize;
        // Entries of the palette are three bytes in the header of OS/2 1.x, elsewhere four.
        let (width, height, bottom_up, bits, compression, colours, entry) = match size {
            12 => (u16_at(4)?.into(), u16_at(6)?.into(), true, u16_at(10)?, RAW, 0, 3),
            40 | 52 | 56 | 64 | 108 | 124 => {
                let height = u32_at(8)?;
                // As in Pillow, only a top byte of 0xff makes a height negative, so a huge one stays huge.
                let bottom_up = height >> 24 != 0xff;
                let height = if bottom_up { height } else { height.wrapping_neg() };
                (u32_at(4)?, height, bottom_up, u16_at(14)?, u32_at(16)?, u32_at(32)?, 4)
            }
            _ => return Err(damaged(Bmp, format_args!("header of {size} bytes"))),
        };
        let mut masks = None;
        if compression == BITFIELDS {
            let at = if size == 40 { end } else { start + 40 };
            let mask = |i: usize| u32_le(bytes, at + 4 * i).ok_or_else(short);
            masks = Some([mask(0)?, mask(1)?, mask(2)?]);
            if size == 40 {
                end += 12;
            }
        }
        check_coding(bits, compression)?;
        let mut palette = Vec::new();
        if bits <= 8 {
            let colours = if colours == 0 { 1 << bits } else { colours as usize };
            if colours > 65536 {
                return Err(damaged(Bmp, format_args!("palette of {colours} colours")));
            }
            let after = end + entry * colours;
            let entries = bytes.get(end..after.min(bytes.len())).ok_or_else(short)?;
            palette = entries.chunks_exact(entry).take(256).map(|e| [e[2], e[1], e[0]]).collect();
            let grey = palette.iter().enumerate().all(|(i, e)| *e == [i as u8; 3]);
            let missing = palette.len()..256;
            palette.extend(missing.map(|i| [if grey { i as u8 } else { 0 }; 3]));
            if offset == end || offset == 0 {
                offset = after;
            }
        } else if offset == 0 {
            offset = end;
        }
        Ok(Self { width, height, bottom_up, bits, compression, masks, palette, offset })
    }
}

fn check_coding(bits: u16, compression: u32) -> Result<()> {
    match (compression, bits) {
        (RAW, 1 | 4 | 8 | 16 | 24 | 32) | (RLE8, 8) | (RLE4, 4) | (BITFIELDS, 16 | 24 | 32) => Ok(()),
        (RAW..=BITFIELDS, _) => Err(damaged(Bmp, format_args!("{bits} bits per pixel with compression {compression}"))),
        _ => Err(unsupported(Bmp, format_args!("compression {compression}"))),
    }
}

/// Uncompressed rows, in the file's order; each begins at a multiple of four bytes. Where missing ones are accepted they are zeros.
fn rows(data: &[u8], header: &Header, area: usize, accept: bool, incomplete: &mut bool) -> Result<Vec<u8>> {
    let width = header.width as usize;
    let stride = (width * usize::from(header.bits)).div_ceil(32) * 4;
    // The last row may lack its padding.
    let needed = stride * (header.height as usize - 1) + (width * usize::from(header.bits)).div_ceil(8);
    *incomplete = data.len() < needed;
    if *incomplete && !accept {
        return Err(truncated(Bmp));
    }
    let unpack_row = row_format(header)?;
    let mut pixels = zeroed(3 * area)?;
    let line = (width * usize::from(header.bits)).div_ceil(8);
    let mut given = data.chunks(stride).take_while(|row| row.len() >= line);
    let none = if *incomplete { zeroed(line)? } else { Vec::new() };
    for out in pixels.chunks_exact_mut(3 * width) {
        look();
        unpack_row(given.next().unwrap_or(&none), out.as_chunks_mut::<3>().0, header);
    }
    Ok(pixels)
}

type UnpackRow = fn(&[u8], &mut [[u8; 3]], &Header);

fn row_format(header: &Header) -> Result<UnpackRow> {
    let masks = header.masks.unwrap_or(match header.bits {
        16 => [0x7c00, 0x3e0, 0x1f],
        _ => [0xff_0000, 0xff00, 0xff],
    });
    Ok(match (header.bits, masks) {
        (1 | 4, _) => |row, out, h| {
            let indices = unpack(row, h.bits.into());
            out.iter_mut().zip(indices).for_each(|(o, i)| *o = h.palette[usize::from(i)]);
        },
        (8, _) => |row, out, h| out.iter_mut().zip(row).for_each(|(o, i)| *o = h.palette[usize::from(*i)]),
        (16, [0x7c00, 0x3e0, 0x1f]) => |row, out, _| sixteen_bits(row, out, 10, 31),
        (16, [0xf800, 0x7e0, 0x1f]) => |row, out, _| sixteen_bits(row, out, 11, 63),
        (24, [0xff_0000, 0xff00, 0xff]) => |row, out, _| bytes_at::<3>(row, out, [2, 1, 0]),
        (32, [0xff_0000, 0xff00, 0xff] | [0, 0, 0]) => |row, out, _| bytes_at::<4>(row, out, [2, 1, 0]),
        (32, [0xff00_0000, 0xff_0000, 0xff00]) => |row, out, _| bytes_at::<4>(row, out, [3, 2, 1]),
        (32, [0xff00_0000, 0xff00, 0xff]) => |row, out, _| bytes_at::<4>(row, out, [3, 1, 0]),
        (32, [0xff, 0xff00, 0xff_0000]) => |row, out, _| bytes_at::<4>(row, out, [0, 1, 2]),
        (bits, [r, g, b]) => {
            return Err(unsupported(Bmp, format_args!("{bits} bits with the masks {r:#x}, {g:#x}, {b:#x}")));
        }
    })
}

fn bytes_at<const N: usize>(row: &[u8], out: &mut [[u8; 3]], at: [usize; 3]) {
    out.iter_mut().zip(row.as_chunks::<N>().0).for_each(|(o, p)| *o = at.map(|i| p[i]));
}

/// Five bits of blue, then green up to `green_max`, then five bits of red.
fn sixteen_bits(row: &[u8], out: &mut [[u8; 3]], red_shift: u32, green_max: u32) {
    for (o, p) in out.iter_mut().zip(row.as_chunks::<2>().0) {
        let p = u32::from(u16::from_le_bytes(*p));
        let (r, g, b) = ((p >> red_shift) & 31, (p >> 5) & green_max, p & 31);
        *o = [(r * 255 / 31) as u8, (g * 255 / green_max) as u8, (b * 255 / 31) as u8];
    }
}

/// Run-length coded palette indices, rows in the file's order. What the escapes jump over is index 0. After an error `out` has
/// those before it.
fn runs(data: &[u8], four_bits: bool, width: usize, area: usize, out: &mut Vec<u8>) -> Result<()> {
    // What the file claims is not taken before it is there, unless a jump needs it.
    reserve(out, area.min(128 * data.len()))?;
    let (mut at, mut x, mut codes) = (0, 0, 0_usize);
    while out.len() < area {
        if codes.is_multiple_of(1 << 12) {
            look();
        }
        codes += 1;
        if out.capacity() < area && out.capacity() - out.len() < 256 * (width + 2) {
            let left = area - out.len();
            reserve(out, left)?;
        }
        let [count, value] = array(data, at).ok_or_else(|| truncated(Bmp))?;
        at += 2;
        let (high, low) = if four_bits { (value >> 4, value & 15) } else { (value, value) };
        let left = area - out.len();
        match (count, value) {
            (1.., _) => {
                let run = usize::from(count).min(width.saturating_sub(x));
                out.extend([high, low].into_iter().cycle().take(run.min(left)));
                x += run;
            }
            (0, 0) => {
                out.resize(out.len().next_multiple_of(width), 0);
                x = 0;
            }
            (0, 1) => out.resize(area, 0),
            (0, 2) => {
                let right = u8_at(data, at).ok_or_else(|| truncated(Bmp))?;
                let up = u8_at(data, at + 1).ok_or_else(|| truncated(Bmp))?;
                at += 2;
                let skip = usize::from(right) + usize::from(up) * width;
                out.resize(out.len() + skip.min(left), 0);
                x = out.len() % width;
            }
            (0, count) => {
                let count = usize::from(count);
                let len = if four_bits { count.div_ceil(2) } else { count };
                let literal = slice(data, at, len).ok_or_else(|| truncated(Bmp))?;
                if four_bits {
                    out.extend(unpack(literal, 4).take(count.min(left)));
                } else {
                    out.extend(literal.iter().take(left));
                }
                x += count;
                // Pillow aligns to the file's even positions, and pixels begin at an even one in all files but odd ones.
                at += len.next_multiple_of(2);
            }
        }
    }
    Ok(())
}
