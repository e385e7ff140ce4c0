//! Levels as they are coded: a plane of luma, and two of chroma or none.

use crate::Env;
use crate::error::{Error, Result, zeroed};

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

    /// Bytes of a plane.
    pub fn len(self, plane: usize, width: usize, height: usize) -> Option<usize> {
        let (width, height) = self.size(plane, width, height);
        width.checked_mul(height)?.checked_mul(self.bytes())
    }
}

#[derive(Clone, Debug)]
pub struct Planes {
    pub width: usize,
    pub height: usize,
    pub kind: Kind,
    /// Rows without gaps; levels of two bytes are little-endian.
    planes: [Vec<u8>; 3],
}

impl Planes {
    /// `None` where a plane is not as long as its size says.
    pub fn new(width: usize, height: usize, kind: Kind, planes: [Vec<u8>; 3]) -> Option<Self> {
        let fits = |i: usize| kind.len(i, width, height) == planes.get(i).map(Vec::len);
        let whole = width > 0 && height > 0 && (0..kind.planes()).all(fits);
        whole.then_some(Self { width, height, kind, planes })
    }

    pub fn zeroed(width: usize, height: usize, kind: Kind, env: &Env<'_>) -> Result<Self> {
        let mut planes = [Vec::new(), Vec::new(), Vec::new()];
        for (i, plane) in planes.iter_mut().enumerate().take(kind.planes()) {
            *plane = zeroed(kind.len(i, width, height).ok_or(Error::OutOfMemory(usize::MAX))?, env)?;
        }
        Ok(Self { width, height, kind, planes })
    }

    /// A row's bytes.
    pub fn row(&self, plane: usize, y: usize) -> &[u8] {
        let (width, _) = self.kind.size(plane, self.width, self.height);
        let len = width * self.kind.bytes();
        self.planes.get(plane).and_then(|plane| plane.get(y.checked_mul(len)?..)?.get(..len)).unwrap_or_default()
    }

    /// Puts another picture's levels into this one, from a column and a row on. What is beyond is left out.
    pub fn paste(&mut self, tile: &Planes, x: usize, y: usize) {
        let (width, height, kind) = (self.width, self.height, self.kind);
        for (i, plane) in self.planes.iter_mut().enumerate().take(kind.planes()) {
            let (columns, rows) = kind.size(i, width, height);
            // At even places, which the caller sees to.
            let (left, top) = match kind.chroma {
                Some(Subsampling { across, down }) if i > 0 => (x >> u8::from(across), y >> u8::from(down)),
                _ => (x, y),
            };
            let (_, tile_rows) = kind.size(i, tile.width, tile.height);
            let (bytes, len) = (kind.bytes(), columns * kind.bytes());
            let start = left.saturating_mul(bytes).min(len);
            let lines = plane.chunks_exact_mut(len.max(1)).take(rows).skip(top).take(tile_rows);
            for (line, below) in lines.zip(0..) {
                let (to, from) = (line.get_mut(start..).unwrap_or_default(), tile.row(i, below));
                let shared = to.len().min(from.len());
                if let (Some(to), Some(from)) = (to.get_mut(..shared), from.get(..shared)) {
                    to.copy_from_slice(from);
                }
            }
        }
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
        assert_eq!((kind.size(0, 5, 3), kind.size(1, 5, 3), kind.len(2, 5, 3)), ((5, 3), (3, 2), Some(12)));
        assert!(Planes::new(5, 3, kind, [vec![0; 30], vec![0; 12], vec![0; 12]]).is_some());
        assert!(Planes::new(5, 3, kind, [vec![0; 30], vec![0; 12], vec![0; 11]]).is_none());
        assert!(Planes::new(0, 3, kind, [vec![], vec![], vec![]]).is_none());
    }

    #[test]
    fn a_tile_beyond_the_picture() {
        let grey = Kind { depth: 8, chroma: None };
        let mut canvas = Planes::zeroed(5, 3, grey, &Env::default()).unwrap();
        let tile = Planes::new(4, 2, grey, [(1..=8).collect(), vec![], vec![]]).unwrap();
        canvas.paste(&tile, 4, 2);
        canvas.paste(&tile, 0, 0);
        assert_eq!(canvas.row(0, 0), [1, 2, 3, 4, 0]);
        assert_eq!(canvas.row(0, 1), [5, 6, 7, 8, 0]);
        assert_eq!(canvas.row(0, 2), [0, 0, 0, 0, 1]);
        assert_eq!(canvas.row(0, 3), [0; 0]);
    }

    #[test]
    fn chroma_at_half_the_place() {
        let kind = kind(8, true, true);
        let mut canvas = Planes::zeroed(4, 4, kind, &Env::default()).unwrap();
        let tile = Planes::new(2, 2, kind, [vec![1; 4], vec![7], vec![9]]).unwrap();
        canvas.paste(&tile, 2, 2);
        assert_eq!((canvas.row(1, 0), canvas.row(1, 1), canvas.row(2, 1)), (&[0, 0][..], &[0, 7][..], &[0, 9][..]));
        assert_eq!(canvas.row(0, 2), [0, 0, 1, 1]);
    }
}
