//! What decoding takes.

use crate::error::Result;
use crate::header::Header;
use crate::intra;
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
    // Numbers of 32 bits, which become the planes one by one; grain is put into copies of all.
    let each = if header.grain { 12 } else { 4 };
    GRIDS + (halves * each).div_ceil(2)
}

fn halves(kind: Kind) -> usize {
    match kind.chroma {
        None => 2,
        Some(chroma) => 2 + 4 / (1 + usize::from(chroma.across)) / (1 + usize::from(chroma.down)),
    }
}

pub fn needs(picture: &Picture<'_>) -> Result<usize> {
    let (planes, decoding) = of_picture(picture)?;
    let rgb = pixels(picture.width, picture.height).saturating_mul(3);
    let (alpha, decoding_alpha) = picture.multiplied.as_deref().map_or(Ok((0, 0)), of_picture)?;
    let most =
        decoding.max(planes.saturating_add(decoding_alpha)).max(planes.saturating_add(alpha).saturating_add(rgb));
    Ok(most.saturating_add(TABLES))
}

/// Of the planes, and at most until they are there.
fn of_picture(picture: &Picture<'_>) -> Result<(usize, usize)> {
    let Some(tile) = picture.tiles.first() else { return Ok((0, 0)) };
    let header = Header::read(&tile.data)?;
    let whole = pixels(picture.width, picture.height);
    let planes = whole.saturating_mul(halves(header.kind) * header.kind.bytes()).div_ceil(2);
    let decoding = match intra::needs(tile)? {
        // Samples become bytes plane by plane.
        Some(frame) => frame.saturating_add(
            pixels(tile.width, tile.height).saturating_mul(halves(header.kind) * header.kind.bytes()).div_ceil(2),
        ),
        None => pixels(tile.width, tile.height).saturating_mul(of_frame(&header)),
    };
    let canvas = if picture.grid == (1, 1) { 0 } else { planes };
    Ok((planes, decoding.saturating_add(canvas)))
}

fn pixels(width: u32, height: u32) -> usize {
    (width as usize).saturating_mul(height as usize)
}
