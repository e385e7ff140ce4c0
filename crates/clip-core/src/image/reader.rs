//! Integers out of byte slices, without a panic: whatever lies outside is `None`. Slices for decoders to read, which look up as
//! they do.

use std::cell::Cell;
use std::io::{self, BufRead, Cursor, Read, Seek, SeekFrom};
use std::rc::Rc;

use crate::guarded::look;

/// A decoder has so many bytes between two looks: deflated, they may be a thousand times as many.
const PIECE: usize = 8 << 10;

/// Bytes to read, piece by piece.
pub(super) struct Pieces<T> {
    bytes: Cursor<T>,
    /// How many more may be read, before it looks as if they ended.
    left: Rc<Cell<usize>>,
}

impl<T: AsRef<[u8]>> Pieces<T> {
    /// All of `bytes`, with a look before each 8 KiB.
    pub fn new(bytes: T) -> Self {
        Self { bytes: Cursor::new(bytes), left: Rc::new(Cell::new(usize::MAX)) }
    }

    /// How many more bytes may be read, to be set by whoever has given the reader away.
    pub fn left(&self) -> Rc<Cell<usize>> {
        self.left.clone()
    }

    fn took(&self, count: usize) {
        self.left.set(self.left.get().saturating_sub(count));
    }
}

impl<T: AsRef<[u8]>> Read for Pieces<T> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        look();
        let most = out.len().min(PIECE).min(self.left.get());
        let count = self.bytes.read(&mut out[..most])?;
        self.took(count);
        Ok(count)
    }
}

impl<T: AsRef<[u8]>> BufRead for Pieces<T> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        look();
        let rest = self.bytes.fill_buf()?;
        Ok(&rest[..rest.len().min(PIECE).min(self.left.get())])
    }

    fn consume(&mut self, count: usize) {
        self.bytes.consume(count);
        self.took(count);
    }
}

impl<T: AsRef<[u8]>> Seek for Pieces<T> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.bytes.seek(to)
    }
}

/// The `N` bytes at offset `at`.
pub(super) fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

/// The byte at offset `at`.
pub(super) fn u8_at(bytes: &[u8], at: usize) -> Option<u8> {
    bytes.get(at).copied()
}

/// 16 bits at offset `at`, the low byte first.
pub(super) fn u16_le(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

/// 24 bits at offset `at`, the low byte first.
pub(super) fn u24_le(bytes: &[u8], at: usize) -> Option<u32> {
    array::<3>(bytes, at).map(|[a, b, c]| u32::from_le_bytes([a, b, c, 0]))
}

/// 32 bits at offset `at`, the low byte first.
pub(super) fn u32_le(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

/// 32 bits at offset `at`, the high byte first.
pub(super) fn u32_be(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_be_bytes)
}

/// `len` bytes from `at`.
pub(super) fn slice(bytes: &[u8], at: usize, len: usize) -> Option<&[u8]> {
    bytes.get(at..at.checked_add(len)?)
}
