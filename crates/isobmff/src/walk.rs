//! The samples of a track, one after the other.

use crate::error::{Error, Result};
use crate::samples::Samples;

/// Where it is in the tables.
#[derive(Clone, Copy, Debug)]
pub struct Walk<'a> {
    samples: Samples<'a>,
    /// The next sample.
    at: u32,
    /// The row of the table of chunks, and the next chunk, from 0 on.
    row: usize,
    chunk: u64,
    /// Samples of the current chunk that are left, and where the next one begins.
    left: u32,
    offset: u64,
    description: u32,
}

/// A sample's data, and its description's number.
pub type Data<'a> = (&'a [u8], u32);

impl<'a> Samples<'a> {
    /// All samples in their order. Each takes as little time as the next.
    pub fn iter(&self) -> Walk<'a> {
        Walk::new(*self)
    }
}

impl<'a> Walk<'a> {
    fn new(samples: Samples<'a>) -> Self {
        Self { samples, at: 0, row: 0, chunk: 0, left: 0, offset: 0, description: 0 }
    }

    fn step(&mut self) -> Result<Data<'a>> {
        const BAD: Error = Error::Damaged("a sample is in no chunk");
        // Chunks may be empty, and there are no more than the file has room for.
        while self.left == 0 {
            let (mut count, mut next, mut description) = self.samples.run(self.row).ok_or(BAD)?;
            while self.chunk + 1 >= next {
                self.row += 1;
                (count, next, description) = self.samples.run(self.row).ok_or(BAD)?;
            }
            self.offset = self.samples.chunk(self.chunk).ok_or(BAD)?;
            (self.left, self.description) = (count, description);
            self.chunk += 1;
        }
        let size = self.samples.size_of(self.at)?;
        let data = self.samples.bytes(self.offset, size)?;
        self.offset = self.offset.checked_add(u64::from(size)).ok_or(BAD)?;
        self.left -= 1;
        self.at += 1;
        Ok((data, self.description))
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = Result<Data<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.samples.count() {
            return None;
        }
        let step = self.step();
        if step.is_err() {
            self.at = u32::MAX;
        }
        Some(step)
    }
}
