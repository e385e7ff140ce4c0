//! Which items belong to which: `iref`.

use crate::FourCc;
use crate::boxes::{Atom, Boxes};
use crate::cursor::Cursor;
use crate::error::{Error, Result};
use crate::lists::push;

/// A reference from one item to others, whose ids stay where they are.
#[derive(Clone, Copy, Debug)]
pub struct Reference<'a> {
    /// What the reference means.
    pub kind: FourCc,
    /// The item that refers.
    pub from: u32,
    /// The items that it refers to.
    pub to: Targets<'a>,
}

/// Items that another one refers to, in their order.
#[derive(Clone, Copy, Debug)]
pub struct Targets<'a> {
    ids: &'a [u8],
    wide: bool,
}

/// Sorted by the item that refers.
pub fn read<'a>(iref: &Atom<'a>) -> Result<Vec<Reference<'a>>> {
    let (version, _, cursor) = iref.full()?;
    if version > 1 {
        return Err(Error::Unsupported("version of the items' references"));
    }
    let wide = version == 1;
    let mut references = Vec::new();
    for atom in Boxes::inside(cursor.rest()) {
        let atom = atom?;
        let mut cursor = Cursor::new(atom.body);
        let from = cursor.wide(wide)?;
        let count = usize::from(cursor.u16()?);
        let ids = cursor.take(count.saturating_mul(if wide { 4 } else { 2 }))?;
        push(&mut references, Reference { kind: atom.kind, from, to: Targets { ids, wide } })?;
    }
    references.sort_by_key(|reference| reference.from);
    Ok(references)
}

impl<'a> Targets<'a> {
    /// Of an item that refers to no other.
    pub const NONE: Self = Self { ids: &[], wide: false };

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ids.len() / if self.wide { 4 } else { 2 }
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The id of target `i`.
    pub fn get(&self, i: usize) -> Option<u32> {
        if self.wide {
            self.ids.as_chunks().0.get(i).map(|&id| u32::from_be_bytes(id))
        } else {
            self.ids.as_chunks().0.get(i).map(|&id| u32::from(u16::from_be_bytes(id)))
        }
    }

    /// All ids, in their order.
    pub fn iter(self) -> impl Iterator<Item = u32> + 'a {
        (0..self.len()).filter_map(move |i| self.get(i))
    }
}
