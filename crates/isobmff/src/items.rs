//! What items there are: `iinf`.

use crate::FourCc;
use crate::boxes::{Atom, Boxes};
use crate::error::{Error, Result};
use crate::lists::push;

/// A picture, or something that belongs to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item<'a> {
    /// Its number, by which all other tables name it.
    pub id: u32,
    /// `hvc1`, `av01`, `grid`, `iovl`, `iden`, `Exif`, `mime`, …; zeros in files of before HEIF.
    pub kind: FourCc,
    /// The media type of a `mime` item, such as `application/rdf+xml` of XMP.
    pub content_type: &'a [u8],
    /// Not to be shown by itself.
    pub hidden: bool,
    /// Its data are encrypted.
    pub protected: bool,
}

/// Sorted by id; of several with the same one, the first comes first.
pub fn read<'a>(iinf: &Atom<'a>) -> Result<Vec<Item<'a>>> {
    let (version, _, mut cursor) = iinf.full()?;
    // Of the boxes there are as many as there are.
    cursor.wide(version > 0)?;
    let mut items = Vec::new();
    for atom in Boxes::inside(cursor.rest()) {
        let atom = atom?;
        if atom.kind == *b"infe" {
            push(&mut items, entry(&atom)?)?;
        }
    }
    items.sort_by_key(|item| item.id);
    Ok(items)
}

fn entry<'a>(infe: &Atom<'a>) -> Result<Item<'a>> {
    let (version, flags, mut cursor) = infe.full()?;
    if version > 3 {
        return Err(Error::Unsupported("version of an item's entry"));
    }
    let id = cursor.wide(version == 3)?;
    let protected = cursor.u16()? != 0;
    let kind = if version >= 2 { cursor.array()? } else { [0; 4] };
    cursor.text();
    let content_type = if version < 2 || kind == *b"mime" { cursor.text() } else { Default::default() };
    Ok(Item { id, kind, content_type, hidden: flags & 1 != 0, protected })
}
