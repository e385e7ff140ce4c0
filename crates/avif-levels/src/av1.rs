//! The frame that is to be shown of an item's or a sample's data.

use std::iter::once;

use oxideav_av1::decoder::{SpecDecodeSession, SpecFrame};
use oxideav_av1::sequence_header::parse_sequence_header;

use crate::Env;
use crate::error::{Error, Result, look};
use crate::header::{Header, fault, fits};
use crate::intra;
use crate::planes::{Plane, Planes};
use crate::tile::Tile;
use crate::units::{Step, Steps, kind};

/// Frames that the one to be shown may need before it.
pub const MOST_FRAMES: usize = 32;

/// Which of the frames is the one.
#[derive(Clone, Copy)]
enum Wanted {
    /// The first that is shown.
    First,
    /// The first of this spatial layer, or the last of a lower one where `or_lower`.
    Layer { layer: u8, or_lower: bool },
}

/// A decoder of any picture.
struct Session {
    decoder: SpecDecodeSession,
    header: Option<Header>,
}

impl Session {
    /// For frames that have at most the tile's size.
    pub fn new(tile: &Tile<'_>) -> Result<Self> {
        let mut decoder = SpecDecodeSession::new();
        let pixels = u64::from(tile.width) * u64::from(tile.height);
        decoder.set_max_picture_size(u32::try_from(pixels).unwrap_or(u32::MAX));
        decoder.set_operating_point(tile.operating_point).map_err(fault)?;
        Ok(Self { decoder, header: None })
    }

    /// The frames that a step shows, none or one; of a sequence header none.
    fn step(&mut self, step: &Step<'_>) -> Result<Option<SpecFrame>> {
        let frames = self.decoder.decode_temporal_unit(&step.bytes).map_err(fault)?;
        if step.first.kind == kind::SEQUENCE_HEADER {
            self.header = Some(Header::of(&parse_sequence_header(step.first.payload).map_err(fault)?));
            return Ok(None);
        }
        Ok(frames.into_iter().next())
    }

    /// Frees what the decoder keeps.
    fn into_header(self) -> Option<Header> {
        self.header
    }
}

/// The planes of a tile, whose frame has at most the tile's own size.
pub fn decode(tile: &Tile<'_>, env: &Env<'_>) -> Result<(Planes, Header)> {
    match intra::decode(tile, env)? {
        Some(planes) => Ok(planes),
        None => decode_any(tile, env),
    }
}

/// The same of any kind of frame.
pub fn decode_any(tile: &Tile<'_>, env: &Env<'_>) -> Result<(Planes, Header)> {
    let mut session = Session::new(tile)?;
    let (mut wanted, mut best) = (Wanted::First, None);
    for (count, step) in Steps::new(&tile.data).enumerate() {
        look(env)?;
        if count >= 2 * MOST_FRAMES {
            return Err(Error::TooMuch("it has too many frames before the one to be shown"));
        }
        let step = step?;
        let frame = session.step(&step)?;
        if step.first.kind == kind::SEQUENCE_HEADER {
            wanted = wanted_frame(tile, session.decoder.operating_point_idc());
            continue;
        }
        let Some(frame) = frame else { continue };
        let layer = step.first.spatial_layer;
        match wanted {
            Wanted::Layer { layer: wanted, .. } if layer != wanted => best = Some(frame),
            _ => return planes(frame, session.into_header(), tile),
        }
    }
    match (wanted, best) {
        (Wanted::Layer { or_lower: true, .. }, Some(frame)) => planes(frame, session.into_header(), tile),
        _ => Err(Error::Av1("no frame to be shown")),
    }
}

fn wanted_frame(tile: &Tile<'_>, operating_point: u16) -> Wanted {
    match (tile.layer, operating_point >> 8) {
        (Some(layer), _) => Wanted::Layer { layer, or_lower: false },
        (None, 0) => Wanted::First,
        // The highest one in use.
        (None, layers) => Wanted::Layer { layer: layers.ilog2() as u8, or_lower: true },
    }
}

fn planes(frame: SpecFrame, header: Option<Header>, tile: &Tile<'_>) -> Result<(Planes, Header)> {
    let header = header.ok_or(Error::Av1("no sequence header"))?;
    fits((frame.width, frame.height), tile)?;
    let mut all = [Plane::NONE; 3];
    for (to, plane) in all.iter_mut().zip(frame.planes) {
        *to = if header.kind.bytes() == 1 {
            Plane::Bytes(plane)
        } else {
            let levels = plane.as_chunks().0;
            Plane::new(header.kind, levels.len(), once(levels.iter().map(|&level| u16::from_le_bytes(level))))?
        };
    }
    let planes = Planes::new(frame.width as usize, frame.height as usize, header.kind, all);
    Ok((planes.ok_or(Error::Av1("a frame is not what its header says"))?, header))
}
