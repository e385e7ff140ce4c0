//! The orientation of a picture, from its EXIF or XMP metadata.
//!
//! Follows Pillow's `Image.getexif`: the tag in the first IFD of the EXIF block, else `tiff:Orientation` in the XMP
//! packet. Damaged metadata means "upright", as in Pillow: it never makes a readable picture unreadable.

use super::reader::{array, slice};

const ORIENTATION: u16 = 0x0112;
const SHORT: u16 = 3;
const LONG: u16 = 4;

/// 1 to 8; 1 (upright) when neither block says otherwise.
pub(super) fn orientation(exif: Option<&[u8]>, xmp: Option<&[u8]>) -> u8 {
    let from_exif = exif.and_then(from_exif);
    match from_exif.or_else(|| xmp.and_then(from_xmp).map(u32::from)) {
        Some(o @ 1..=8) => o as u8,
        _ => 1,
    }
}

/// Reads the tag out of an EXIF block: a TIFF header, with or without the prefix `Exif\0\0`.
fn from_exif(mut exif: &[u8]) -> Option<u32> {
    while let Some(rest) = exif.strip_prefix(b"Exif\0\0") {
        exif = rest;
    }
    let little = match exif.get(..4)? {
        b"II\x2a\0" => true,
        b"MM\0\x2a" => false,
        _ => return None,
    };
    let u16_at = |at| array(exif, at).map(if little { u16::from_le_bytes } else { u16::from_be_bytes });
    let u32_at = |at| array(exif, at).map(if little { u32::from_le_bytes } else { u32::from_be_bytes });
    let ifd = u32_at(4)? as usize;
    let count = usize::from(u16_at(ifd)?);
    for i in 0..count {
        let entry = ifd.checked_add(2 + 12 * i)?;
        slice(exif, entry, 12)?;
        if u16_at(entry)? == ORIENTATION && u32_at(entry + 4)? == 1 {
            return match u16_at(entry + 2)? {
                SHORT => u16_at(entry + 8).map(u32::from),
                LONG => u32_at(entry + 8),
                _ => None,
            };
        }
    }
    None
}

/// The digit that Pillow finds with the pattern `tiff:Orientation(="|>)([0-9])`.
fn from_xmp(xmp: &[u8]) -> Option<u8> {
    const KEY: &[u8] = b"tiff:Orientation";
    let mut rest = xmp;
    while let Some(at) = memchr::memmem::find(rest, KEY) {
        rest = rest.get(at + KEY.len()..)?;
        let value = rest.strip_prefix(b"=\"").or_else(|| rest.strip_prefix(b">"));
        if let Some([digit @ b'0'..=b'9', ..]) = value {
            return Some(digit - b'0');
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(kind: u16, count: u32, value: [u8; 4]) -> Vec<u8> {
        let mut b = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12".to_vec();
        b.extend(kind.to_be_bytes());
        b.extend(count.to_be_bytes());
        b.extend(value);
        b
    }

    #[test]
    fn exif_before_xmp() {
        let xmp: &[u8] = b"<x tiff:Orientation=\"3\"/>";
        assert_eq!(orientation(Some(&block(SHORT, 1, [0, 6, 0, 0])), Some(xmp)), 6);
        assert_eq!(orientation(Some(&block(LONG, 1, [0, 0, 0, 8])), None), 8);
        assert_eq!(orientation(None, Some(xmp)), 3);
        assert_eq!(orientation(None, Some(b"<tiff:Orientation>5</tiff:Orientation>")), 5);
    }

    #[test]
    fn damage_means_upright() {
        let good = block(SHORT, 1, [0, 6, 0, 0]);
        for cut in 0..good.len() {
            assert_eq!(orientation(Some(&good[..cut]), None), 1, "cut at {cut}");
        }
        assert_eq!(orientation(Some(&block(SHORT, 1, [0, 9, 0, 0])), None), 1);
        assert_eq!(orientation(Some(&block(2, 1, [0, 6, 0, 0])), None), 1);
        assert_eq!(orientation(None, Some(b"tiff:Orientation")), 1);
    }
}
