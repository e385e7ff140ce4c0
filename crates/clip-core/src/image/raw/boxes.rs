//! CR3: boxes of the ISO base media file format. The JPEGs are a track, and boxes of Canon's own.

use super::JPEG;
use crate::guarded::look;
use crate::image::reader::{array, slice, u32_be};

/// Boxes of a file that are looked at, all levels together.
const MOST: usize = 4096;
/// How deep they lie in each other.
const DEEPEST: usize = 8;
/// Bytes of a box of Canon's before its JPEG.
const BEFORE_JPEG: usize = 32;

/// Is it Canon's brand of the ISO base media file format?
pub fn is_cr3(bytes: &[u8]) -> bool {
    bytes.get(4..12) == Some(b"ftypcrx ")
}

/// Parts of the file that may be JPEGs.
pub fn each<'a>(bytes: &'a [u8], found: &mut dyn FnMut(&'a [u8])) {
    let mut left = MOST;
    walk(bytes, bytes, DEEPEST, &mut left, found);
}

fn walk<'a>(file: &'a [u8], mut boxes: &'a [u8], depth: usize, left: &mut usize, found: &mut dyn FnMut(&'a [u8])) {
    let (mut place, mut size) = (None, None);
    while let Some((kind, body, rest)) = first(boxes) {
        boxes = rest;
        match left.checked_sub(1) {
            Some(fewer) if depth > 0 => *left = fewer,
            _ => return,
        }
        look();
        match &kind {
            b"moov" | b"trak" | b"mdia" | b"minf" | b"stbl" => walk(file, body, depth - 1, left, found),
            // After the identifier; in one of them after eight bytes more.
            b"uuid" => {
                for before in [16, 24] {
                    walk(file, body.get(before..).unwrap_or_default(), depth - 1, left, found);
                }
            }
            b"PRVW" | b"THMB" => {
                let head = body.get(..BEFORE_JPEG).unwrap_or(body);
                if let Some(at) = memchr::memmem::find(head, JPEG) {
                    found(body.get(at..).unwrap_or_default());
                }
            }
            // Of a track the first sample: places, of 32 or of 64 bits, and sizes.
            b"stco" => place = u32_be(body, 8).map(u64::from),
            b"co64" => place = array(body, 8).map(u64::from_be_bytes),
            b"stsz" => {
                size = match u32_be(body, 4) {
                    Some(0) => u32_be(body, 12),
                    all => all,
                }
            }
            _ => {}
        }
    }
    let place = place.and_then(|place| usize::try_from(place).ok());
    if let Some(jpeg) = place.zip(size).and_then(|(place, size)| slice(file, place, size as usize)) {
        found(jpeg);
    }
}

/// Kind and body of the first box, and what follows it.
fn first(boxes: &[u8]) -> Option<([u8; 4], &[u8], &[u8])> {
    let (size, rest) = boxes.split_first_chunk()?;
    let (kind, rest) = rest.split_first_chunk::<4>()?;
    let (rest, len) = match u32::from_be_bytes(*size) {
        0 => (rest, rest.len()),
        1 => {
            let (size, rest) = rest.split_first_chunk()?;
            (rest, usize::try_from(u64::from_be_bytes(*size)).ok()?.checked_sub(16)?)
        }
        size => (rest, (size as usize).checked_sub(8)?),
    };
    let (body, rest) = rest.split_at_checked(len)?;
    Some((*kind, body, rest))
}
