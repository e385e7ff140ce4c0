//! The items of a file: `meta`.

use std::borrow::Cow;

use crate::boxes::{Atom, Boxes};
use crate::error::{Error, Result};
use crate::items::Item;
use crate::lists::first;
use crate::location::Location;
use crate::properties::{Associated, Properties};
use crate::references::{Reference, Targets};
use crate::{FourCc, items, location, references};

/// Still pictures as items, with all that is said of them.
#[derive(Clone, Debug)]
pub struct Meta<'a> {
    file: &'a [u8],
    /// `pict` for pictures.
    pub handler: FourCc,
    /// The item to be shown.
    pub primary: Option<u32>,
    idat: Option<&'a [u8]>,
    items: Vec<Item<'a>>,
    locations: Vec<Location<'a>>,
    references: Vec<Reference<'a>>,
    properties: Properties<'a>,
}

impl<'a> Meta<'a> {
    /// The tables in a `meta` box. Of boxes that come twice the first one counts.
    pub(crate) fn read(file: &'a [u8], meta: &Atom<'a>) -> Result<Self> {
        let (_, _, cursor) = meta.full()?;
        let mut read = Self {
            file,
            handler: [0; 4],
            primary: None,
            idat: None,
            items: Vec::new(),
            locations: Vec::new(),
            references: Vec::new(),
            properties: Properties::default(),
        };
        // Of boxes that come twice the first counts.
        let mut seen = [false; 7];
        for atom in Boxes::inside(cursor.rest()) {
            let atom = atom?;
            const KINDS: [&FourCc; 7] = [b"hdlr", b"pitm", b"iinf", b"iloc", b"iref", b"iprp", b"idat"];
            let Some(i) = KINDS.iter().position(|&&kind| kind == atom.kind) else { continue };
            if std::mem::replace(&mut seen[i], true) {
                continue;
            }
            match &atom.kind {
                b"hdlr" => read.handler = atom.handler()?,
                b"pitm" => {
                    let (version, _, mut cursor) = atom.full()?;
                    read.primary = Some(cursor.wide(version > 0)?);
                }
                b"iinf" => read.items = items::read(&atom)?,
                b"iloc" => read.locations = location::read(&atom)?,
                b"iref" => read.references = references::read(&atom)?,
                b"iprp" => read.properties = Properties::read(&atom)?,
                _ => read.idat = Some(atom.body),
            }
        }
        Ok(read)
    }

    /// All items, sorted by their ids.
    pub fn items(&self) -> &[Item<'a>] {
        &self.items
    }

    /// The item of that id.
    pub fn item(&self, id: u32) -> Option<&Item<'a>> {
        first(&self.items, id, |item| item.id)
    }

    /// What is said of an item, in the file's order, which is the one in which turns and crops are made.
    pub fn properties(&self, id: u32) -> impl Iterator<Item = Result<Associated<'a>>> + '_ {
        self.properties.of(id)
    }

    /// The items that one refers to, by the kind of reference: `dimg` to what it is made of, `auxl` from alpha to what has it,
    /// `thmb` from a thumbnail, `cdsc` from metadata.
    pub fn references(&self, from: u32, kind: &FourCc) -> Targets<'a> {
        let start = self.references.partition_point(|reference| reference.from < from);
        let mut these = self.references.iter().skip(start).take_while(|reference| reference.from == from);
        these.find(|reference| reference.kind == *kind).map_or(Targets::NONE, |reference| reference.to)
    }

    /// The items that refer to one, in the order of their ids.
    pub fn referring(&self, to: u32, kind: FourCc) -> impl Iterator<Item = u32> + '_ {
        let these = self.references.iter().filter(move |reference| reference.kind == kind);
        these.filter(move |reference| reference.to.iter().any(|id| id == to)).map(|reference| reference.from)
    }

    fn location(&self, id: u32) -> Result<&Location<'a>> {
        first(&self.locations, id, |location| location.id).ok_or(Error::Damaged("an item has no data"))
    }

    /// The length of an item's data in bytes. It fails as [`data`](Self::data) does.
    pub fn data_len(&self, id: u32) -> Result<usize> {
        self.location(id)?.len(self.file, self.idat)
    }

    /// Bytes that [`data`](Self::data) takes: data in several pieces are put together.
    pub fn copied(&self, id: u32) -> Result<usize> {
        if self.location(id)?.is_in_pieces() { self.data_len(id) } else { Ok(0) }
    }

    /// An item's data.
    ///
    /// # Errors
    ///
    /// `Damaged` where it has none, `Truncated` where they are not in the file. `Unsupported` where they are in
    /// another file or item.
    pub fn data(&self, id: u32) -> Result<Cow<'a, [u8]>> {
        self.location(id)?.data(self.file, self.idat)
    }
}
