//! Pictures that are made of others: `grid` and `iovl`. The items they are made of are their references of kind `dimg`.

use crate::cursor::Cursor;
use crate::error::{Error, Result};

/// The data of a `grid` item: tiles of one size, row by row (ISO/IEC 23008-12, 6.6.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// Rows of tiles, 1 to 256.
    pub rows: u32,
    /// Tiles of a row, 1 to 256.
    pub columns: u32,
    /// Pixels of the whole, across. What of the tiles is beyond is not seen.
    pub width: u32,
    /// Pixels of the whole, down.
    pub height: u32,
}

impl Grid {
    /// Reads the item's data. Another version than 0 is `Unsupported`.
    pub fn read(data: &[u8]) -> Result<Self> {
        let mut cursor = Cursor::new(data);
        let [version, flags, rows, columns] = cursor.array::<4>()?;
        if version != 0 {
            return Err(Error::Unsupported("version of a grid"));
        }
        let wide = flags & 1 != 0;
        let (width, height) = (cursor.wide(wide)?, cursor.wide(wide)?);
        Ok(Self { rows: u32::from(rows) + 1, columns: u32::from(columns) + 1, width, height })
    }

    /// Tiles of all rows, which the grid's references have to be.
    pub fn tiles(&self) -> usize {
        // At most 2^16.
        (self.rows * self.columns) as usize
    }
}

/// The data of an `iovl` item: pictures over each other (ISO/IEC 23008-12, 6.6.2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overlay<'a> {
    /// Red, green, blue and alpha of what is below them.
    pub background: [u16; 4],
    /// Pixels of the canvas, across.
    pub width: u32,
    /// Pixels of the canvas, down.
    pub height: u32,
    offsets: &'a [u8],
    wide: bool,
}

impl<'a> Overlay<'a> {
    /// Reads the item's data. Another version than 0 is `Unsupported`.
    pub fn read(data: &'a [u8]) -> Result<Self> {
        let mut cursor = Cursor::new(data);
        let [version, flags] = cursor.array::<2>()?;
        if version != 0 {
            return Err(Error::Unsupported("version of an overlay"));
        }
        let wide = flags & 1 != 0;
        let mut background = [0; 4];
        for level in &mut background {
            *level = cursor.u16()?;
        }
        let (width, height) = (cursor.wide(wide)?, cursor.wide(wide)?);
        Ok(Self { background, width, height, offsets: cursor.rest(), wide })
    }

    /// Where the left upper corner of picture `i` is, across and down, in pixels. It may be outside of the canvas.
    ///
    /// `None` where the data have no such offset.
    pub fn offset(&self, i: usize) -> Option<(i32, i32)> {
        let len = if self.wide { 8 } else { 4 };
        let mut cursor = Cursor::new(self.offsets.get(i.checked_mul(len)?..)?);
        let mut side = || {
            let number = cursor.wide(self.wide).ok()?;
            Some(if self.wide { number as i32 } else { i32::from(number as u16 as i16) })
        };
        Some((side()?, side()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grids_of_both_widths() {
        let grid = Grid::read(&[0, 0, 1, 2, 1, 0, 0, 200]).unwrap();
        assert_eq!(grid, Grid { rows: 2, columns: 3, width: 256, height: 200 });
        let grid = Grid::read(&[0, 1, 255, 255, 255, 255, 255, 255, 0, 0, 0, 1]).unwrap();
        assert_eq!((grid.tiles(), grid.width, grid.height), (65536, u32::MAX, 1));
        assert!(Grid::read(&[0, 1, 0, 0, 1, 0, 0, 200]).is_err());
        assert!(Grid::read(&[1, 0, 0, 0, 1, 0, 0, 200]).is_err());
    }

    #[test]
    fn overlays_left_of_their_canvas() {
        let data = [0, 0, 255, 255, 0, 0, 0, 0, 255, 255, 0, 9, 0, 8, 255, 254, 0, 3];
        let overlay = Overlay::read(&data).unwrap();
        assert_eq!((overlay.background, overlay.width, overlay.height), ([0xffff, 0, 0, 0xffff], 9, 8));
        assert_eq!(overlay.offset(0), Some((-2, 3)));
        assert_eq!((overlay.offset(1), overlay.offset(usize::MAX)), (None, None));
    }
}
