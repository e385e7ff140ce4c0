//! The picture on its way, row by row of chunks.

use crate::Env;
use crate::error::{Result, look, zeroed};
use crate::layout::Chunk;
use crate::rgb::ToRgb;
use crate::source::Source;
use crate::ycbcr;

/// Planes that are looked at, at most.
pub const PLANES: usize = 4;

/// The picture, as far as it is decoded.
pub struct Canvas {
    /// `[height, width, 3]`.
    pub pixels: Vec<u8>,
    /// Pixels of a row.
    pub width: usize,
    /// What makes levels of samples.
    pub to_rgb: ToRgb,
}

impl Canvas {
    /// Makes levels of a row of a chunk, in row `y` of the picture from column `x` on. `rows`: its samples, of each
    /// plane that is decoded.
    pub fn row(&mut self, x: usize, y: usize, columns: usize, rows: &[&[u8]]) {
        let start = y * self.width + x;
        if let Some(out) = self.pixels.as_chunks_mut::<3>().0.get_mut(start..start + columns) {
            self.to_rgb.row(rows, out);
        }
    }
}

/// Hands on the rows of a chunk, whose planes have a buffer each.
pub fn rows_of_planes(
    source: Source<'_, '_>,
    chunk: &Chunk,
    buffers: &[Vec<u8>],
    canvas: &mut Canvas,
    env: &Env<'_>,
) -> Result<()> {
    if source.layout.subsampling != (1, 1) {
        return blocks_to_rows(source, chunk, &buffers[0], canvas, env);
    }
    let (row_bytes, _) = source.sizes()?;
    for y in 0..chunk.rows {
        if y.is_multiple_of(64) {
            look(env)?;
        }
        let mut rows: [&[u8]; PLANES] = [&[]; PLANES];
        for (row, buffer) in rows.iter_mut().zip(buffers) {
            *row = &buffer[y * row_bytes..][..row_bytes];
        }
        canvas.row(chunk.x, chunk.y + y, chunk.columns, &rows[..buffers.len()]);
    }
    Ok(())
}

/// Hands on the rows of a chunk whose chroma is subsampled: `blocks` are the luma of a block, then its two chromas.
pub fn blocks_to_rows(
    source: Source<'_, '_>,
    chunk: &Chunk,
    blocks: &[u8],
    canvas: &mut Canvas,
    env: &Env<'_>,
) -> Result<()> {
    let (stride, _) = source.sizes()?;
    let mut row = zeroed(3 * chunk.columns, env)?;
    for y in 0..chunk.rows {
        if y.is_multiple_of(64) {
            look(env)?;
        }
        ycbcr::unpack(blocks, stride, y, source.layout.subsampling, row.as_chunks_mut().0);
        canvas.row(chunk.x, chunk.y + y, chunk.columns, &[&row]);
    }
    Ok(())
}
