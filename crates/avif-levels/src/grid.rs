//! Tiles put together.

use crate::Env;
use crate::av1;
use crate::colour::Colour;
use crate::error::{Error, Result};
use crate::header::Header;
use crate::picture::Picture;
use crate::planes::{Planes, Subsampling};

/// The levels as coded, and what colours they are.
pub fn decode(picture: &Picture<'_>, env: &Env<'_>) -> Result<(Planes, Colour)> {
    let first = picture.tiles.first().ok_or(Error::Damaged("a grid has no tiles"))?;
    if picture.grid == (1, 1) && (first.width, first.height) == (picture.width, picture.height) {
        let (planes, header) = av1::decode(first, env)?;
        return Ok((planes, picture.colour.unwrap_or(header.colour)));
    }
    let header = Header::read(&first.data)?;
    check_chroma(picture, header.kind.chroma)?;
    let (width, height) = (picture.width as usize, picture.height as usize);
    let mut canvas = Planes::zeroed(width, height, header.kind, env)?;
    let (tile_width, tile_height) = (first.width as usize, first.height as usize);
    let places = (0..picture.grid.1 as usize).flat_map(|y| (0..picture.grid.0 as usize).map(move |x| (x, y)));
    for (tile, (x, y)) in picture.tiles.iter().zip(places) {
        let (planes, of) = av1::decode(tile, env)?;
        if (of.kind, of.colour) != (header.kind, header.colour) {
            return Err(Error::Damaged("tiles are of different kinds"));
        }
        // Within the picture, or nearly.
        canvas.paste(&planes, x * tile_width, y * tile_height);
    }
    Ok((canvas, picture.colour.unwrap_or(header.colour)))
}

/// Chroma begins where a tile does.
fn check_chroma(picture: &Picture<'_>, chroma: Option<Subsampling>) -> Result<()> {
    let (Some(tile), Some(Subsampling { across, down })) = (picture.tiles.first(), chroma) else { return Ok(()) };
    let (columns, rows) = picture.grid;
    if across && columns > 1 && tile.width % 2 == 1 || down && rows > 1 && tile.height % 2 == 1 {
        return Err(Error::Damaged("tiles of odd sizes with subsampled chroma"));
    }
    Ok(())
}
