//! Integers out of byte slices, without a panic: whatever lies outside is `None`. Slices for decoders to read, which look up as
//! they do.

use std::io::{self, BufRead, Cursor, Read, Seek, SeekFrom};

use zune_core::bytestream::{ZByteIoError, ZByteReaderTrait, ZCursor, ZSeekFrom};

use super::decode::look;

/// A decoder has so many bytes between two looks: deflated, they may be a thousand times as many.
const PIECE: usize = 8 << 10;

/// Bytes to read, piece by piece.
pub(super) struct Pieces<T>(Cursor<T>);

impl<T: AsRef<[u8]>> Pieces<T> {
    pub fn new(bytes: T) -> Self {
        Self(Cursor::new(bytes))
    }
}

impl<T: AsRef<[u8]>> Read for Pieces<T> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        look();
        let most = out.len().min(PIECE);
        self.0.read(&mut out[..most])
    }
}

impl<T: AsRef<[u8]>> BufRead for Pieces<T> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        look();
        let rest = self.0.fill_buf()?;
        Ok(&rest[..rest.len().min(PIECE)])
    }

    fn consume(&mut self, count: usize) {
        self.0.consume(count);
    }
}

impl<T: AsRef<[u8]>> Seek for Pieces<T> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

/// The same for the JPEG decoder, which reads a few bytes at a time.
pub(super) struct Bytewise<'a> {
    bytes: ZCursor<&'a [u8]>,
    reads: u32,
}

impl<'a> Bytewise<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes: ZCursor::new(bytes), reads: 0 }
    }

    #[inline(always)]
    fn count(&mut self) {
        self.reads = self.reads.wrapping_add(1);
        if self.reads.is_multiple_of(1 << 11) {
            look();
        }
    }
}

impl ZByteReaderTrait for Bytewise<'_> {
    #[inline(always)]
    fn read_byte_no_error(&mut self) -> u8 {
        self.count();
        self.bytes.read_byte_no_error()
    }

    #[inline(always)]
    fn read_exact_bytes(&mut self, out: &mut [u8]) -> Result<(), ZByteIoError> {
        self.count();
        self.bytes.read_exact_bytes(out)
    }

    fn read_bytes(&mut self, out: &mut [u8]) -> Result<usize, ZByteIoError> {
        self.bytes.read_bytes(out)
    }

    fn peek_bytes(&mut self, out: &mut [u8]) -> Result<usize, ZByteIoError> {
        self.bytes.peek_bytes(out)
    }

    fn peek_exact_bytes(&mut self, out: &mut [u8]) -> Result<(), ZByteIoError> {
        self.bytes.peek_exact_bytes(out)
    }

    #[inline(always)]
    fn z_seek(&mut self, to: ZSeekFrom) -> Result<u64, ZByteIoError> {
        self.bytes.z_seek(to)
    }

    #[inline(always)]
    fn is_eof(&mut self) -> Result<bool, ZByteIoError> {
        self.bytes.is_eof()
    }

    fn z_position(&mut self) -> Result<u64, ZByteIoError> {
        self.bytes.z_position()
    }

    fn read_remaining(&mut self, sink: &mut Vec<u8>) -> Result<usize, ZByteIoError> {
        self.bytes.read_remaining(sink)
    }
}

/// The `N` bytes at `at`.
pub(super) fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

pub(super) fn u8_at(bytes: &[u8], at: usize) -> Option<u8> {
    bytes.get(at).copied()
}

pub(super) fn u16_le(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

pub(super) fn u16_be(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_be_bytes)
}

pub(super) fn u24_le(bytes: &[u8], at: usize) -> Option<u32> {
    array::<3>(bytes, at).map(|[a, b, c]| u32::from_le_bytes([a, b, c, 0]))
}

pub(super) fn u32_le(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

pub(super) fn u32_be(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_be_bytes)
}

/// `len` bytes from `at`.
pub(super) fn slice(bytes: &[u8], at: usize, len: usize) -> Option<&[u8]> {
    bytes.get(at..at.checked_add(len)?)
}
