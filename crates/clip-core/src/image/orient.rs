//! Turns a picture upright: the eight EXIF orientations, as Pillow's `ImageOps.exif_transpose` maps them.

use std::ops::Range;

use super::Rgb8;
use crate::Result;
use crate::guarded::look;
use crate::memory::{reserve, zeroed};

/// A picture as it is stored, read as if it were upright.
#[derive(Clone, Copy)]
pub(super) struct Upright<'a> {
    image: &'a Rgb8,
    /// An EXIF orientation; values outside 1 to 8 are 1.
    orientation: u8,
}

impl<'a> Upright<'a> {
    /// A picture to be read as `orientation` turns it.
    pub fn new(image: &'a Rgb8, orientation: u8) -> Self {
        Self { image, orientation: if (1..=8).contains(&orientation) { orientation } else { 1 } }
    }

    /// Pixels of a row once it is upright.
    pub fn width(&self) -> usize {
        if self.is_turned() { self.image.height as usize } else { self.image.width as usize }
    }

    /// Rows once it is upright.
    pub fn height(&self) -> usize {
        if self.is_turned() { self.image.width as usize } else { self.image.height as usize }
    }

    /// Rows are stored as columns.
    pub fn is_turned(&self) -> bool {
        self.orientation >= 5
    }

    /// Whether columns are stored from the last one on, and whether rows are, once they are upright.
    pub fn are_reversed(&self) -> (bool, bool) {
        (matches!(self.orientation, 2 | 3 | 6 | 7), matches!(self.orientation, 3 | 4 | 7 | 8))
    }

    /// The bytes of some rows, where those are stored as they are. `None` for a picture that is to be turned.
    pub fn stored_rows(&self, rows: Range<usize>) -> Option<&'a [u8]> {
        let stride = 3 * self.image.width as usize;
        (self.orientation == 1).then(|| &self.image.pixels[rows.start * stride..rows.end * stride])
    }

    /// Puts the pixels of some columns of some rows into `buffer`, row after row, in place of what it holds.
    pub fn read(&self, columns: Range<usize>, rows: Range<usize>, buffer: &mut Vec<u8>) -> Result<()> {
        let bytes = 3 * columns.len() * rows.len();
        buffer.clear();
        reserve(buffer, bytes)?;
        buffer.resize(bytes, 0);
        self.copy(columns, rows, buffer.as_chunks_mut::<3>().0);
        Ok(())
    }

    /// Writes the pixels of some columns of some rows to `out`, row after row.
    fn copy(&self, columns: Range<usize>, rows: Range<usize>, out: &mut [[u8; 3]]) {
        let (pixels, stride) = (self.image.pixels.as_chunks::<3>().0, self.image.width as usize);
        let (last_row, last_column) = (self.height() - 1, self.width() - 1);
        let width = columns.len();
        let (left, up) = self.are_reversed();
        let row = |y| if up { last_row - y } else { y };
        if !self.is_turned() {
            for (y, out) in rows.zip(out.chunks_exact_mut(width.max(1))) {
                let pixels = &pixels[row(y) * stride..][..stride];
                if left {
                    let from = &pixels[last_column + 1 - columns.end..last_column + 1 - columns.start];
                    out.iter_mut().zip(from.iter().rev()).for_each(|(to, from)| *to = *from);
                } else {
                    out.copy_from_slice(&pixels[columns.clone()]);
                }
            }
            return;
        }
        // Upright rows are stored columns. In square tiles, because a whole column of a large picture misses the cache at each
        // pixel.
        const TILE: usize = 32;
        let stored = |x| if left { last_column - x } else { x };
        for x0 in columns.clone().step_by(TILE) {
            for y0 in rows.clone().step_by(TILE) {
                for y in y0..(y0 + TILE).min(rows.end) {
                    let out = &mut out[(y - rows.start) * width..][..width];
                    for x in x0..(x0 + TILE).min(columns.end) {
                        out[x - columns.start] = pixels[stored(x) * stride + row(y)];
                    }
                }
            }
        }
    }
}

/// Applies an EXIF orientation; 1 and values outside 1 to 8 leave the picture alone.
pub(super) fn apply(image: Rgb8, orientation: u8) -> Result<Rgb8> {
    let upright = Upright::new(&image, orientation);
    if upright.orientation == 1 {
        return Ok(image);
    }
    /// Rows between two looks.
    const ROWS: usize = 32;
    let (width, height) = (upright.width(), upright.height());
    let mut pixels = zeroed(image.pixels.len())?;
    for (i, out) in pixels.chunks_mut((3 * width * ROWS).max(1)).enumerate() {
        look();
        upright.copy(0..width, i * ROWS..((i + 1) * ROWS).min(height), out.as_chunks_mut::<3>().0);
    }
    Ok(Rgb8 { width: width as u32, height: height as u32, pixels })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each EXIF orientation says where row 0 and column 0 of the stored picture are in the upright one.
    #[test]
    fn the_eight_orientations() {
        let px = |s: &str| s.bytes().flat_map(|b| [b, b, b]).collect::<Vec<_>>();
        let stored = Rgb8 { width: 3, height: 2, pixels: px("abcdef") };
        let want = [
            (1, 3, 2, "abcdef"),
            (2, 3, 2, "cbafed"),
            (3, 3, 2, "fedcba"),
            (4, 3, 2, "defabc"),
            (5, 2, 3, "adbecf"),
            (6, 2, 3, "daebfc"),
            (7, 2, 3, "fcebda"),
            (8, 2, 3, "cfbead"),
        ];
        for (o, width, height, pixels) in want {
            let expected = Rgb8 { width, height, pixels: px(pixels) };
            let upright = Upright::new(&stored, o);
            for (x, y) in [(0..width, 0..height), (1..2, 0..1), (0..1, 1..height), (1..width, 1..2)] {
                let (x, y) = (x.start as usize..x.end as usize, y.start as usize..y.end as usize);
                let rows = expected.pixels.chunks(3 * width as usize).skip(y.start).take(y.len());
                let part: Vec<u8> = rows.flat_map(|row| &row[3 * x.start..3 * x.end]).copied().collect();
                let mut given = Vec::new();
                upright.read(x, y, &mut given).unwrap();
                assert_eq!(given, part, "orientation {o}");
            }
            assert_eq!(apply(stored.clone(), o).unwrap(), expected, "orientation {o}");
        }
    }
}
