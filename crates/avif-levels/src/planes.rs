//! Levels as they are coded: a plane of luma, and two of chroma or none.

use crate::Env;
use crate::error::{Error, Result, row, zeroed};

/// Which columns and rows have chroma.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subsampling {
    pub across: bool,
    pub down: bool,
}

/// What is the same for all tiles of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// 8, 10 or 12.
    pub depth: u8,
    /// `None` where there is no chroma.
    pub chroma: Option<Subsampling>,
}

impl Kind {
    pub fn planes(self) -> usize {
        if self.chroma.is_some() { 3 } else { 1 }
    }

    /// Bytes of a level.
    pub fn bytes(self) -> usize {
        if self.depth > 8 { 2 } else { 1 }
    }

    /// Two planes have room for the pixels of all three.
    pub fn has_room(self) -> bool {
        self.bytes() == 2 && self.chroma == Some(Subsampling { across: false, down: false })
    }

    /// Columns and rows of a plane.
    pub fn size(self, plane: usize, width: usize, height: usize) -> (usize, usize) {
        match self.chroma {
            Some(Subsampling { across, down }) if plane > 0 => {
                let half = |side: usize, halved| if halved { side.div_ceil(2) } else { side };
                (half(width, across), half(height, down))
            }
            _ => (width, height),
        }
    }

    /// Levels of a plane.
    pub fn len(self, plane: usize, width: usize, height: usize) -> Option<usize> {
        let (width, height) = self.size(plane, width, height);
        width.checked_mul(height)
    }
}

/// Rows without gaps, in as many bytes a level as [`Kind::bytes`] says.
#[derive(Clone, Debug)]
pub enum Plane {
    Bytes(Vec<u8>),
    Words(Vec<u16>),
}

impl Plane {
    pub const NONE: Self = Self::Bytes(Vec::new());

    /// `len`: levels that there will be. Those of one byte are cut to it.
    pub fn new(kind: Kind, len: usize, rows: impl Iterator<Item = impl Iterator<Item = u16>>) -> Result<Self> {
        let refused = |_| Error::OutOfMemory(len.saturating_mul(kind.bytes()));
        if kind.bytes() == 1 {
            let mut bytes = Vec::new();
            bytes.try_reserve_exact(len).map_err(refused)?;
            rows.for_each(|row| bytes.extend(row.map(|level| level as u8)));
            Ok(Self::Bytes(bytes))
        } else {
            let mut words = Vec::new();
            words.try_reserve_exact(len).map_err(refused)?;
            rows.for_each(|row| words.extend(row));
            Ok(Self::Words(words))
        }
    }

    fn zeroed(kind: Kind, len: usize, env: &Env<'_>) -> Result<Self> {
        if kind.bytes() == 1 { zeroed(len, env).map(Self::Bytes) } else { row(len).map(Self::Words) }
    }

    fn is(&self, kind: Kind, len: usize) -> bool {
        match self {
            Self::Bytes(bytes) => kind.bytes() == 1 && bytes.len() == len,
            Self::Words(words) => kind.bytes() == 2 && words.len() == len,
        }
    }
}

/// A row of a plane.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Row<'p> {
    Bytes(&'p [u8]),
    Words(&'p [u16]),
}

impl Row<'_> {
    /// 0 beyond the end.
    #[inline(always)]
    pub fn level(self, x: usize) -> u16 {
        match self {
            Self::Bytes(levels) => levels.get(x).copied().unwrap_or_default().into(),
            Self::Words(levels) => levels.get(x).copied().unwrap_or_default(),
        }
    }

    /// Hands each level to the item at its place.
    #[inline(always)]
    pub fn with<T>(self, to: &mut [T], mut put: impl FnMut(&mut T, u16)) {
        match self {
            Self::Bytes(levels) => {
                for (to, &level) in to.iter_mut().zip(levels) {
                    put(to, level.into());
                }
            }
            Self::Words(levels) => {
                for (to, &level) in to.iter_mut().zip(levels) {
                    put(to, level);
                }
            }
        }
    }
}

#[derive(Clone, Debug)]
pub struct Planes {
    pub width: usize,
    pub height: usize,
    pub kind: Kind,
    pub planes: [Plane; 3],
}

impl Planes {
    /// `None` where a plane is not as long as its size says.
    pub fn new(width: usize, height: usize, kind: Kind, planes: [Plane; 3]) -> Option<Self> {
        let fits = |(i, plane): (usize, &Plane)| kind.len(i, width, height).is_some_and(|len| plane.is(kind, len));
        let whole = width > 0 && height > 0 && planes.iter().enumerate().take(kind.planes()).all(fits);
        whole.then_some(Self { width, height, kind, planes })
    }

    pub fn zeroed(width: usize, height: usize, kind: Kind, env: &Env<'_>) -> Result<Self> {
        let mut planes = [Plane::NONE; 3];
        for (i, plane) in planes.iter_mut().enumerate().take(kind.planes()) {
            let len = kind.len(i, width, height).ok_or(Error::OutOfMemory(usize::MAX))?;
            *plane = Plane::zeroed(kind, len, env)?;
        }
        Ok(Self { width, height, kind, planes })
    }

    /// Empty where there is none.
    #[inline(always)]
    pub fn row(&self, plane: usize, y: usize) -> Row<'_> {
        let (width, _) = self.kind.size(plane, self.width, self.height);
        match self.planes.get(plane) {
            Some(Plane::Bytes(levels)) => Row::Bytes(line(levels, width, y)),
            Some(Plane::Words(levels)) => Row::Words(line(levels, width, y)),
            None => Row::Bytes(&[]),
        }
    }

    /// Puts another picture's levels into this one, from a column and a row on. What is beyond is left out.
    pub fn paste(&mut self, tile: &Planes, x: usize, y: usize) {
        let (width, height, kind) = (self.width, self.height, self.kind);
        for (i, pair) in self.planes.iter_mut().zip(&tile.planes).enumerate().take(kind.planes()) {
            let sides = (kind.size(i, width, height), kind.size(i, tile.width, tile.height));
            // At even places, which the caller sees to.
            let at = match kind.chroma {
                Some(Subsampling { across, down }) if i > 0 => (x >> u8::from(across), y >> u8::from(down)),
                _ => (x, y),
            };
            match pair {
                (Plane::Bytes(to), Plane::Bytes(from)) => paste(to, from, sides, at),
                (Plane::Words(to), Plane::Words(from)) => paste(to, from, sides, at),
                // Of different kinds, which the caller sees to.
                _ => {}
            }
        }
    }
}

#[inline(always)]
fn line<T>(levels: &[T], width: usize, y: usize) -> &[T] {
    y.checked_mul(width).and_then(|start| levels.get(start..)?.get(..width)).unwrap_or_default()
}

fn paste<T: Copy>(
    to: &mut [T],
    from: &[T],
    ((width, height), (tile_width, tile_height)): ((usize, usize), (usize, usize)),
    (left, top): (usize, usize),
) {
    let lines = to.chunks_exact_mut(width.max(1)).take(height).skip(top).take(tile_height);
    for (to, below) in lines.zip(0..) {
        let (to, from) = (to.get_mut(left..).unwrap_or_default(), line(from, tile_width, below));
        to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(depth: u8, across: bool, down: bool) -> Kind {
        Kind { depth, chroma: Some(Subsampling { across, down }) }
    }

    #[test]
    fn odd_sizes() {
        let kind = kind(10, true, true);
        assert_eq!((kind.size(0, 5, 3), kind.size(1, 5, 3), kind.len(2, 5, 3)), ((5, 3), (3, 2), Some(6)));
        let words = |lens: [usize; 3]| lens.map(|len| Plane::Words(vec![0; len]));
        assert!(Planes::new(5, 3, kind, words([15, 6, 6])).is_some());
        assert!(Planes::new(5, 3, kind, words([15, 6, 5])).is_none());
        assert!(Planes::new(5, 3, kind, [15, 6, 6].map(|len| Plane::Bytes(vec![0; len]))).is_none());
        assert!(Planes::new(0, 3, kind, words([0; 3])).is_none());
    }

    #[test]
    fn a_tile_beyond_the_picture() {
        let grey = Kind { depth: 8, chroma: None };
        let mut canvas = Planes::zeroed(5, 3, grey, &Env::default()).unwrap();
        let tile = Planes::new(4, 2, grey, [Plane::Bytes((1..=8).collect()), Plane::NONE, Plane::NONE]).unwrap();
        canvas.paste(&tile, 4, 2);
        canvas.paste(&tile, 0, 0);
        assert_eq!(canvas.row(0, 0), Row::Bytes(&[1, 2, 3, 4, 0]));
        assert_eq!(canvas.row(0, 1), Row::Bytes(&[5, 6, 7, 8, 0]));
        assert_eq!(canvas.row(0, 2), Row::Bytes(&[0, 0, 0, 0, 1]));
        assert_eq!(canvas.row(0, 3), Row::Bytes(&[]));
    }

    #[test]
    fn chroma_at_half_the_place() {
        let kind = kind(10, true, true);
        let mut canvas = Planes::zeroed(4, 4, kind, &Env::default()).unwrap();
        let tile = Planes::new(2, 2, kind, [vec![1; 4], vec![700], vec![900]].map(Plane::Words)).unwrap();
        canvas.paste(&tile, 2, 2);
        let rows = [canvas.row(1, 0), canvas.row(1, 1), canvas.row(2, 1), canvas.row(0, 2)];
        assert_eq!(rows, [&[0, 0][..], &[0, 700], &[0, 900], &[0, 0, 1, 1]].map(Row::Words));
    }
}
