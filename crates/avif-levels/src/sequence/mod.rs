//! The pictures of an image sequence, one after the other.

use isobmff::{File, Samples};

use self::session::Session;
use crate::error::{Error, Result};
use crate::picture::{Picture, Tracks};
use crate::tile::Tile;
use crate::{Env, multiplied, rgb};

mod filters;
mod frame;
mod inter;
mod references;
mod session;
mod walk;

/// Samples that a sequence may have: a table of their times is made.
const MOST_SAMPLES: u32 = 1 << 20;

/// A sequence of AV1 frames, which refer to those before them. Frames are given as Pillow gives them: neither turned nor cropped, and
/// without their alpha channel.
pub struct Sequence<'a> {
    picture: Picture<'a>,
    samples: Samples<'a>,
    /// Ticks a second.
    timescale: u32,
    colours: Session,
    /// Of the alpha channel that colours are multiplied by.
    alpha: Option<(Samples<'a>, Session)>,
    next: u32,
}

impl<'a> Sequence<'a> {
    /// `None` where the file shows a single picture.
    pub fn new(bytes: &'a [u8]) -> Result<Option<Self>> {
        let file = File::read(bytes)?;
        if !Picture::is_in_sequence(&file) {
            return Ok(None);
        }
        let Tracks { picture, colours, alpha } = Picture::of_sequence(&file)?;
        if colours.samples.count() < 2 {
            return Ok(None);
        }
        if colours.samples.count() > MOST_SAMPLES {
            return Err(Error::TooMuch("the sequence has too many pictures"));
        }
        let alpha = match (&picture.multiplied, alpha) {
            (Some(_), Some(track)) => Some((track.samples, Session::default())),
            _ => None,
        };
        let (samples, timescale) = (colours.samples, colours.timescale);
        Ok(Some(Self { picture, samples, timescale, colours: Session::default(), alpha, next: 0 }))
    }

    /// Pixels in a row.
    pub fn width(&self) -> usize {
        self.picture.width as usize
    }

    /// Rows of pixels.
    pub fn height(&self) -> usize {
        self.picture.height as usize
    }

    /// EXIF's number from 2 to 8 for how the track turns its pictures, `None` where it does not.
    pub fn turn(&self) -> Option<u8> {
        self.picture.turn.exif()
    }

    /// How long each picture is shown, in milliseconds. Nothing is decoded for that.
    pub fn durations(&self) -> Result<Vec<u32>> {
        let mut durations = Vec::new();
        let count = self.samples.count() as usize;
        durations.try_reserve_exact(count).map_err(|_| Error::OutOfMemory(4 * count))?;
        for ticks in self.samples.durations().take(count) {
            let milliseconds = u64::from(ticks) * 1000 / u64::from(self.timescale.max(1));
            durations.push(u32::try_from(milliseconds).unwrap_or(u32::MAX));
        }
        // Of samples that no row of the table is about.
        durations.resize(count, 0);
        Ok(durations)
    }

    /// The next picture, three bytes a pixel.
    ///
    /// Fails with [`Error::Damaged`] after the last one.
    pub fn next(&mut self, env: &Env<'_>) -> Result<Vec<u8>> {
        let (planes, header) = self.colours.next(&tile(&self.picture, &self.samples, self.next)?, env)?;
        let colour = self.picture.colour.unwrap_or(header.colour);
        let alpha = match (&mut self.alpha, &self.picture.multiplied) {
            (Some((samples, session)), Some(picture)) => Some(session.next(&tile(picture, samples, self.next)?, env)?),
            _ => None,
        };
        self.next += 1;
        let Some((alpha, of_alpha)) = alpha else {
            return rgb::convert(planes, colour, self.picture.alpha, env);
        };
        let kind = planes.kind;
        multiplied::check(kind, colour)?;
        let mut pixels = rgb::convert(planes, colour, true, env)?;
        multiplied::divide(&mut pixels, &alpha, of_alpha.colour.full_range, kind.depth, env)?;
        Ok(pixels)
    }
}

/// A sample as a picture of the sequence's size.
fn tile<'a>(picture: &Picture<'a>, samples: &Samples<'a>, i: u32) -> Result<Tile<'a>> {
    let data = samples.get(i)?.data.into();
    Ok(Tile { data, width: picture.width, height: picture.height, layer: None, operating_point: 0 })
}
