//! From chunks to the picture.

use crate::canvas::{Canvas, PLANES, blocks_to_rows, rows_of_planes};
use crate::codec::{Codec, is_reversed, most_runs};
use crate::compression::Compression;
use crate::error::{Error, Result, look, zeroed};
use crate::layout::Chunk;
use crate::rgb::ToRgb;
use crate::source::{Source, Work};
use crate::wide::{Range, Scale};
use crate::{Env, jpeg, old_jpeg};

/// Tables of compressions, and what else is small.
const FIXED: usize = 1 << 20;

/// Bytes that [`decode`] takes at most, by the header.
pub fn needs(source: Source<'_, '_>, env: &Env<'_>) -> Result<usize> {
    let Source { directory, compression, layout, samples, .. } = source;
    let (row, most) = source.sizes()?;
    let picture = layout.width.checked_mul(layout.height).and_then(|area| area.checked_mul(3));
    let planes = source.planes();
    let reversed = if is_reversed(directory) { directory.data.len() } else { 0 };
    let beside = match compression {
        Compression::None => planes.saturating_mul(row),
        Compression::Jpeg if layout.planes => jpeg::needs(source, env)?.saturating_add(most.saturating_mul(planes)),
        Compression::Jpeg => jpeg::needs(source, env)?,
        Compression::OldJpeg => old_jpeg::needs(source, env)?,
        Compression::Fax(_) => most.saturating_add(8 * most_runs(layout.chunk_width)),
        _ => most.saturating_mul(planes).saturating_add(reversed).saturating_add(row),
    };
    // Rows of planes together, and of blocks.
    let rows = layout.chunk_width.saturating_mul(samples.bytes().max(1) * PLANES + 3);
    let parts = [picture.unwrap_or(usize::MAX), beside, rows, FIXED];
    Ok(parts.into_iter().fold(0, usize::saturating_add))
}

/// The picture, and of wide grey what values it had.
pub fn decode(source: Source<'_, '_>, scale: Scale, env: &Env<'_>) -> Result<(Vec<u8>, Option<Range>)> {
    let Source { directory, compression, samples, layout, .. } = source;
    source.sizes()?;
    let chroma = source.chroma()?;
    let width = layout.chunk_width.min(layout.width);
    let to_rgb = ToRgb::new(directory, *samples, layout.planes, chroma, width, scale, env)?;
    let bytes = layout.width.checked_mul(layout.height).and_then(|area| area.checked_mul(3));
    let pixels = zeroed(bytes.ok_or(Error::OutOfMemory(usize::MAX))?, env)?;
    let mut canvas = Canvas { pixels, width: layout.width, to_rgb };
    match compression {
        Compression::None => raw(source, &mut canvas, env)?,
        Compression::Jpeg => jpeg::decode(source, &mut canvas, env)?,
        Compression::OldJpeg => old_jpeg::decode(source, &mut canvas, env)?,
        _ => compressed(source, &mut canvas, env)?,
    }
    let range = canvas.to_rgb.range();
    Ok((canvas.pixels, range))
}

/// Rows as they stand in the file, by their offsets alone: Pillow does not look at lengths.
fn raw(source: Source<'_, '_>, canvas: &mut Canvas, env: &Env<'_>) -> Result<()> {
    let planes = source.planes();
    let (row_bytes, _) = source.sizes()?;
    let mut turned = vec![Vec::new(); if is_reversed(source.directory) { planes } else { 0 }];
    for turned in &mut turned {
        *turned = zeroed(row_bytes, env)?;
    }
    for chunk in source.layout.chunks() {
        look(env)?;
        source.or_gap(raw_chunk(source, &chunk, &mut turned, canvas, env))?;
    }
    Ok(())
}

fn raw_chunk(
    source: Source<'_, '_>,
    chunk: &Chunk,
    turned: &mut [Vec<u8>],
    canvas: &mut Canvas,
    env: &Env<'_>,
) -> Result<()> {
    let Source { directory, layout, samples, .. } = source;
    let planes = source.planes();
    let (row_bytes, _) = source.sizes()?;
    let mut data: [&[u8]; PLANES] = [&[]; PLANES];
    for (plane, data) in data.iter_mut().enumerate().take(planes) {
        let (offset, _) = layout.place(directory, chunk, plane)?;
        *data = directory.data.get(offset..).ok_or(Error::Truncated)?;
    }
    if layout.subsampling != (1, 1) {
        let blocks = layout.bytes(samples, chunk.rows).and_then(|len| data[0].get(..len));
        return blocks_to_rows(source, chunk, blocks.ok_or(Error::Truncated)?, canvas, env);
    }
    let count = if layout.planes { 1 } else { samples.count };
    let visible = (chunk.columns * count * samples.bits).div_ceil(8);
    for y in 0..chunk.rows {
        if y.is_multiple_of(64) {
            look(env)?;
        }
        let mut rows: [&[u8]; PLANES] = [&[]; PLANES];
        for (row, data) in rows.iter_mut().zip(data).take(planes) {
            let start = y.checked_mul(row_bytes).ok_or(Error::Truncated)?;
            *row = data.get(start..).and_then(|rest| rest.get(..visible)).ok_or(Error::Truncated)?;
        }
        for ((row, turned), _) in rows.iter_mut().zip(&mut *turned).zip(0..planes) {
            turned.iter_mut().zip(*row).for_each(|(to, from)| *to = from.reverse_bits());
            *row = &turned[..visible];
        }
        canvas.row(chunk.x, chunk.y + y, chunk.columns, &rows[..planes]);
    }
    Ok(())
}

fn compressed(source: Source<'_, '_>, canvas: &mut Canvas, env: &Env<'_>) -> Result<()> {
    let Source { directory, compression, layout, samples, .. } = source;
    let (row_bytes, most) = source.sizes()?;
    let codec = Codec::new(directory, compression, samples, layout, row_bytes)?;
    let mut work = Work::new(directory);
    let mut buffers = Vec::with_capacity(PLANES);
    for _ in 0..source.planes() {
        buffers.push(zeroed(most, env)?);
    }
    for chunk in layout.chunks() {
        look(env)?;
        let bytes = layout.bytes(samples, chunk.rows).unwrap_or(most).min(most);
        for (plane, buffer) in buffers.iter_mut().enumerate() {
            let buffer = &mut buffer[..bytes];
            if source.gaps.allowed {
                buffer.fill(0); // not what the chunk before had
            }
            let decoded = source.coded(&chunk, plane).and_then(|coded| {
                work.spend(coded.len())?;
                codec.decode(coded, buffer, env)
            });
            source.or_gap(decoded)?;
        }
        rows_of_planes(source, &chunk, &buffers, canvas, env)?;
    }
    Ok(())
}
