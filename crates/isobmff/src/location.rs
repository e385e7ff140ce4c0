//! Where an item's data are: `iloc`.

use std::borrow::Cow;

use crate::boxes::Atom;
use crate::cursor::Cursor;
use crate::error::{Error, Result};
use crate::lists::push;

/// Pieces that an item's data may be in.
const MOST_EXTENTS: usize = 1 << 10;

/// An entry. Its extents stay where they are.
#[derive(Clone, Copy, Debug)]
pub struct Location<'a> {
    /// The item's.
    pub id: u32,
    /// 0 of the file, 1 of `idat`, 2 of another item.
    construction: u16,
    /// 0 of this file.
    data_reference: u16,
    base: u64,
    extents: &'a [u8],
    count: usize,
    widths: Widths,
}

/// Bytes of numbers.
#[derive(Clone, Copy, Debug)]
struct Widths {
    offset: usize,
    length: usize,
    index: usize,
}

impl Widths {
    fn extent(self) -> usize {
        // At most 15 each.
        self.offset + self.length + self.index
    }
}

/// Sorted by id, as items are.
pub fn read<'a>(iloc: &Atom<'a>) -> Result<Vec<Location<'a>>> {
    let (version, _, mut cursor) = iloc.full()?;
    if version > 2 {
        return Err(Error::Unsupported("version of the items' locations"));
    }
    let [sizes, more] = cursor.array::<2>()?.map(usize::from);
    let index = if version > 0 { more & 15 } else { 0 };
    let widths = Widths { offset: sizes >> 4, length: sizes & 15, index };
    let base = more >> 4;
    let count = cursor.wide(version == 2)?;
    let mut locations = Vec::new();
    for _ in 0..count {
        let id = cursor.wide(version == 2)?;
        let construction = if version > 0 { cursor.u16()? & 15 } else { 0 };
        let data_reference = cursor.u16()?;
        let base = cursor.sized(base)?;
        let count = usize::from(cursor.u16()?);
        let extents = cursor.take(widths.extent().saturating_mul(count))?;
        push(&mut locations, Location { id, construction, data_reference, base, extents, count, widths })?;
    }
    locations.sort_by_key(|location| location.id);
    Ok(locations)
}

impl<'a> Location<'a> {
    /// The pieces of its data.
    fn pieces(&self, file: &'a [u8], idat: Option<&'a [u8]>) -> Result<impl Iterator<Item = Result<&'a [u8]>>> {
        if self.data_reference != 0 {
            return Err(Error::Unsupported("data of an item in another file"));
        }
        let whole = match self.construction {
            0 => file,
            1 => idat.ok_or(Error::Damaged("no item data box"))?,
            2 => return Err(Error::Unsupported("data of an item that are those of another one")),
            _ => return Err(Error::Damaged("an item's data are constructed by no known method")),
        };
        if self.count > MOST_EXTENTS {
            return Err(Error::TooMuch("an item's data are in too many pieces"));
        }
        let Self { base, widths, .. } = *self;
        let mut cursor = Cursor::new(self.extents);
        Ok((0..self.count).map(move |_| {
            cursor.sized(widths.index)?;
            let (offset, len) = (cursor.sized(widths.offset)?, cursor.sized(widths.length)?);
            let start = base.checked_add(offset).and_then(|at| usize::try_from(at).ok()).ok_or(Error::Truncated)?;
            let rest = whole.get(start..).ok_or(Error::Truncated)?;
            // No length: to the end.
            let len =
                if widths.length == 0 { rest.len() } else { usize::try_from(len).map_err(|_| Error::Truncated)? };
            rest.get(..len).ok_or(Error::Truncated)
        }))
    }

    /// The length of its data in bytes. `TooMuch` where that is more than the file has: they lie over each other.
    pub fn len(&self, file: &'a [u8], idat: Option<&'a [u8]>) -> Result<usize> {
        let mut total = 0usize;
        for piece in self.pieces(file, idat)? {
            total = total.saturating_add(piece?.len());
        }
        if total > file.len() {
            return Err(Error::TooMuch("an item's data lie over each other"));
        }
        Ok(total)
    }

    /// Its data, copied where they are in several pieces. `Truncated` where one is not in the file.
    pub fn data(&self, file: &'a [u8], idat: Option<&'a [u8]>) -> Result<Cow<'a, [u8]>> {
        let total = self.len(file, idat)?;
        let mut pieces = self.pieces(file, idat)?;
        if self.count == 1 {
            return pieces.next().unwrap_or(Err(Error::Truncated)).map(Cow::Borrowed);
        }
        let mut data = Vec::new();
        data.try_reserve_exact(total).map_err(|_| Error::OutOfMemory(total))?;
        for piece in pieces {
            data.extend_from_slice(piece?);
        }
        Ok(Cow::Owned(data))
    }

    /// Whether [`data`](Self::data) copies.
    pub fn is_in_pieces(&self) -> bool {
        self.count > 1
    }
}
