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
    let Some((kind, decoding)) = of_picture(picture)? else { return Ok(0) };
    let area = pixels(picture.width, picture.height);
    let planes = of_planes(kind, area);
    // Two of three planes have room for pixels, which are copied to where the third was.
    let rgb = if kind.has_room() { area } else { area.saturating_mul(3) };
    let (alpha, decoding_alpha) = match picture.multiplied.as_deref() {
        Some(alpha) => of_picture(alpha)?.map_or((0, 0), |(kind, decoding)| (of_planes(kind, area), decoding)),
        None => (0, 0),
    };
    let most =
        decoding.max(planes.saturating_add(decoding_alpha)).max(planes.saturating_add(alpha).saturating_add(rgb));
    Ok(most.saturating_add(TABLES))
}

/// What its levels are, and the bytes until they are there.
fn of_picture(picture: &Picture<'_>) -> Result<Option<(Kind, usize)>> {
    let Some(tile) = picture.tiles.first() else { return Ok(None) };
    let header = Header::read(&tile.data)?;
    let area = pixels(tile.width, tile.height);
    let decoding = match intra::needs(tile)? {
        Some(frame) => frame,
        None => area.saturating_mul(of_frame(&header)),
    };
    let whole = pixels(picture.width, picture.height);
    let canvas = if picture.grid == (1, 1) { 0 } else { of_planes(header.kind, whole) };
    Ok(Some((header.kind, decoding.saturating_add(canvas))))
}

fn of_planes(kind: Kind, area: usize) -> usize {
    area.saturating_mul(halves(kind) * kind.bytes()).div_ceil(2)
}

fn pixels(width: u32, height: u32) -> usize {
    (width as usize).saturating_mul(height as usize)
}
