//! From coded pictures to the one that is shown.

use hevc_intra::{Picture, Row};

use crate::Env;
use crate::convert::Converter;
use crate::error::{Error, Result};
use crate::source::Source;

/// Pixels that may be decoded of small pictures, and how many times as many of others.
const ALLOWED: usize = 4 << 20;
const MOST_TIMES: usize = 4;

/// Bytes beside those of the picture shown.
pub fn needs(source: &Source) -> Result<usize> {
    let (mut most, mut work) = (0, 0usize);
    let allowed = source.width.saturating_mul(source.height).saturating_mul(MOST_TIMES).saturating_add(ALLOWED);
    for (i, _) in places(source) {
        let coded = source.coded(i)?;
        let picture = coded.picture()?;
        let (width, height) = picture.coded()?;
        work = work.saturating_add(width.saturating_mul(height));
        if work > allowed {
            return Err(Error::TooMuch("its tiles are much larger than the picture"));
        }
        most = most.max(picture.needs()?.saturating_add(coded.copied()).saturating_add(3 * width));
    }
    Ok(most)
}

/// The tiles that are at least in part within the picture, and where they are.
fn places(source: &Source) -> impl Iterator<Item = (usize, (usize, usize))> + use<> {
    let (columns, tile) = (source.grid.columns as usize, source.tile);
    let (width, height) = (source.width, source.height);
    (0..source.count())
        .map(move |i| (i, (i % columns * tile.0, i / columns * tile.1)))
        .filter(move |(_, (x, y))| *x < width && *y < height)
}

pub fn decode(source: &Source, env: &Env) -> Result<Vec<u8>> {
    needs(source)?;
    let len = source.turn.width.checked_mul(source.turn.height).and_then(|area| area.checked_mul(3));
    let len = len.ok_or(Error::TooMuch("the picture is too large"))?;
    let mut canvas = (env.zeroed)(len).filter(|bytes| bytes.len() == len).ok_or(Error::OutOfMemory(len))?;
    let mut line = Vec::new();
    let wide = 3 * source.tile.0;
    line.try_reserve_exact(wide).map_err(|_| Error::OutOfMemory(wide))?;
    line.resize(wide, 0);
    let mut colours = None;
    let mut chroma = None;
    for (i, place) in places(source) {
        let coded = source.coded(i)?;
        let picture = coded.picture()?;
        let format = picture.format()?;
        if (format.width, format.height) != source.tile || *chroma.get_or_insert(format.chroma) != format.chroma {
            return Err(Error::Damaged("tiles of a grid are of different kinds"));
        }
        // Those of the first tile are the grid's.
        let own = coded.colours(&picture, source.colours)?;
        let converter = Converter::new(&format, colours.get_or_insert(own), source.turn.upsampled)?;
        lay(source, &picture, &converter, place, &mut line, &mut canvas, env)?;
    }
    Ok(canvas)
}

/// Decodes a tile into its place.
fn lay(
    source: &Source,
    picture: &Picture,
    converter: &Converter,
    (x, y): (usize, usize),
    line: &mut [u8],
    canvas: &mut [u8],
    env: &Env,
) -> Result<()> {
    let pixels = canvas.as_chunks_mut::<3>().0;
    let shown = (source.width - x).min(source.tile.0);
    picture.decode(env.go_on, &mut |row: Row| {
        if y + row.y >= source.height {
            return;
        }
        let Some((from, to, place, step)) = source.turn.row(x, y + row.y, shown) else { return };
        converter.row(&row, line);
        let line = line.as_chunks::<3>().0.get(from..to).unwrap_or_default();
        if step == 1 {
            if let Some(out) = pixels.get_mut(place..place + line.len()) {
                out.copy_from_slice(line);
            }
            return;
        }
        let mut place = place;
        for pixel in line {
            if let Some(out) = pixels.get_mut(place) {
                *out = *pixel;
            }
            place = place.wrapping_add_signed(step);
        }
    })?;
    Ok(())
}
