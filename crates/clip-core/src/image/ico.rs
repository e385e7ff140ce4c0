//! ICO: the one of its pictures that the `image` crate takes. A PNG in it is this crate's to decode, within its limits; `image` has
//! none while it reads one's header.

use super::decode::Decoded;
use super::estimate::Need;
use super::format::Format::Ico;
use super::options::ReadOptions;
use super::reader::{array, slice, u16_le, u32_le};
use super::{others, png};
use crate::Result;

pub(super) fn decode(bytes: &[u8], options: &ReadOptions) -> Result<Decoded> {
    match picture(bytes) {
        // It is upright, whatever its own metadata say.
        Some(png) if is_png(png) => Ok(Decoded { orientation: 1, ..png::decode(png, options)? }),
        _ => others::decode(Ico, bytes, options),
    }
}

pub(super) fn need(bytes: &[u8]) -> Option<Need<'_>> {
    match picture(bytes)? {
        png if is_png(png) => png::need(png),
        _ => others::need(Ico, bytes),
    }
}

/// Of a BMP, whose height is that of its mask, too.
pub(super) fn size(bytes: &[u8]) -> Option<(u32, u32)> {
    let bmp = picture(bytes)?;
    match u32_le(bmp, 0)? {
        12 => Some((u16_le(bmp, 4)?.into(), u32::from(u16_le(bmp, 6)?) / 2)),
        _ => Some((u32_le(bmp, 4)?, array(bmp, 8).map(i32::from_le_bytes)?.unsigned_abs() / 2)),
    }
}

/// From the picture with the most colours, of those the largest: the last one, or the first of larger ones.
fn picture(bytes: &[u8]) -> Option<&[u8]> {
    let count = usize::from(u16_le(bytes, 4)?);
    let entries = slice(bytes, 6, 16 * count)?.as_chunks::<16>().0;
    let side = |side: u8| if side == 0 { 256 } else { u32::from(side) };
    let score = |entry: &[u8; 16]| (u16::from_le_bytes([entry[6], entry[7]]), side(entry[0]) * side(entry[1]));
    let (mut best, rest) = entries.split_last()?;
    for entry in rest {
        if score(entry) > score(best) {
            best = entry;
        }
    }
    bytes.get(u32_le(best, 12)? as usize..)
}

fn is_png(picture: &[u8]) -> bool {
    picture.starts_with(b"\x89PNG\r\n\x1a\n")
}
