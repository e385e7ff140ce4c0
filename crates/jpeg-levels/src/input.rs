//! The bytes of a file and a place in it: where markers are looked for. Follows `jdmarker.c`.

use crate::error::{Error, Result};

/// Start of image.
pub const SOI: u8 = 0xd8;
/// End of image.
pub const EOI: u8 = 0xd9;
/// The first of eight restart markers.
pub const RST0: u8 = 0xd0;

/// A file and a place in it.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The whole file.
    pub data: &'a [u8],
    /// What is read next.
    pub pos: usize,
    /// A marker that was met and not yet acted upon; 0 for none. The position is after it.
    pub marker: u8,
    /// The marker is an end-of-image marker that the file does not have.
    pub ended: bool,
    /// Bytes were skipped that belong to nothing.
    pub stray: bool,
}

impl<'a> Input<'a> {
    /// From its beginning.
    pub fn new(data: &'a [u8]) -> Self {
        Self { data, pos: 0, marker: 0, ended: false, stray: false }
    }

    /// The next byte. `None` at the end.
    #[inline]
    pub fn byte(&mut self) -> Option<u8> {
        let byte = *self.data.get(self.pos)?;
        self.pos += 1;
        Some(byte)
    }

    /// The next two bytes, the high one first. `None` at the end.
    pub fn u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes([self.byte()?, self.byte()?]))
    }

    /// The end of the bytes counts as an end-of-image marker.
    #[cold]
    pub fn end(&mut self) {
        self.pos = self.data.len();
        self.marker = EOI;
        self.ended = true;
    }

    /// Goes on to the next marker, unless there is one pending. `next_marker` of `jdmarker.c`.
    pub fn seek_marker(&mut self) -> u8 {
        if self.marker != 0 {
            return self.marker;
        }
        loop {
            let rest = self.data.get(self.pos..).unwrap_or_default();
            let Some(skipped) = rest.iter().position(|&b| b == 0xff) else {
                self.end();
                return self.marker;
            };
            self.stray |= skipped > 0;
            let rest = &rest[skipped..];
            let Some(fill) = rest.iter().position(|&b| b != 0xff) else {
                self.end();
                return self.marker;
            };
            let code = rest[fill];
            self.pos += skipped + fill + 1;
            if code != 0 {
                self.marker = code;
                return code;
            }
            self.stray = true;
        }
    }

    /// The body of a segment whose length comes next. A length below 2 gives `None` in `Some`.
    pub fn segment(&mut self) -> Result<Option<&'a [u8]>> {
        let length = usize::from(self.u16().ok_or(Error::Truncated)?);
        let Some(length) = length.checked_sub(2) else { return Ok(None) };
        let body = self.data.get(self.pos..self.pos + length).ok_or(Error::Truncated)?;
        self.pos += length;
        Ok(Some(body))
    }

    /// Goes over the restart marker that is due, or makes do without it. `read_restart_marker` and
    /// `jpeg_resync_to_restart` of `jdmarker.c`. Says whether it was there.
    pub fn restart(&mut self, number: u8) -> bool {
        if self.seek_marker() == RST0 + number {
            self.marker = 0;
            return true;
        }
        loop {
            let ahead = self.marker.wrapping_sub(RST0);
            match self.marker {
                // No marker that there is: on to the next.
                0..0xc0 => {}
                0xd0..=0xd7 => match ahead.wrapping_sub(number) & 7 {
                    // One of the next two: this segment is lost.
                    1 | 2 => return false,
                    // One of the last two: on to the next.
                    6 | 7 => {}
                    // Taken for the one that is due.
                    _ => {
                        self.marker = 0;
                        return false;
                    }
                },
                // The end of the scan.
                _ => return false,
            }
            self.marker = 0;
            self.seek_marker();
        }
    }
}
