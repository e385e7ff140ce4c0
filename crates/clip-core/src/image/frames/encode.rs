//! A picture as PNG: RGB of 8 bits, compressed in a hurry.

use std::io::{self, Write};

use png::{BitDepth, ColorType, Compression, Encoder, EncodingError};

use crate::guarded::look;
use crate::memory::reserve;
use crate::{Error, Result};

/// A PNG file of `rows`, each of `3 * width` bytes, of which there are `height`.
///
/// `OutOfMemory` or `LimitExceeded` where there is no memory for it, `Internal` where the rows are not of that size.
pub fn png<'a>(width: u32, height: u32, rows: impl Iterator<Item = &'a [u8]>) -> Result<Vec<u8>> {
    png_rows(width, height, |write| {
        for row in rows {
            write(row)?;
        }
        Ok(())
    })
}

/// `rows` gives one row after the other to what it is given.
pub fn png_rows(
    width: u32,
    height: u32,
    rows: impl FnOnce(&mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()>,
) -> Result<Vec<u8>> {
    let mut out = Out { bytes: Vec::new(), refused: None };
    let written = {
        let mut encoder = Encoder::new(&mut out, width, height);
        encoder.set_color(ColorType::Rgb);
        encoder.set_depth(BitDepth::Eight);
        encoder.set_compression(Compression::Fast);
        write(encoder, rows)
    };
    match (out.refused, written) {
        (Some(e), _) => Err(e),
        (None, Err(e)) => Err(Error::internal(format!("PNG encoder: {e}"))),
        (None, Ok(())) => Ok(out.bytes),
    }
}

fn write(
    encoder: Encoder<'_, &mut Out>,
    rows: impl FnOnce(&mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()>,
) -> std::result::Result<(), EncodingError> {
    let mut writer = encoder.write_header()?;
    let mut stream = writer.stream_writer()?;
    rows(&mut |row| {
        look();
        stream.write_all(row)
    })?;
    stream.finish()?;
    writer.finish()
}

/// Bytes that memory is asked for.
struct Out {
    bytes: Vec<u8>,
    refused: Option<Error>,
}

impl Write for Out {
    fn write(&mut self, more: &[u8]) -> io::Result<usize> {
        if self.bytes.capacity() - self.bytes.len() < more.len() {
            // By half of what there is, so that it is copied a few times only.
            let room = more.len().max(self.bytes.len() / 2).max(1 << 12);
            if let Err(e) = reserve(&mut self.bytes, room) {
                self.refused = Some(e);
                return Err(io::ErrorKind::OutOfMemory.into());
            }
        }
        self.bytes.extend_from_slice(more);
        Ok(more.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
