//! JPEG inside of a file: every chunk a picture of its own, whose tables may stand in a tag. Follows `JPEGPreDecode` of libtiff's
//! `tif_jpeg.c`.

use jpeg_levels::{Decoder, Output, Picture};

use crate::Env;
use crate::canvas::{Canvas, rows_of_planes};
use crate::directory::tag;
use crate::error::{Error, Result, look, zeroed};
use crate::layout::Chunk;
use crate::source::{Source, Work};

/// The end-of-image marker.
pub const END: [u8; 2] = [0xff, 0xd9];

/// Decodes every chunk onto the canvas.
pub fn decode(source: Source<'_, '_>, canvas: &mut Canvas, env: &Env<'_>) -> Result<()> {
    if source.samples.bits != 8 {
        return Err(Error::Damaged("JPEG data have other samples than the file says"));
    }
    let tables = source.directory.bytes(tag::JPEG_TABLES).unwrap_or_default();
    let mut work = Work::new(source.directory);
    let mut buffers = Vec::new();
    for chunk in source.layout.chunks() {
        look(env)?;
        for plane in 0..source.planes() {
            if source.layout.planes && buffers.len() <= plane {
                buffers.push(zeroed(source.layout.chunk_width * chunk.rows, env)?);
            }
            let decoded = source.coded(&chunk, plane).and_then(|coded| {
                work.spend(coded.len())?;
                let whole = with_tables(tables, coded, env)?;
                let decoder = Decoder::new(whole.as_deref().unwrap_or(coded))?;
                check_size(source, &chunk, &decoder)?;
                match buffers.get_mut(plane) {
                    Some(buffer) => {
                        if source.gaps.allowed {
                            buffer.fill(0); // not what the chunk before had
                        }
                        plane_of(decoder, buffer, source.layout.chunk_width, &chunk, env)
                    }
                    None => pixels_of(decoder, source.samples.count, canvas, &chunk, env),
                }
            });
            source.or_gap(decoded)?;
        }
        if source.layout.planes {
            rows_of_planes(source, &chunk, &buffers, canvas, env)?;
        }
    }
    Ok(())
}

fn pixels_of(decoder: Decoder<'_>, count: usize, canvas: &mut Canvas, chunk: &Chunk, env: &Env<'_>) -> Result<()> {
    let line = decoder.width();
    let channels = Output::Stored.channels(decoder.colour());
    if channels != count {
        return Err(Error::Damaged("JPEG data have another number of components than the file says"));
    }
    let picture = decoder.decode_rows(Output::Stored, env, &mut |first, pixels| {
        for (y, row) in (first..chunk.rows).zip(pixels.chunks_exact(line * channels)) {
            canvas.row(chunk.x, chunk.y + y, chunk.columns, &[row]);
        }
        Ok(())
    })?;
    check_whole(&picture)
}

fn plane_of(decoder: Decoder<'_>, out: &mut [u8], stride: usize, chunk: &Chunk, env: &Env<'_>) -> Result<()> {
    let line = decoder.width();
    if Output::Stored.channels(decoder.colour()) != 1 {
        return Err(Error::Damaged("JPEG data of a plane have several components"));
    }
    let picture = decoder.decode_rows(Output::Stored, env, &mut |first, pixels| {
        for (y, row) in (first..chunk.rows).zip(pixels.chunks_exact(line)) {
            out[y * stride..][..line].copy_from_slice(row);
        }
        Ok(())
    })?;
    check_whole(&picture)
}

/// As libtiff, which lets the last strip be as high as the others; and no smaller than what is to be seen of it.
fn check_size(source: Source<'_, '_>, chunk: &Chunk, decoder: &Decoder<'_>) -> Result<()> {
    let layout = source.layout;
    let (width, height) = (decoder.width(), decoder.height());
    let most = if layout.tiled { layout.chunk_height } else { chunk.rows };
    let last = !layout.tiled && chunk.y + chunk.rows == layout.height && width == layout.chunk_width;
    if width > layout.chunk_width || (height > most && !last) {
        return Err(Error::Damaged("JPEG data are larger than their strip or tile"));
    }
    if width < chunk.columns || height < chunk.rows {
        return Err(Error::Damaged("JPEG data are smaller than their strip or tile"));
    }
    Ok(())
}

/// libjpeg fills up with grey what a file does not have. That must never become an embedding.
pub fn check_whole(picture: &Picture) -> Result<()> {
    let warnings = picture.warnings;
    if warnings.truncated || warnings.lost || warnings.missing { Err(Error::Truncated) } else { Ok(()) }
}

/// Both streams one behind the other, which is what the standard has for tables of their own.
fn with_tables(tables: &[u8], coded: &[u8], env: &Env<'_>) -> Result<Option<Vec<u8>>> {
    if tables.is_empty() {
        return Ok(None);
    }
    let end = if tables.ends_with(&END) { 0 } else { END.len() };
    let mut whole = zeroed(tables.len() + end + coded.len(), env)?;
    let (head, rest) = whole.split_at_mut(tables.len());
    let (middle, rest) = rest.split_at_mut(end);
    head.copy_from_slice(tables);
    middle.copy_from_slice(&END[..end]);
    rest.copy_from_slice(coded);
    Ok(Some(whole))
}

/// What the largest of the pictures takes, beside its pixels where these are handed on row by row.
pub fn needs(source: Source<'_, '_>, env: &Env<'_>) -> Result<usize> {
    let tables = source.directory.bytes(tag::JPEG_TABLES).unwrap_or_default().len();
    let (mut most, mut work) = (0, Work::new(source.directory));
    for chunk in source.layout.chunks().take(source.layout.given()) {
        look(env)?;
        for plane in 0..source.planes() {
            // Headers are read without the tables. What cannot be read takes nothing.
            let Ok(coded) = source.coded(&chunk, plane) else { continue };
            // Nor is more decoded.
            if work.spend(coded.len()).is_err() {
                return Ok(most);
            }
            let Ok(decoder) = Decoder::new(coded) else { continue };
            let copy = if tables > 0 { tables + 2 + coded.len() } else { 0 };
            most = most.max(needs_of(&decoder).saturating_add(copy));
        }
    }
    Ok(most)
}

/// The pixels are handed on: only a picture in several scans is kept.
pub fn needs_of(decoder: &Decoder<'_>) -> usize {
    let pixels = Output::Stored.channels(decoder.colour()) * decoder.width() * decoder.height();
    let needs = decoder.needs(Output::Stored);
    if decoder.has_several_scans() { needs } else { needs.saturating_sub(pixels) }
}
