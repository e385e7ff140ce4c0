//! From coded pictures to the one that is shown.

use hevc_decoder::{Format, Row};
use isobmff::Nclx;

use crate::Env;
use crate::convert::Converter;
use crate::error::{Error, Result};
use crate::planes::{self, Planes, zeroed};
use crate::source::Source;
use crate::turn::Part;

/// Pixels that may be decoded of small pictures, and how many times as many of others.
const ALLOWED: usize = 4 << 20;
const MOST_TIMES: usize = 4;

/// What is coded is more than [`allowed`].
pub const LARGER: Error = Error::TooMuch("what is coded is much larger than the picture");

/// Pixels that may be decoded for a picture of this size.
pub fn allowed(width: usize, height: usize) -> usize {
    width.saturating_mul(height).saturating_mul(MOST_TIMES).saturating_add(ALLOWED)
}

/// A black picture.
pub fn canvas(width: usize, height: usize, env: &Env) -> Result<Vec<u8>> {
    let len = width.checked_mul(height).and_then(|area| area.checked_mul(3));
    let len = len.ok_or(Error::TooMuch("the picture is too large"))?;
    (env.zeroed)(len).filter(|bytes| bytes.len() == len).ok_or(Error::OutOfMemory(len))
}

/// Bytes beside those of the picture shown.
pub fn needs(source: &Source) -> Result<usize> {
    let (mut most, mut work, mut kept) = (0, 0usize, 0);
    let allowed = allowed(source.turn.width, source.turn.height);
    for (i, _) in places(source) {
        let coded = source.coded(i)?;
        let picture = coded.picture()?;
        let (width, height) = picture.coded()?;
        work = work.saturating_add(width.saturating_mul(height));
        if work > allowed {
            return Err(LARGER);
        }
        let format = picture.format()?;
        if let Some(part) = source.turn.upsampled
            && Converter::is_upsampled(&coded.colours(&picture, source.colours)?, format.chroma)
        {
            kept = planes::needs(part, format.chroma);
        }
        most = most.max(picture.needs()?.saturating_add(coded.copied()));
    }
    Ok(most.saturating_add(kept).saturating_add(3 * source.width.max(source.tile.0)))
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
    let mut painter = Painter::new(source, env)?;
    for (i, place) in places(source) {
        let coded = source.coded(i)?;
        let picture = coded.picture()?;
        let format = picture.format()?;
        let colours = coded.colours(&picture, source.colours)?;
        painter.tile(place, &format, colours, |sink| Ok(picture.decode(env.go_on, sink)?))?;
    }
    painter.finish()
}

/// The picture as it is painted, tile by tile.
pub struct Painter<'p> {
    source: &'p Source<'p>,
    env: &'p Env<'p>,
    canvas: Vec<u8>,
    line: Vec<u8>,
    /// Of the first tile: its colours are the grid's.
    first: Option<(Format, Nclx)>,
    planes: Option<Planes>,
}

impl<'p> Painter<'p> {
    /// With a black canvas.
    pub fn new(source: &'p Source<'p>, env: &'p Env<'p>) -> Result<Self> {
        let canvas = canvas(source.turn.width, source.turn.height, env)?;
        let line = zeroed(3 * source.width.max(source.tile.0))?;
        Ok(Self { source, env, canvas, line, first: None, planes: None })
    }

    /// A tile at this place. `rows` hands out its rows.
    pub fn tile(
        &mut self,
        place: (usize, usize),
        format: &Format,
        colours: Nclx,
        rows: impl FnOnce(&mut dyn FnMut(Row)) -> Result<()>,
    ) -> Result<()> {
        let Self { source, canvas, line, first, planes, .. } = self;
        let (known, colours) = *first.get_or_insert((*format, colours));
        if (format.width, format.height) != source.tile || (format.chroma, format.depth) != (known.chroma, known.depth)
        {
            return Err(Error::Damaged("tiles of a grid are of different kinds"));
        }
        if let Some(part) = source.turn.upsampled
            && Converter::is_upsampled(&colours, format.chroma)
        {
            if planes.is_none() {
                *planes = Some(Planes::new(part, format.chroma)?);
            }
            return match planes {
                Some(planes) => rows(&mut |row| planes.lay(place, &row)),
                None => Ok(()),
            };
        }
        let converter = Converter::new(format, &colours, false, source.planar)?;
        let shown = (source.width - place.0).min(source.tile.0);
        rows(&mut |row| {
            let y = place.1 + row.y;
            if y < source.height {
                lay(source, place.0, y, shown, canvas, line, |line| converter.row(&row, line));
            }
        })
    }

    /// The canvas, with what had to wait for all tiles.
    pub fn finish(self) -> Result<Vec<u8>> {
        let Self { source, env, mut canvas, mut line, first, planes } = self;
        if let (Some(planes), Some((format, colours))) = (planes, first) {
            let converter = Converter::new(&format, &colours, true, source.planar)?;
            let Part { left, top, width, .. } = planes.part;
            planes.rows(env, |row| {
                lay(source, left, top + row.y, width, &mut canvas, &mut line, |line| converter.row(&row, line));
            })?;
        }
        Ok(canvas)
    }
}

/// A row of pixels into its place.
fn lay(
    source: &Source,
    x: usize,
    y: usize,
    count: usize,
    canvas: &mut [u8],
    line: &mut [u8],
    convert: impl FnOnce(&mut [u8]),
) {
    let Some(row) = source.turn.row(x, y, count) else { return };
    convert(line);
    put(row, line.as_chunks().0, canvas.as_chunks_mut().0);
}

/// What of a row of pixels is shown, as [`Turn::row`](crate::turn::Turn::row) says it.
pub fn put((from, to, place, step): (usize, usize, usize, isize), line: &[[u8; 3]], pixels: &mut [[u8; 3]]) {
    let line = line.get(from..to).unwrap_or_default();
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
}
