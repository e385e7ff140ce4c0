//! Raw files that are made like TIFF: directories in a chain, and directories below them.

use crate::guarded::look;
use crate::image::reader::{array, slice};

/// Directories that a file may have. Real ones have up to a dozen.
const MOST: usize = 64;
/// Entries of a directory that are looked at.
const ENTRIES: usize = 1024;

const COMPRESSION: u16 = 259;
const COLOURS: u16 = 262;
const MAKE: u16 = 271;
const STRIP_OFFSETS: u16 = 273;
const STRIP_BYTES: u16 = 279;
const BELOW: u16 = 330;
const JPEG_OFFSET: u16 = 513;
const JPEG_BYTES: u16 = 514;
const DNG_VERSION: u16 = 50706;
/// Panasonic's.
const JPEG_IN_IT: u16 = 46;

/// All directories of a file, by their places.
pub struct Directories<'a> {
    bytes: &'a [u8],
    is_little: bool,
    places: Vec<usize>,
}

/// An entry: its type, and the values' place.
struct Entry<'a> {
    kind: u16,
    count: usize,
    values: &'a [u8],
}

impl<'a> Directories<'a> {
    /// `None` where the bytes do not begin so.
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let is_little = match bytes.get(..4)? {
            // TIFF; of Olympus, twice; of Panasonic.
            b"II\x2a\0" | b"IIRO" | b"IIRS" | b"IIU\0" => true,
            b"MM\0\x2a" | b"MMOR" => false,
            _ => return None,
        };
        let mut directories = Self { bytes, is_little, places: Vec::new() };
        directories.collect();
        Some(directories)
    }

    /// Follows the chain, and what lies below each.
    fn collect(&mut self) {
        let Some(first) = self.u32(4) else { return };
        let mut next = vec![first as usize];
        while let Some(place) = next.pop() {
            if self.places.len() >= MOST || self.places.contains(&place) {
                continue;
            }
            let Some(count) = self.u16(place) else { continue };
            self.places.push(place);
            let after = place.checked_add(2 + 12 * usize::from(count)).and_then(|at| self.u32(at));
            let below = self
                .find(place, BELOW)
                .into_iter()
                .flat_map(|entry| (0..entry.count.min(MOST)).map(move |i| (i, entry.values)));
            let below: Vec<usize> =
                below.filter_map(|(i, values)| self.u32_in(values, 4 * i)).map(|at| at as usize).collect();
            next.extend(below.into_iter().chain(after.map(|at| at as usize)).filter(|at| *at != 0).take(MOST));
        }
    }

    fn u16(&self, at: usize) -> Option<u16> {
        array(self.bytes, at).map(if self.is_little { u16::from_le_bytes } else { u16::from_be_bytes })
    }

    fn u32(&self, at: usize) -> Option<u32> {
        self.u32_in(self.bytes, at)
    }

    fn u32_in(&self, bytes: &[u8], at: usize) -> Option<u32> {
        array(bytes, at).map(if self.is_little { u32::from_le_bytes } else { u32::from_be_bytes })
    }

    fn find(&self, place: usize, tag: u16) -> Option<Entry<'a>> {
        let count = usize::from(self.u16(place)?).min(ENTRIES);
        let at = (0..count).filter_map(|i| place.checked_add(2 + 12 * i)).find(|at| self.u16(*at) == Some(tag))?;
        let (kind, count) = (self.u16(at + 2)?, self.u32(at + 4)? as usize);
        let each = match kind {
            1 | 2 | 6 | 7 => 1,
            3 | 8 => 2,
            4 | 9 | 11 | 13 => 4,
            _ => return None,
        };
        let len = count.checked_mul(each)?;
        let at = if len <= 4 { at + 8 } else { self.u32(at + 8)? as usize };
        Some(Entry { kind, count, values: slice(self.bytes, at, len)? })
    }

    /// The only number of an entry.
    fn number(&self, place: usize, tag: u16) -> Option<u32> {
        let entry = self.find(place, tag).filter(|entry| entry.count == 1)?;
        match entry.kind {
            3 => array(entry.values, 0)
                .map(if self.is_little { u16::from_le_bytes } else { u16::from_be_bytes })
                .map(u32::from),
            4 | 13 => self.u32_in(entry.values, 0),
            _ => None,
        }
    }

    /// A raw format's name: by its own marks, or by a directory of the sensor's data.
    pub fn raw_kind(&self) -> Option<&'static str> {
        match self.bytes.get(..4)? {
            b"IIRO" | b"IIRS" | b"MMOR" => return Some("ORF"),
            b"IIU\0" => return Some("RW2"),
            _ => {}
        }
        if self.bytes.get(8..10) == Some(b"CR") {
            return Some("CR2");
        }
        let first = *self.places.first()?;
        if self.find(first, DNG_VERSION).is_some() {
            return Some("DNG");
        }
        let is_raw = |place: &usize| {
            // A colour filter array, or linear raw; Nikon's, Sony's and Pentax's own compressions.
            matches!(self.number(*place, COLOURS), Some(32803 | 34892))
                || matches!(self.number(*place, COMPRESSION), Some(34713 | 32767 | 65535))
        };
        if !self.places.iter().any(is_raw) {
            return None;
        }
        let make = self.find(first, MAKE).map(|entry| entry.values.to_ascii_uppercase()).unwrap_or_default();
        let makes: [(&[u8], &str); 3] = [(b"NIKON", "NEF"), (b"SONY", "ARW"), (b"PENTAX", "PEF")];
        Some(makes.iter().find(|(name, _)| make.starts_with(name)).map_or("camera raw", |(_, kind)| kind))
    }

    /// Parts of the file that a directory says to be a JPEG.
    pub fn each_jpeg(&self, found: &mut dyn FnMut(&'a [u8])) {
        for place in &self.places {
            look();
            let number = |tag| self.number(*place, tag).map(|number| number as usize);
            let mut part = |at: Option<usize>, len: Option<usize>| {
                if let Some(jpeg) = at.zip(len).and_then(|(at, len)| slice(self.bytes, at, len)) {
                    found(jpeg);
                }
            };
            part(number(JPEG_OFFSET), number(JPEG_BYTES));
            if matches!(number(COMPRESSION), Some(6 | 7)) {
                part(number(STRIP_OFFSETS), number(STRIP_BYTES));
            }
            if let Some(entry) = self.find(*place, JPEG_IN_IT) {
                found(entry.values);
            }
        }
    }
}
