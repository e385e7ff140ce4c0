//! Coefficients of a whole picture, and its pixels in the same memory.
//!
//! They are at its end, one row of units after the other. The pixels that are made of them begin at its start; where they take
//! more than the coefficients, so much more memory lies between, that a row's pixels never reach coefficients
//! that are still to be read.

use crate::Env;
use crate::block::BLOCK;
use crate::error::Result;
use crate::frame::Frame;

/// Memory of coefficients, then pixels.
pub struct Store {
    /// All of it.
    pub bytes: Vec<u8>,
    /// Where the coefficients begin.
    start: usize,
    row: usize,
    parts: Vec<Part>,
}

/// A component's blocks in a row of units.
struct Part {
    offset: usize,
    across: usize,
    v: usize,
}

/// How many bytes before the coefficients, and how many in all: `pixels` bytes are made of each row of the picture.
pub fn size(frame: &Frame, pixels: usize) -> (usize, usize) {
    let row = frame.coefficient_row();
    let made = |rows: usize| pixels * (rows * frame.unit_rows).min(frame.height);
    let start = (1..=frame.units_down).map(|rows| made(rows).saturating_sub(rows * row)).max().unwrap_or(0);
    (start, start + row * frame.units_down)
}

impl Store {
    /// `pixels`: bytes of a row of the picture.
    pub fn new(frame: &Frame, pixels: usize, env: &Env<'_>) -> Result<Self> {
        let (start, len) = size(frame, pixels);
        let mut offset = 0;
        let part = |c: &crate::frame::Component| {
            let part = Part { offset, across: c.h * frame.units_across, v: c.v };
            offset += part.across * part.v * BLOCK;
            part
        };
        let parts = frame.components.iter().map(part).collect();
        Ok(Self { bytes: env.zeroed(len)?, start, row: frame.coefficient_row(), parts })
    }

    /// Where a block of a component is.
    fn place(&self, index: usize, y: usize, x: usize) -> usize {
        let part = &self.parts[index];
        self.start + y / part.v * self.row + part.offset + (y % part.v * part.across + x) * BLOCK
    }

    /// Blocks of a component, side by side.
    #[inline]
    pub fn run(&mut self, index: usize, y: usize, x: usize, count: usize) -> &mut [[u8; BLOCK]] {
        let place = self.place(index, y, x);
        self.bytes.get_mut(place..place + count * BLOCK).unwrap_or_default().as_chunks_mut().0
    }

    /// A whole row of a component's blocks.
    pub fn blocks(&self, index: usize, y: usize) -> &[[u8; BLOCK]] {
        let place = self.place(index, y, 0);
        self.bytes.get(place..place + self.parts[index].across * BLOCK).unwrap_or_default().as_chunks().0
    }
}
