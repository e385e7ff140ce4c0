//! A walk over the first directory of a TIFF, before the decoder reads it: what it declares is checked against the file, as the
//! decoder would allocate it first.

use super::decode::{damaged, truncated};
use super::format::Format::Tiff;
use super::reader::array;
use crate::Result;

/// Entries of the directory that the decoder reads.
const READ: [u16; 19] = [256, 257, 258, 259, 262, 273, 277, 278, 279, 284, 317, 320, 322, 323, 324, 325, 338, 339, 347];
/// YCbCrSubSampling, the last one.
const SUBSAMPLING: u16 = 530;
/// Bytes that the decoder makes of a value.
const VALUE: usize = 40;

/// The first directory.
pub(super) struct Directory<'a> {
    bytes: &'a [u8],
    little: bool,
    big: bool,
    /// Where entries begin, and how many there are.
    first: usize,
    count: usize,
}

/// One of its entries.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    pub tag: u16,
    kind: u16,
    pub count: usize,
    /// Where its values lie.
    at: usize,
}

impl<'a> Directory<'a> {
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut directory = Self { bytes, little: bytes.first() == Some(&b'I'), big: false, first: 0, count: 0 };
        directory.big = directory.u16_at(2)? == 43;
        let at = if directory.big { directory.u64_at(8)? } else { directory.u32_at(4)?.into() };
        let at = usize::try_from(at).ok()?;
        let count = if directory.big { directory.u64_at(at)? } else { directory.u16_at(at)?.into() };
        directory.count = usize::try_from(count).ok()?.min(bytes.len() / directory.entry_size());
        directory.first = at.checked_add(if directory.big { 8 } else { 2 })?;
        Some(directory)
    }

    fn entry_size(&self) -> usize {
        if self.big { 20 } else { 12 }
    }

    fn u16_at(&self, at: usize) -> Option<u16> {
        array(self.bytes, at).map(if self.little { u16::from_le_bytes } else { u16::from_be_bytes })
    }

    fn u32_at(&self, at: usize) -> Option<u32> {
        array(self.bytes, at).map(if self.little { u32::from_le_bytes } else { u32::from_be_bytes })
    }

    fn u64_at(&self, at: usize) -> Option<u64> {
        array(self.bytes, at).map(if self.little { u64::from_le_bytes } else { u64::from_be_bytes })
    }

    /// Those that are in the file.
    fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        (0..self.count).map_while(|i| self.entry(self.first.checked_add(i * self.entry_size())?))
    }

    fn entry(&self, at: usize) -> Option<Entry> {
        let (tag, kind) = (self.u16_at(at)?, self.u16_at(at + 2)?);
        let (count, value, inside) =
            if self.big { (self.u64_at(at + 4)?, at + 12, 8) } else { (self.u32_at(at + 4)?.into(), at + 8, 4) };
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let inside = size_of_kind(kind).unwrap_or(1).saturating_mul(count) <= inside;
        let offset = || if self.big { self.u64_at(value) } else { self.u32_at(value).map(u64::from) };
        let at = if inside { value } else { usize::try_from(offset()?).unwrap_or(usize::MAX) };
        Some(Entry { tag, kind, count, at })
    }

    pub fn find(&self, tag: u16) -> Option<Entry> {
        self.entries().find(|entry| entry.tag == tag)
    }

    /// An integer of an entry.
    pub fn value(&self, entry: Entry, i: usize) -> Option<usize> {
        let at = |size: usize| entry.at.checked_add(i.checked_mul(size)?);
        let value = match entry.kind {
            1 => u64::from(*self.bytes.get(at(1)?)?),
            3 => self.u16_at(at(2)?)?.into(),
            4 => self.u32_at(at(4)?)?.into(),
            16 => self.u64_at(at(8)?)?,
            _ => return None,
        };
        usize::try_from(value).ok()
    }

    /// The first integer of an entry, or what it is where there is none.
    pub fn first(&self, tag: u16, default: usize) -> usize {
        self.find(tag).and_then(|entry| self.value(entry, 0)).unwrap_or(default)
    }

    /// EXIF's, 1 where there is none.
    pub fn orientation(&self) -> u8 {
        let entry = self.find(274).filter(|entry| entry.count == 1);
        entry.and_then(|entry| self.value(entry, 0)).and_then(|value| u8::try_from(value).ok()).unwrap_or(1)
    }

    /// Refuses entries whose values lie outside of the file, or are text, which none of them is.
    pub fn check(&self) -> Result<()> {
        for Entry { tag, kind, count, at } in self.entries().filter(|entry| is_read(entry.tag)) {
            let Some(size) = size_of_kind(kind).filter(|_| kind != 2) else {
                return Err(damaged(Tiff, format_args!("tag {tag} has values of type {kind}")));
            };
            let end = count.checked_mul(size).and_then(|bytes| at.checked_add(bytes));
            if end.is_none_or(|end| end > self.bytes.len()) {
                return Err(truncated(Tiff));
            }
        }
        Ok(())
    }

    /// Where the value of a tag lies.
    pub fn place(&self, tag: u16) -> Option<usize> {
        self.find(tag).map(|entry| entry.at)
    }

    /// Bytes that the decoder takes for the values.
    pub fn memory(&self) -> usize {
        self.entries().filter(|entry| is_read(entry.tag)).fold(0, |sum, entry| {
            let bytes = entry.count.min(self.bytes.len()).saturating_mul(VALUE);
            sum.max(bytes)
        })
    }
}

fn is_read(tag: u16) -> bool {
    READ.contains(&tag) || tag == SUBSAMPLING
}

/// Bytes of a value, by its type.
fn size_of_kind(kind: u16) -> Option<usize> {
    Some(match kind {
        1 | 2 | 6 | 7 => 1,
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 | 16..=18 => 8,
        _ => return None,
    })
}
