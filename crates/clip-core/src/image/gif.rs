//! GIF: the first frame on the logical screen.
//!
//! Follows Pillow's `GifImagePlugin.py`: the canvas is the logical screen, grown where the frame sticks out; what the
//! frame leaves uncovered has the transparent colour's index, else 0; then every index is looked up in the palette, the
//! transparent one too. Without a palette the indices are grey levels.

use std::num::NonZeroU64;

use gif::{DecodeOptions, DecodingError, MemoryLimit};

use super::Rgb8;
use super::decode::{Decoded, check_pixels, damaged, truncated};
use super::estimate::Need;
use super::format::Format::Gif;
use super::options::{ReadOptions, Remarks, Truncated};
use super::reader::{Pieces, u16_le};
use crate::Result;
use crate::guarded::look;
use crate::memory::{with_capacity, zeroed};

/// The first frame on its screen, in RGB.
pub(super) fn decode(bytes: &[u8], options: &ReadOptions) -> Result<Decoded> {
    let limits = &options.limits;
    let side = |at| u16_le(bytes, at).ok_or_else(|| truncated(Gif));
    let (screen_width, screen_height) = (side(6)?, side(8)?);
    if (screen_width, screen_height) != (0, 0) {
        check_pixels(Gif, screen_width.into(), screen_height.into(), limits)?;
    }
    // The decoder wants a palette, Pillow takes indices for levels of grey.
    let mended = mended(bytes)?;
    let bytes = mended.as_deref().unwrap_or(bytes);
    let with_palette = if bytes.get(10).is_some_and(|flags| flags & 0x80 == 0) { with_ramp(bytes)? } else { None };
    let bytes = with_palette.as_deref().unwrap_or(bytes);

    let mut decoding = DecodeOptions::new();
    let memory = NonZeroU64::new(limits.max_pixels).unwrap_or(NonZeroU64::MIN);
    decoding.set_memory_limit(MemoryLimit::Bytes(memory));
    decoding.allow_unknown_blocks(true);
    let mut decoder = decoding.read_info(Pieces::new(bytes)).map_err(gif_error)?;
    let frame = decoder.next_frame_info().map_err(gif_error)?;
    let frame = frame.ok_or_else(|| damaged(Gif, "no picture in it"))?;
    let (left, top) = (usize::from(frame.left), usize::from(frame.top));
    let (frame_width, frame_height) = (usize::from(frame.width), usize::from(frame.height));
    check_pixels(Gif, frame_width as u32, frame_height as u32, limits)?;
    let (background, interlaced) = (frame.transparent.unwrap_or(0), frame.interlaced);
    let local = frame.palette.clone();

    let width = usize::from(screen_width).max(left + frame_width);
    let height = usize::from(screen_height).max(top + frame_height);
    let area = check_pixels(Gif, width as u32, height as u32, limits)?;
    let palette = palette(local.as_deref().or(decoder.global_palette()));

    let mut pixels = zeroed(3 * area)?;
    let canvas = pixels.as_chunks_mut::<3>().0;
    canvas.fill(palette[usize::from(background)]);
    // At once: row by row the decoder loses what it has read of a short file, and not given yet.
    let (mut indices, mut remarks) = (zeroed(frame_width * frame_height)?, Remarks::default());
    indices.fill(background);
    let filled = decoder.fill_buffer(&mut indices).map_err(gif_error);
    if let Err(e) = filled.and_then(|full| if full { Ok(()) } else { Err(truncated(Gif)) }) {
        if options.truncated == Truncated::Refuse {
            return Err(e);
        }
        remarks.incomplete = Some(Gif);
    }
    // A frame without width has no rows.
    for (row, indices) in order(frame_height, interlaced).zip(indices.chunks_exact(frame_width.max(1))) {
        look();
        let out = &mut canvas[(top + row) * width + left..][..frame_width];
        out.iter_mut().zip(indices).for_each(|(pixel, index)| *pixel = palette[usize::from(*index)]);
    }
    let image = Rgb8 { width: width as u32, height: height as u32, pixels };
    Ok(Decoded { remarks, ..Decoded::rgb(image, 1) })
}

/// The same file as the decoder wants it: without what lies between blocks and is none, which Pillow passes over, and with the end of
/// the first frame's blocks where the file ends before it. `None` where it is so already.
fn mended(bytes: &[u8]) -> Result<Option<Vec<u8>>> {
    const MOST: usize = 64;
    let table = |flags: Option<&u8>| flags.filter(|flags| **flags & 0x80 != 0).map_or(0, |flags| 6usize << (flags & 7));
    let header = 13 + table(bytes.get(10));
    let (mut at, mut strays, mut blocks) = (header, 0, Vec::new());
    let frame = loop {
        let begin = at;
        match bytes.get(at) {
            Some(b'!') => {
                at = end_of_blocks(bytes, at + 2) + 1;
                // Only the last of a kind counts.
                if blocks.len() == MOST {
                    look();
                    blocks.remove(0);
                }
                blocks.push(begin..at.min(bytes.len()));
            }
            Some(b',') => break at,
            None | Some(b';') => return Ok(None),
            Some(_) => {
                at += 1;
                strays += 1;
            }
        }
    };
    // Where it lies, its size, flags; then a palette and the size of codes.
    let end = end_of_blocks(bytes, frame + 11 + table(bytes.get(frame + 9)));
    if strays == 0 && end != bytes.len() {
        return Ok(None);
    }
    let mut file = with_capacity(bytes.len() + 1)?;
    file.extend(bytes.get(..header).unwrap_or_default());
    blocks.into_iter().for_each(|block| file.extend(bytes.get(block).unwrap_or_default()));
    file.extend(bytes.get(frame..).unwrap_or_default());
    if end == bytes.len() {
        file.push(0);
    }
    Ok(Some(file))
}

/// Where the empty block is that ends those from `at` on; exactly the end of the bytes where it alone is missing.
fn end_of_blocks(bytes: &[u8], mut at: usize) -> usize {
    while let Some(len @ 1..) = bytes.get(at) {
        at += 1 + usize::from(*len);
    }
    at
}

/// The same file with a global palette of all levels of grey.
pub(super) fn with_ramp(bytes: &[u8]) -> Result<Option<Vec<u8>>> {
    let Some((header, rest)) = bytes.split_at_checked(13) else { return Ok(None) };
    let mut file = with_capacity(bytes.len() + 3 * 256)?;
    file.extend(header);
    file[10] = header[10] | 0x87;
    file.extend((0..=255u8).flat_map(|level| [level; 3]));
    file.extend(rest);
    Ok(Some(file))
}

/// Rows of a frame as they come.
pub(super) fn order(height: usize, interlaced: bool) -> impl Iterator<Item = usize> {
    const PASSES: [(usize, usize); 4] = [(0, 8), (4, 8), (2, 4), (1, 2)];
    let passes = if interlaced { PASSES.as_slice() } else { &[(0, 1)] };
    passes.iter().flat_map(move |(first, step)| (*first..height).step_by(*step))
}

/// The pixels, and the indices that they are made of: of a frame as large as the screen, as most are.
pub(super) fn need(bytes: &[u8]) -> Option<Need<'_>> {
    let (width, height) = (u32::from(u16_le(bytes, 6)?), u32::from(u16_le(bytes, 8)?));
    let all = move || Some(4 * width as usize * height as usize + bytes.len() + (1 << 17));
    Some(Need::new((width, height), all))
}

/// All 256 colours: the file's, then black; levels of grey where the file has no palette, or just such a one.
pub(super) fn palette(entries: Option<&[u8]>) -> [[u8; 3]; 256] {
    let ramp = std::array::from_fn(|i| [i as u8; 3]);
    let Some(entries) = entries else { return ramp };
    let entries = entries.as_chunks::<3>().0;
    if entries.iter().zip(&ramp).all(|(a, b)| a == b) {
        return ramp;
    }
    std::array::from_fn(|i| entries.get(i).copied().unwrap_or([0; 3]))
}

/// What the `gif` crate fails with. A file that ends early is told from one that is damaged.
pub(super) fn gif_error(e: DecodingError) -> crate::Error {
    match e {
        DecodingError::UnexpectedEof => truncated(Gif),
        DecodingError::Io(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => truncated(Gif),
        e => damaged(Gif, e),
    }
}
