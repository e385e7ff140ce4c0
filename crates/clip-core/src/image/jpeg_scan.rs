//! A walk over a JPEG file's markers, without decoding: size, colour space, metadata, and whether the file is complete.
//!
//! The decoder is forgiving about the end of its input, and a picture that is grey from the middle on must never become
//! an embedding. Pillow refuses a file that ends before its end-of-image marker; so does this.

use super::decode::{damaged, truncated, unsupported};
use super::format::Format::Jpeg;
use super::reader::{array, slice, u8_at, u16_be};
use crate::Result;

/// How the samples encode colour, by libjpeg's rules (`default_decompress_parms` in `jdapimin.c`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colour {
    Grey,
    Rgb,
    YCbCr,
    Cmyk,
    Ycck,
}

#[derive(Debug)]
pub(super) struct Scan<'a> {
    pub width: u32,
    pub height: u32,
    pub colour: Colour,
    pub exif: Option<&'a [u8]>,
    pub xmp: Option<&'a [u8]>,
    /// Length of the first picture: to the end of its end-of-image marker.
    pub len: usize,
}

pub(super) struct Frame {
    pub width: u32,
    pub height: u32,
    /// Their numbers.
    pub components: Vec<u8>,
    /// Of each component, across and down.
    pub sampling: Vec<(u8, u8)>,
    /// Progressive, or one component after the other.
    pub several_scans: bool,
}

const SOI: u8 = 0xd8;
const EOI: u8 = 0xd9;
const SOS: u8 = 0xda;
const DNL: u8 = 0xdc;
const APP0: u8 = 0xe0;
const APP1: u8 = 0xe1;
const APP14: u8 = 0xee;

pub(super) fn scan(bytes: &[u8]) -> Result<Scan<'_>> {
    let mut frame: Option<Frame> = None;
    let (mut exif, mut xmp, mut jfif, mut adobe) = (None, None, false, None);
    let mut scanned = Vec::new();
    let mut at = 2;
    let len = loop {
        let (marker, next) = next_marker(bytes, at)?;
        at = next;
        match marker {
            EOI => break at,
            // A marker without a segment: a restart (0xd0 to 0xd7), or the private 0x01.
            0xd0..=0xd7 | 0x01 => continue,
            SOI => return Err(damaged(Jpeg, "a second picture begins before the first ends")),
            _ => {}
        }
        let length = usize::from(u16_be(bytes, at).ok_or_else(|| truncated(Jpeg))?);
        if length < 2 {
            return Err(damaged(Jpeg, format_args!("segment of marker {marker:#04x} is {length} bytes long")));
        }
        let segment = slice(bytes, at + 2, length - 2).ok_or_else(|| truncated(Jpeg))?;
        at += length;
        match marker {
            0xc4 | 0xcc => {} // Huffman tables; arithmetic conditioning, which the frame's own marker refuses
            0xc0..=0xcf => {
                if frame.is_some() {
                    return Err(damaged(Jpeg, "more than one frame header"));
                }
                frame = Some(read_frame(marker, segment)?);
            }
            SOS if frame.is_none() => return Err(damaged(Jpeg, "scan before the frame header")),
            SOS => scanned.extend(scan_components(segment)),
            DNL => return Err(unsupported(Jpeg, "its height follows its first scan")),
            APP0 => jfif |= segment.starts_with(b"JFIF\0"),
            APP1 => {
                if exif.is_none() && segment.starts_with(b"Exif\0\0") {
                    exif = Some(segment);
                } else if let Some(packet) = segment.strip_prefix(b"http://ns.adobe.com/xap/1.0/\0") {
                    xmp = Some(packet);
                }
            }
            APP14 if segment.starts_with(b"Adobe") => adobe = u8_at(segment, 11).or(adobe),
            _ => {}
        }
    };
    let frame = frame.ok_or_else(|| damaged(Jpeg, "no picture before the end marker"))?;
    // A component without a scan would be flat: a picture cut between two of its scans.
    if frame.components.iter().any(|id| !scanned.contains(id)) {
        return Err(truncated(Jpeg));
    }
    let colour = colour(&frame.components, jfif, adobe)?;
    Ok(Scan { width: frame.width, height: frame.height, colour, exif, xmp, len })
}

/// The frame header, read up to the first scan; `None` where that is damaged.
pub(super) fn head(bytes: &[u8]) -> Option<Frame> {
    let (mut frame, mut at): (Option<Frame>, _) = (None, 2);
    loop {
        let (marker, next) = next_marker(bytes, at).ok()?;
        at = next;
        if matches!(marker, 0xd0..=0xd7 | 0x01) {
            continue;
        }
        let length = usize::from(u16_be(bytes, at)?);
        let segment = slice(bytes, at + 2, length.checked_sub(2)?)?;
        at += length;
        match marker {
            0xc4 | 0xcc => {}
            SOI | EOI => return None,
            0xc0..=0xcf => frame = Some(read_frame(marker, segment).ok()?),
            SOS => {
                let mut frame = frame?;
                frame.several_scans |= u8_at(segment, 0).map(usize::from) != Some(frame.components.len());
                return Some(frame);
            }
            _ => {}
        }
    }
}

/// The next marker at or after `at`, skipping entropy-coded data and fill bytes, and the position after it.
fn next_marker(bytes: &[u8], mut at: usize) -> Result<(u8, usize)> {
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        at += memchr::memchr(0xff, rest).ok_or_else(|| truncated(Jpeg))? + 1;
        match u8_at(bytes, at).ok_or_else(|| truncated(Jpeg))? {
            0 => at += 1, // a 0xff of the data, stuffed
            0xff => {}    // a fill byte
            marker => return Ok((marker, at + 1)),
        }
    }
}

fn read_frame(marker: u8, segment: &[u8]) -> Result<Frame> {
    match marker {
        0xc0..=0xc2 => {}
        0xc3 => return Err(unsupported(Jpeg, "lossless coding")),
        0xc9..=0xcb | 0xcd..=0xcf => return Err(unsupported(Jpeg, "arithmetic coding")),
        _ => return Err(unsupported(Jpeg, "hierarchical coding")),
    }
    let header: [u8; 6] = array(segment, 0).ok_or_else(|| damaged(Jpeg, "frame header is too short"))?;
    let [precision, h1, h0, w1, w0, components] = header;
    if precision != 8 {
        return Err(unsupported(Jpeg, format_args!("{precision} bits per sample, expected 8")));
    }
    let table = slice(segment, 6, 3 * usize::from(components));
    let table = table.ok_or_else(|| damaged(Jpeg, "frame header is too short"))?;
    Ok(Frame {
        width: u16::from_be_bytes([w1, w0]).into(),
        height: u16::from_be_bytes([h1, h0]).into(),
        components: table.chunks_exact(3).map(|c| c[0]).collect(),
        sampling: table.chunks_exact(3).map(|c| (c[1] >> 4, c[1] & 15)).collect(),
        several_scans: marker == 0xc2,
    })
}

/// The components to which a scan brings the levels themselves: all of it, unless it is one that refines a progressive
/// picture.
fn scan_components(segment: &[u8]) -> Vec<u8> {
    let count = usize::from(u8_at(segment, 0).unwrap_or(0));
    let first_coefficient = u8_at(segment, 1 + 2 * count);
    let table = slice(segment, 1, 2 * count).filter(|_| first_coefficient == Some(0)).unwrap_or_default();
    table.chunks_exact(2).map(|c| c[0]).collect()
}

fn colour(ids: &[u8], jfif: bool, adobe: Option<u8>) -> Result<Colour> {
    Ok(match (ids, adobe) {
        ([_], _) => Colour::Grey,
        ([_, _, _], _) if jfif => Colour::YCbCr,
        ([_, _, _], Some(0)) => Colour::Rgb,
        ([_, _, _], Some(_)) => Colour::YCbCr,
        ([b'R', b'G', b'B'], None) => Colour::Rgb,
        ([_, _, _], None) => Colour::YCbCr,
        ([_, _, _, _], Some(2)) => Colour::Ycck,
        ([_, _, _, _], _) => Colour::Cmyk,
        _ => return Err(unsupported(Jpeg, format_args!("{} components, expected 1, 3 or 4", ids.len()))),
    })
}
