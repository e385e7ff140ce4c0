//! What decoding takes.

use crate::av1::Header;
use crate::error::Result;
use crate::picture::Picture;
use crate::planes::Kind;

/// What the AV1 decoder keeps for each pixel whatever its colours: modes, filters, palettes.
const GRIDS: usize = 9;
/// Tables that are there once.
const TABLES: usize = 4 << 20;

/// Bytes that the AV1 decoder has at most for a pixel of a frame.
fn of_frame(header: &Header) -> usize {
    // In halves of a level a pixel: luma and chroma.
    let halves = halves(header.kind);
    // Numbers of 32 bits while it works, 16 where others may refer to it, and the planes that it gives.
    let each = 4 + if header.still { 0 } else { 2 } + header.kind.bytes();
    GRIDS + (halves * each).div_ceil(2)
}

fn halves(kind: Kind) -> usize {
    match kind.chroma {
        None => 2,
        Some(chroma) => 2 + 4 / (1 + usize::from(chroma.across)) / (1 + usize::from(chroma.down)),
    }
}

pub fn needs(picture: &Picture<'_>) -> Result<usize> {
    let pixels = |width: u32, height: u32| (width as usize).saturating_mul(height as usize);
    let Some(tile) = picture.tiles.first() else { return Ok(0) };
    let header = Header::read(&tile.data)?;
    let whole = pixels(picture.width, picture.height);
    let planes = whole.saturating_mul(halves(header.kind) * header.kind.bytes()).div_ceil(2);
    let decoding = pixels(tile.width, tile.height).saturating_mul(of_frame(&header));
    let canvas = if picture.grid == (1, 1) { 0 } else { planes };
    let converting = planes.saturating_add(whole.saturating_mul(3));
    Ok(decoding.saturating_add(canvas).max(converting).saturating_add(TABLES))
}
