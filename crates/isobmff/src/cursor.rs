//! Big-endian numbers out of bytes, one after the other.

use crate::error::{Error, Result};

const SHORT: Error = Error::Damaged("a box ends before its contents do");

/// What is left of some bytes. Whoever asks for more than there are gets `Damaged`, and nothing is taken.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a>(pub(crate) &'a [u8]);

impl<'a> Cursor<'a> {
    /// All of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// All that is left, which stays.
    pub fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// Is nothing left?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next `len` bytes.
    pub fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(SHORT)?;
        self.0 = rest;
        Ok(taken)
    }

    /// Passes `len` bytes over.
    pub fn skip(&mut self, len: usize) -> Result<()> {
        self.take(len).map(drop)
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(SHORT)?;
        self.0 = rest;
        Ok(*taken)
    }

    /// The next byte.
    pub fn u8(&mut self) -> Result<u8> {
        self.array().map(u8::from_be_bytes)
    }

    /// A number of 16 bits.
    pub fn u16(&mut self) -> Result<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// A number of 32 bits.
    pub fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// A number of 32 bits in two's complement.
    pub fn i32(&mut self) -> Result<i32> {
        self.array().map(i32::from_be_bytes)
    }

    /// A number of 64 bits.
    pub fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// A number of 32 bits where `wide`, else of 16: later versions of a box have the former.
    pub fn wide(&mut self, wide: bool) -> Result<u32> {
        if wide { self.u32() } else { self.u16().map(u32::from) }
    }

    /// A number of 4 or 8 bytes, or of none, which is 0. Other widths are `Damaged`.
    pub fn sized(&mut self, bytes: usize) -> Result<u64> {
        match bytes {
            0 => Ok(0),
            4 => self.u32().map(u64::from),
            8 => self.u64(),
            _ => Err(Error::Damaged("a number is of neither 0, 4 nor 8 bytes")),
        }
    }

    /// Bytes up to a zero, which is taken, or to the end.
    pub fn text(&mut self) -> &'a [u8] {
        let end = self.0.iter().position(|&byte| byte == 0);
        let (text, rest) = match end.and_then(|end| self.0.split_at_checked(end)) {
            Some((text, rest)) => (text, rest.get(1..).unwrap_or_default()),
            None => (self.0, Default::default()),
        };
        self.0 = rest;
        text
    }
}
