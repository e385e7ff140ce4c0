//! Boxes one after the other.

use crate::FourCc;
use crate::cursor::Cursor;
use crate::error::{Error, Result};

/// A box; the word is QuickTime's, as Rust has a `Box` of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Atom<'a> {
    /// Its type.
    pub kind: FourCc,
    /// What follows its header: all of it, or what the file still has.
    pub body: &'a [u8],
    /// The bytes end before the box does.
    pub cut: bool,
}

impl<'a> Atom<'a> {
    /// Of a full box the version, the flags, and what follows. `Truncated` where the box is cut.
    pub fn full(&self) -> Result<(u8, u32, Cursor<'a>)> {
        if self.cut {
            return Err(Error::Truncated);
        }
        let mut cursor = Cursor::new(self.body);
        let [version, flags @ ..] = cursor.array::<4>()?;
        let [a, b, c] = flags;
        Ok((version, u32::from_be_bytes([0, a, b, c]), cursor))
    }

    /// Of `hdlr`: what a track or the items are.
    pub(crate) fn handler(&self) -> Result<FourCc> {
        let (_, _, mut cursor) = self.full()?;
        cursor.skip(4)?;
        cursor.array()
    }

    /// The boxes in it. `Truncated` where it is cut.
    pub fn children(&self) -> Result<Boxes<'a>> {
        if self.cut { Err(Error::Truncated) } else { Ok(Boxes::inside(self.body)) }
    }
}

/// Boxes next to each other: a film has some for each of its parts. Empty ones would be gone through for long.
const MOST_BOXES: u32 = 1 << 20;

/// The boxes that follow each other in some bytes. After an error there are no more.
#[derive(Clone, Copy, Debug)]
pub struct Boxes<'a> {
    rest: &'a [u8],
    /// How many there may still be.
    left: u32,
    /// The bytes are the file's: the last box may be cut.
    file: bool,
}

impl<'a> Boxes<'a> {
    /// Those of a whole file, the last of which may be cut.
    pub fn of_file(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, left: MOST_BOXES, file: true }
    }

    /// Those in a box, none of which may end after it.
    pub fn inside(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, left: MOST_BOXES, file: false }
    }

    fn read(&mut self) -> Result<Atom<'a>> {
        self.left = self.left.checked_sub(1).ok_or(Error::TooMuch("boxes next to each other"))?;
        let mut cursor = Cursor::new(self.rest);
        let size = cursor.u32()?;
        let kind = cursor.array()?;
        let header = |len: u64, of: u64| len.checked_sub(of).ok_or(Error::Damaged("a box is smaller than its header"));
        let len = match size {
            // To the end.
            0 => cursor.rest().len() as u64,
            1 => header(cursor.u64()?, 16)?,
            _ => header(u64::from(size), 8)?,
        };
        let here = usize::try_from(len).ok().filter(|&len| len <= cursor.rest().len());
        let (body, cut) = match here {
            Some(len) => (cursor.take(len)?, false),
            None if self.file => (cursor.rest(), true),
            None => return Err(Error::Damaged("a box ends after the one around it")),
        };
        self.rest = if cut { Default::default() } else { cursor.rest() };
        Ok(Atom { kind, body, cut })
    }
}

impl<'a> Iterator for Boxes<'a> {
    type Item = Result<Atom<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        // Some writers pad boxes, and files end with what is no box.
        if self.rest.len() < 8 {
            self.rest = Default::default();
            return None;
        }
        let atom = self.read();
        if atom.is_err() {
            self.rest = Default::default();
        }
        Some(atom)
    }
}

/// The first box of a kind.
pub fn find<'a>(boxes: Boxes<'a>, kind: &FourCc) -> Result<Option<Atom<'a>>> {
    for atom in boxes {
        let atom = atom?;
        if atom.kind == *kind {
            return Ok(Some(atom));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::written::atom;

    #[test]
    fn sizes_of_all_kinds() {
        let mut bytes = atom(b"free", b"abc");
        bytes.extend([0, 0, 0, 1]);
        bytes.extend(b"wide");
        bytes.extend(18u64.to_be_bytes());
        bytes.extend(b"de");
        bytes.extend([0, 0, 0, 0]);
        bytes.extend(b"restfgh");
        let found: Vec<_> =
            Boxes::inside(&bytes).map(|atom| atom.map(|atom| (atom.kind, atom.body)).unwrap()).collect();
        assert_eq!(found, [(*b"free", &b"abc"[..]), (*b"wide", b"de"), (*b"rest", b"fgh")]);
    }

    #[test]
    fn sizes_beyond_the_bytes() {
        let whole = atom(b"mdat", b"abc");
        for len in 8..whole.len() {
            let cut = &whole[..len];
            let top: Vec<_> = Boxes::of_file(cut).collect();
            assert_eq!(top, [Ok(Atom { kind: *b"mdat", body: &cut[8..], cut: true })]);
            assert_eq!(top[0].unwrap().full().unwrap_err(), Error::Truncated);
            assert_eq!(
                Boxes::inside(cut).collect::<Vec<_>>(),
                [Err(Error::Damaged("a box ends after the one around it"))]
            );
        }
    }

    #[test]
    fn more_boxes_than_a_film_has() {
        let many = atom(b"free", b"").repeat((1 << 20) + 1);
        assert!(Boxes::of_file(&many[8..]).last().unwrap().is_ok());
        assert_eq!(Boxes::of_file(&many).last(), Some(Err(Error::TooMuch("boxes next to each other"))));
    }

    #[test]
    fn sizes_that_lie() {
        for (size, large) in [(1u32, 15u64), (1, 0), (1, u64::MAX), (7, 0), (2, 0), (u32::MAX, 0)] {
            let bytes = [&size.to_be_bytes()[..], b"mdat", &large.to_be_bytes()].concat();
            let found: Vec<_> = Boxes::inside(&bytes).collect();
            assert!(found.len() == 1 && found[0].is_err(), "{size} {large}: {found:?}");
        }
    }
}
