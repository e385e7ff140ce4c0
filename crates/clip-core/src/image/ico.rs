//! ICO and CUR: the one of its pictures that Pillow takes, a PNG or a BMP. Both are this crate's to decode.

use super::decode::{Decoded, truncated};
use super::estimate::Need;
use super::format::Format::Ico;
use super::options::ReadOptions;
use super::reader::{slice, u16_le, u32_le};
use super::{bmp, png};
use crate::Result;

/// Icons, and cursors, where a TGA that begins in the same way has zeros.
pub(super) fn is(bytes: &[u8]) -> bool {
    bytes.starts_with(ICON) || bytes.starts_with(CURSOR) && u16_le(bytes, 4).is_some_and(|count| count > 0)
}

const ICON: &[u8] = b"\0\0\x01\0";
const CURSOR: &[u8] = b"\0\0\x02\0";

/// The picture in RGB. It is upright, whatever its own metadata say.
pub(super) fn decode(bytes: &[u8], options: &ReadOptions) -> Result<Decoded> {
    match picture(bytes).ok_or_else(|| truncated(Ico))? {
        png if is_png(png) => Ok(Decoded { orientation: 1, ..png::decode(png, options)? }),
        bmp => bmp::decode_masked(bmp, options),
    }
}

/// What its picture takes.
pub(super) fn need(bytes: &[u8]) -> Option<Need<'_>> {
    match picture(bytes)? {
        png if is_png(png) => png::need(png),
        bmp => bmp::need_masked(bmp),
    }
}

/// The largest picture, of those the one of the least depth, and of those the first. Cursors tell no depth, and each one that is larger
/// both ways than the one before counts.
fn picture<'a>(bytes: &'a [u8]) -> Option<&'a [u8]> {
    let count = usize::from(u16_le(bytes, 4)?);
    let entries = slice(bytes, 6, 16 * count)?.as_chunks::<16>().0;
    if bytes.starts_with(CURSOR) {
        let larger = |best: &'a [u8; 16], entry: &'a [u8; 16]| {
            if entry[0] > best[0] && entry[1] > best[1] { entry } else { best }
        };
        return bytes.get(u32_le(entries.iter().reduce(larger)?, 12)? as usize..);
    }
    let side = |side: u8| if side == 0 { 256 } else { u32::from(side) };
    let rank = |entry: &&[u8; 16]| (u32::MAX - side(entry[0]) * side(entry[1]), depth(entry));
    let entry = entries.iter().min_by_key(rank)?;
    bytes.get(u32_le(entry, 12)? as usize..)
}

/// Bits a pixel, or those of the number of colours.
fn depth(entry: &[u8; 16]) -> u32 {
    const MANY: u32 = 256;
    let (bits, colours) = (u16::from_le_bytes([entry[6], entry[7]]), entry[2]);
    match (bits, colours) {
        (0, 0 | 1) => MANY,
        (0, _) => u32::from(colours).next_power_of_two().ilog2(),
        _ => bits.into(),
    }
}

fn is_png(picture: &[u8]) -> bool {
    picture.starts_with(b"\x89PNG\r\n\x1a\n")
}
