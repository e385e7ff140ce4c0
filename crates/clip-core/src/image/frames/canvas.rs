//! What is shown, and rectangles of it.

use super::encode;
use crate::Result;
use crate::guarded::look;
use crate::memory::zeroed;

/// Four bytes a pixel: red, green, blue, opacity.
///
/// It begins transparent, and each frame is drawn over what the one before it has left.
pub struct Canvas {
    /// Pixels of a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `[height, width, 4]`, the top row first.
    pub pixels: Vec<u8>,
}

/// A part of a canvas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Area {
    /// Pixels between the canvas's left edge and its own.
    pub left: usize,
    /// Rows above it.
    pub top: usize,
    /// Pixels of a row of it.
    pub width: usize,
    /// Its rows.
    pub height: usize,
}

impl Area {
    /// Is the pixel in column `x` of row `y` within it?
    pub fn contains(&self, x: usize, y: usize) -> bool {
        let inside = |at: usize, from: usize, len: usize| at >= from && at - from < len;
        inside(x, self.left, self.width) && inside(y, self.top, self.height)
    }

    /// Does all of it lie on a canvas of that size?
    pub fn fits(&self, width: usize, height: usize) -> bool {
        let fits = |from: usize, len: usize, end: usize| from.checked_add(len).is_some_and(|to| to <= end);
        fits(self.left, self.width, width) && fits(self.top, self.height, height)
    }
}

impl Canvas {
    /// Nothing but zeros.
    pub fn new(width: usize, height: usize) -> Result<Self> {
        Ok(Self { width, height, pixels: zeroed(width.saturating_mul(height).saturating_mul(4))? })
    }

    /// Rows of a part of it; of one that sticks out none.
    pub fn rows(&mut self, area: Area) -> impl Iterator<Item = &mut [[u8; 4]]> {
        let rows = if area.fits(self.width, self.height) { area.height } else { 0 };
        let width = self.width.max(1);
        let all = self.pixels.as_chunks_mut::<4>().0.chunks_exact_mut(width);
        all.skip(area.top).take(rows).filter_map(move |row| row.get_mut(area.left..area.left + area.width))
    }

    /// Makes a part one colour. One that sticks out stays as it is.
    pub fn fill(&mut self, area: Area, pixel: [u8; 4]) {
        self.rows(area).for_each(|row| row.fill(pixel));
    }

    /// The bytes of a part, `[height, width, 4]`, to be put back.
    pub fn copy(&mut self, area: Area) -> Result<Vec<u8>> {
        let mut copy = zeroed(area.width.saturating_mul(area.height).saturating_mul(4))?;
        for (to, from) in copy.chunks_exact_mut((4 * area.width).max(1)).zip(self.rows(area)) {
            look();
            to.copy_from_slice(from.as_flattened());
        }
        Ok(copy)
    }

    /// Puts back what [`Canvas::copy`] has given.
    pub fn put(&mut self, area: Area, copy: &[u8]) {
        for (to, from) in self.rows(area).zip(copy.chunks_exact((4 * area.width).max(1))) {
            look();
            to.as_flattened_mut().copy_from_slice(from);
        }
    }

    /// Without the opacity, as Pillow's `convert("RGB")` leaves it out.
    pub fn to_png(&self) -> Result<Vec<u8>> {
        let mut line = zeroed(3 * self.width)?;
        encode::png_rows(self.width as u32, self.height as u32, |write| {
            for row in self.pixels.chunks_exact((4 * self.width).max(1)) {
                for (to, from) in line.as_chunks_mut::<3>().0.iter_mut().zip(row.as_chunks::<4>().0) {
                    *to = [from[0], from[1], from[2]];
                }
                write(&line)?;
            }
            Ok(())
        })
    }
}
