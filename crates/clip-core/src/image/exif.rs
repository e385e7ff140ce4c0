//! The orientation of a picture, from its EXIF or XMP metadata.
//!
//! Follows Pillow's `Image.getexif` and `ImageFileDirectory_v2`: the tag in the first IFD of the EXIF block, of any type of numbers,
//! of several the first; where there is none, `tiff:Orientation` in the XMP packet. Damaged metadata means "upright": it never makes a
//! readable picture unreadable.

use super::reader::{array, slice};

const ORIENTATION: u16 = 0x0112;

/// 1 to 8; 1 (upright) when neither block says otherwise.
pub(super) fn orientation(exif: Option<&[u8]>, xmp: Option<&[u8]>) -> u8 {
    let from_exif = exif.and_then(|exif| Block::new(exif)?.orientation());
    from_exif.unwrap_or_else(|| xmp.and_then(from_xmp).filter(|o| (1..=8).contains(o)).unwrap_or(1))
}

/// A TIFF header and what follows it.
struct Block<'a> {
    bytes: &'a [u8],
    little: bool,
}

impl<'a> Block<'a> {
    /// With or without the prefix `Exif\0\0`, which some write twice.
    fn new(mut exif: &'a [u8]) -> Option<Self> {
        for _ in 0..2 {
            exif = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
        }
        // Some write the 42 in the other order.
        match exif.get(..4)? {
            b"II\x2a\0" | b"II\0\x2a" => Some(Self { bytes: exif, little: true }),
            b"MM\0\x2a" | b"MM\x2a\0" => Some(Self { bytes: exif, little: false }),
            _ => None,
        }
    }

    fn u16(&self, at: usize) -> Option<u16> {
        array(self.bytes, at).map(if self.little { u16::from_le_bytes } else { u16::from_be_bytes })
    }

    fn u32(&self, at: usize) -> Option<u32> {
        array(self.bytes, at).map(if self.little { u32::from_le_bytes } else { u32::from_be_bytes })
    }

    fn u64(&self, at: usize) -> Option<u64> {
        array(self.bytes, at).map(if self.little { u64::from_le_bytes } else { u64::from_be_bytes })
    }

    /// `None` where there is no tag. One that is there and names no orientation is upright, whatever XMP says.
    fn orientation(&self) -> Option<u8> {
        let ifd = self.u32(4)? as usize;
        let (count, mut total) = (usize::from(self.u16(ifd)?), 0usize);
        for i in 0..count {
            // Pillow gives up at the first entry, or value, that lies outside of the block. Values that cannot all be in it are left out.
            let Some(entry) = ifd.checked_add(2 + 12 * i).filter(|at| slice(self.bytes, *at, 12).is_some()) else {
                break;
            };
            let (Some(tag), Some(kind), Some(values)) = (self.u16(entry), self.u16(entry + 2), self.u32(entry + 4))
            else {
                break;
            };
            let Some(size) = size_of_kind(kind) else { continue };
            let bytes = size.saturating_mul(values as usize);
            let at = if bytes > 4 { self.u32(entry + 8)? as usize } else { entry + 8 };
            if bytes > 4 {
                total = total.saturating_add(bytes);
                if total > self.bytes.len() {
                    continue;
                }
            }
            if slice(self.bytes, at, bytes).is_none() {
                break;
            }
            if tag == ORIENTATION && values > 0 {
                return Some(self.value(kind, at).unwrap_or(1));
            }
        }
        None
    }

    /// The first value, where it is one of the eight.
    fn value(&self, kind: u16, at: usize) -> Option<u8> {
        let value = match kind {
            3 => f64::from(self.u16(at)?),
            4 | 13 => f64::from(self.u32(at)?),
            5 => f64::from(self.u32(at)?) / f64::from(self.u32(at + 4)?),
            6 => f64::from(array::<1>(self.bytes, at)?[0] as i8),
            8 => f64::from(self.u16(at)? as i16),
            9 => f64::from(self.u32(at)? as i32),
            10 => f64::from(self.u32(at)? as i32) / f64::from(self.u32(at + 4)? as i32),
            11 => f64::from(f32::from_bits(self.u32(at)?)),
            12 => f64::from_bits(self.u64(at)?),
            16 => self.u64(at)? as f64,
            // Bytes and texts are no numbers.
            _ => return None,
        };
        (1..=8).find(|orientation| f64::from(*orientation) == value)
    }
}

/// Bytes of a value, by its type; `None` for those that Pillow passes over.
fn size_of_kind(kind: u16) -> Option<usize> {
    Some(match kind {
        1 | 2 | 6 | 7 => 1,
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 | 16 => 8,
        _ => return None,
    })
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

    const SHORT: u16 = 3;
    const LONG: u16 = 4;

    /// Entries of tag, type, count and value; what follows them lies behind the directory.
    fn directory(entries: &[(u16, u16, u32, [u8; 4])], more: &[u8]) -> Vec<u8> {
        let mut b = b"Exif\0\0MM\0\x2a\0\0\0\x08".to_vec();
        b.extend((entries.len() as u16).to_be_bytes());
        for (tag, kind, count, value) in entries {
            b.extend(tag.to_be_bytes());
            b.extend(kind.to_be_bytes());
            b.extend(count.to_be_bytes());
            b.extend(value);
        }
        b.extend([0; 4]);
        b.extend(more);
        b
    }

    fn block(kind: u16, count: u32, value: [u8; 4]) -> Vec<u8> {
        directory(&[(ORIENTATION, kind, count, value)], &[])
    }

    #[test]
    fn exif_before_xmp() {
        let xmp: &[u8] = b"<x tiff:Orientation=\"3\"/>";
        assert_eq!(orientation(Some(&block(SHORT, 1, [0, 6, 0, 0])), Some(xmp)), 6);
        assert_eq!(orientation(Some(&block(LONG, 1, [0, 0, 0, 8])), None), 8);
        assert_eq!(orientation(None, Some(xmp)), 3);
        assert_eq!(orientation(None, Some(b"<tiff:Orientation>5</tiff:Orientation>")), 5);
        // a tag that says nothing is a tag; where there is none, XMP counts
        assert_eq!(orientation(Some(&block(1, 1, [6, 0, 0, 0])), Some(xmp)), 1);
        assert_eq!(orientation(Some(&directory(&[(0x0100, SHORT, 1, [0; 4])], &[])), Some(xmp)), 3);
    }

    /// Any number that equals one of the eight, as Python compares them; of several the first entry, of its values the first.
    #[test]
    fn any_number() {
        let of = |kind, count, value: [u8; 4], more: &[u8]| {
            orientation(Some(&directory(&[(ORIENTATION, kind, count, value)], more)), None)
        };
        // behind a directory of one entry
        let there = [0, 0, 0, 26];
        assert_eq!(of(6, 1, [6, 0, 0, 0], &[]), 6);
        assert_eq!(of(8, 1, [0, 6, 0, 0], &[]), 6);
        assert_eq!(of(9, 1, [0, 0, 0, 6], &[]), 6);
        assert_eq!(of(5, 1, there, &[0, 0, 0, 12, 0, 0, 0, 2]), 6);
        assert_eq!(of(5, 1, there, &[0, 0, 0, 12, 0, 0, 0, 0]), 1);
        assert_eq!(of(11, 1, 6f32.to_be_bytes(), &[]), 6);
        assert_eq!(of(11, 1, 6.5f32.to_be_bytes(), &[]), 1);
        assert_eq!(of(12, 1, there, &6f64.to_be_bytes()), 6);
        assert_eq!(of(SHORT, 2, [0, 6, 0, 3], &[]), 6);
        for bytes_and_texts in [1, 2, 7] {
            assert_eq!(of(bytes_and_texts, 1, [6, 0, 0, 0], &[]), 1);
        }
        let twice = [(ORIENTATION, SHORT, 1, [0, 6, 0, 0]), (ORIENTATION, SHORT, 1, [0, 3, 0, 0])];
        assert_eq!(orientation(Some(&directory(&twice, &[])), None), 6);
        // types that nobody knows are passed over, and values that are longer than the block; what lies behind it ends it
        let six = (ORIENTATION, SHORT, 1, [0, 6, 0, 0]);
        let after = |first| orientation(Some(&directory(&[first, six], &[])), None);
        assert_eq!(after((0x0113, 99, 1, [0; 4])), 6);
        assert_eq!(after((0x0113, SHORT, 99, [0; 4])), 6);
        assert_eq!(after((0x0113, SHORT, 3, [0, 0, 1, 0])), 1);
    }

    #[test]
    fn damage_means_upright() {
        let good = block(SHORT, 1, [0, 6, 0, 0]);
        for cut in 0..good.len() - 4 {
            assert_eq!(orientation(Some(&good[..cut]), None), 1, "cut at {cut}");
        }
        assert_eq!(orientation(Some(&block(SHORT, 1, [0, 9, 0, 0])), None), 1);
        assert_eq!(orientation(None, Some(b"tiff:Orientation")), 1);
        assert_eq!(orientation(None, Some(b"tiff:Orientation=\"9\"")), 1);
    }
}
