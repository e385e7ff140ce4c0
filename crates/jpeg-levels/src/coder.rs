//! What the two ways of entropy coding have in common.

use crate::block::Block;
use crate::error::{Error, Result};
use crate::input::Input;
use crate::markers::{Reader, ScanHeader};

/// Reads the blocks of one scan, one after the other. A slot is a component's place in the scan header.
pub trait Coder<'a>: Sized {
    fn new(reader: &Reader<'a>, scan: &ScanHeader) -> Result<Self>;

    /// A unit begins. Goes over a restart marker where one is due. `false` where the unit's blocks stay as they are, because
    /// the data of its segment have ended.
    fn begin(&mut self) -> bool;

    /// All of a block. Says how far its coefficients go.
    fn whole(&mut self, slot: usize, block: &mut [i16; 64]) -> u8;

    /// The scan's part of a block of a progressive picture.
    fn part(&mut self, slot: usize, block: Block<'_>);

    /// A unit ends.
    fn end(&mut self);

    /// The segment's data have not ended.
    fn has_data(&self) -> bool;

    /// No unit that follows can change anything.
    fn is_done(&self) -> bool;

    /// Gives the place in the file back, and the warnings.
    fn leave(self, reader: &mut Reader<'a>);
}

/// Counts units between restart markers.
#[derive(Clone, Copy)]
pub struct Restarts {
    /// Units between restart markers; 0 for none.
    pub interval: u16,
    to_go: u16,
    number: u8,
}

impl Restarts {
    /// The first marker is due after a whole interval.
    pub fn new(interval: u16) -> Self {
        Self { interval, to_go: interval, number: 0 }
    }

    /// A unit begins: is a restart marker due before it?
    #[inline(always)]
    pub fn is_due(&mut self) -> bool {
        if self.interval == 0 {
            return false;
        }
        let due = self.to_go == 0;
        if due {
            self.to_go = self.interval;
        }
        self.to_go -= 1;
        due
    }

    /// Says whether the marker was there.
    pub fn pass(&mut self, input: &mut Input) -> bool {
        let found = input.restart(self.number);
        self.number = (self.number + 1) & 7;
        found
    }
}

/// Part of a block's coefficients, and of their bits.
#[derive(Clone, Copy)]
pub struct Band {
    /// The first coefficient, in zigzag order.
    pub first: usize,
    /// The last coefficient, in zigzag order.
    pub last: usize,
    /// Low bits that are not known after the scan.
    pub low: u32,
    /// Bits are added to what is known.
    pub refines: bool,
}

impl Band {
    /// Of a progressive picture's scan.
    pub fn new(scan: &ScanHeader) -> Result<Self> {
        let (first, last) = (usize::from(scan.band.0), usize::from(scan.band.1));
        let order = if first == 0 { last == 0 } else { first <= last && last < 64 && scan.components.len() == 1 };
        if !order || (scan.high != 0 && scan.low + 1 != scan.high) || scan.low > 13 {
            return Err(Error::Damaged("progression is not one"));
        }
        Ok(Self { first, last, low: scan.low.into(), refines: scan.high != 0 })
    }
}
