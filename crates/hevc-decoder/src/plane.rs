//! Samples of one component: some rows of them.

use crate::error::{Error, Result, zeroed};

/// Samples of one component: rows of them from one on, as many as filters and prediction look back at.
#[derive(Clone, Debug)]
pub struct Plane {
    samples: Vec<u16>,
    /// Samples of a row.
    pub width: usize,
    /// Rows of the picture.
    pub height: usize,
    /// The first row that is held.
    top: usize,
}

const OUTSIDE: Error = Error::Damaged("a block is outside of the picture");

impl Plane {
    /// `held`: rows that are held at a time.
    pub fn new(width: usize, height: usize, held: usize) -> Result<Self> {
        let samples = zeroed(width.checked_mul(held.min(height)).ok_or(OUTSIDE)?)?;
        Ok(Self { samples, width, height, top: 0 })
    }

    /// Row `y` of the picture, which has to be held.
    pub fn row(&self, y: usize) -> Result<&[u16]> {
        let start = y.checked_sub(self.top).ok_or(OUTSIDE)? * self.width;
        self.samples.get(start..start + self.width).ok_or(OUTSIDE)
    }

    /// So many rows from one on.
    pub fn rows_mut(&mut self, y: usize, count: usize) -> Result<impl Iterator<Item = &mut [u16]>> {
        let start = y.checked_sub(self.top).ok_or(OUTSIDE)? * self.width;
        let rows = self.samples.get_mut(start..start + count * self.width).ok_or(OUTSIDE)?;
        Ok(rows.chunks_exact_mut(self.width))
    }

    /// So many samples from one on down.
    pub fn column(&self, x: usize, y: usize, count: usize) -> Result<impl Iterator<Item = &u16>> {
        let start = y.checked_sub(self.top).ok_or(OUTSIDE)? * self.width + x;
        let samples = self.samples.get(start..).ok_or(OUTSIDE)?;
        Ok(samples.iter().step_by(self.width).take(count))
    }

    /// The whole of the rows from one on, and the length of a row.
    pub fn rest_mut(&mut self, y: usize) -> Result<(&mut [u16], usize)> {
        let start = y.checked_sub(self.top).ok_or(OUTSIDE)? * self.width;
        Ok((self.samples.get_mut(start..).ok_or(OUTSIDE)?, self.width))
    }

    /// Gives up the rows before one, to have room for others.
    pub fn give_up(&mut self, before: usize) {
        let rows = before.saturating_sub(self.top);
        let start = rows * self.width;
        if rows > 0 && start <= self.samples.len() {
            self.samples.copy_within(start.., 0);
            self.top += rows;
        }
    }
}
