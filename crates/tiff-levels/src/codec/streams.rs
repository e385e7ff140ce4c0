//! Zstandard and LZMA, whose decoders read streams.

use std::cell::Cell;
use std::io::{self, Read};

use jpeg_levels::Env;
use lzma_rust2::XzReader;
use ruzstd::decoding::StreamingDecoder;

use super::PIECE;
use crate::error::{Error, Result, look};

/// An LZMA decoder may take so much, in KiB: the dictionary of the strongest preset, and what it needs beside.
const MOST_LZMA: u32 = 68 << 10;

/// Fills `out`. A stream whose decoder would take more than 68 MiB is refused.
pub fn lzma(coded: &[u8], out: &mut [u8], env: &Env<'_>) -> Result<()> {
    let stopped = Cell::new(false);
    let reader = XzReader::new_mem_limit(Watched { rest: coded, env, stopped: &stopped }, false, MOST_LZMA);
    read(reader, out, &stopped, env)
}

/// Fills `out`. The window that the header asks for is cut to what `out` needs.
pub fn zstandard(coded: &[u8], out: &mut [u8], env: &Env<'_>) -> Result<()> {
    let stopped = Cell::new(false);
    // A decoder keeps as much as the header's window tells, but nothing refers to what lies before the first byte.
    let (head, rest) = coded.split_at_checked(HEAD).ok_or(Error::Truncated)?;
    let mut head: [u8; HEAD] = head.try_into().map_err(|_| Error::Truncated)?;
    if head[4] & SINGLE_SEGMENT == 0 {
        head[5] = head[5].min(window(out.len()));
    }
    let source = Watched { rest: &head, env, stopped: &stopped }.chain(Watched { rest, env, stopped: &stopped });
    let most = (2 * out.len()).max(MOST_CONTENT) as u64;
    let decoder = StreamingDecoder::new_with_max_window_size(source, most);
    let decoder = decoder.map_err(|_| failure(stopped.get(), io::ErrorKind::InvalidData))?;
    read(decoder, out, &stopped, env)
}

/// Magic number, descriptor, and the window where the descriptor says that there is one.
const HEAD: usize = 6;
/// The picture's own size is the window's.
const SINGLE_SEGMENT: u8 = 0x20;
/// What a frame without a window may say that it holds: of a tile few rows may be wanted.
const MOST_CONTENT: usize = 64 << 20;
/// A block has at most so many bytes, and no more than the window.
const SMALLEST_WINDOW: usize = 128 << 10;

/// The header's byte for a window that holds so much: its exponent above 10 in the five high bits.
fn window(len: usize) -> u8 {
    let size = len.max(SMALLEST_WINDOW).next_power_of_two();
    ((size.trailing_zeros() - 10).min(31) << 3) as u8
}

fn read(mut reader: impl Read, out: &mut [u8], stopped: &Cell<bool>, env: &Env<'_>) -> Result<()> {
    for piece in out.chunks_mut(PIECE) {
        look(env)?;
        reader.read_exact(piece).map_err(|e| failure(stopped.get(), e.kind()))?;
    }
    Ok(())
}

fn failure(stopped: bool, kind: io::ErrorKind) -> Error {
    match kind {
        _ if stopped => Error::Stopped,
        io::ErrorKind::UnexpectedEof => Error::Truncated,
        io::ErrorKind::OutOfMemory => Error::TooMuch("its LZMA data need too much memory"),
        _ => Error::Damaged("invalid Zstandard or LZMA data"),
    }
}

/// Bytes to read, with looks.
struct Watched<'w> {
    rest: &'w [u8],
    env: &'w Env<'w>,
    stopped: &'w Cell<bool>,
}

impl Read for Watched<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        // Some decoders read byte by byte.
        let due = self.rest.len().is_multiple_of(1024) || out.len() >= 1024;
        if due && !(self.env.go_on)() {
            self.stopped.set(true);
            return Err(io::Error::other("stopped"));
        }
        let most = out.len().min(PIECE);
        self.rest.read(&mut out[..most])
    }
}
