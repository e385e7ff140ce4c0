//! Frames one after the other, each with those that it refers to.
//!
//! `oxideav-av1` reads the blocks. Its own sessions are not used, as they keep key frames that may have other levels than the standard's:
//! here those of `av1-intra` are kept, and later frames are predicted from them.

use std::iter::once;
use std::sync::Arc;

use oxideav_av1::film_grain::film_grain_synthesis;
use oxideav_av1::frame_header::{FrameHeader, parse_frame_header_with_refs};
use oxideav_av1::sequence_header::{SequenceHeader, parse_sequence_header};

use super::filters::{Raw, lend};
use super::frame;
use super::references::{References, SLOTS, Stored};
use super::walk::Walk;
use crate::Env;
use crate::av1::MOST_FRAMES;
use crate::error::{Error, Result, look};
use crate::header::{Header, LARGER, fault, fits};
use crate::planes::{Kind, Plane, Planes};
use crate::tile::Tile;
use crate::units::{Step, Steps, kind};

#[derive(Default)]
pub struct Session {
    seq: Option<SequenceHeader>,
    /// `OperatingPointIdc` of the first operating point.
    layers: u16,
    references: References,
}

impl Session {
    /// The frame that the next sample of a sequence shows. All of the sample is decoded, as later ones may refer to it.
    pub fn next(&mut self, tile: &Tile<'_>, env: &Env<'_>) -> Result<(Planes, Header)> {
        let mut shown = None;
        for (count, step) in Steps::new(&tile.data).enumerate() {
            look(env)?;
            if count >= 2 * MOST_FRAMES {
                return Err(Error::TooMuch("a picture of the sequence has too many frames"));
            }
            let frame = self.step(&step?, tile, env)?;
            shown = shown.or(frame);
        }
        let seq = self.seq.as_ref().ok_or(Error::Av1("no sequence header"))?;
        let header = Header::of(seq);
        let frame = shown.ok_or(Error::Av1("no frame to be shown"))?;
        Ok((planes(&frame, seq, header.kind, tile)?, header))
    }

    /// The frame that a step shows, if it does.
    fn step(&mut self, step: &Step<'_>, tile: &Tile<'_>, env: &Env<'_>) -> Result<Option<Arc<Stored>>> {
        if step.first.kind == kind::SEQUENCE_HEADER {
            let seq = parse_sequence_header(step.first.payload).map_err(fault)?;
            self.layers = seq.operating_points.first().map_or(0, |point| point.operating_point_idc);
            self.seq = Some(seq);
            return Ok(None);
        }
        if !step.first.is_of(self.layers) {
            return Ok(None);
        }
        let seq = self.seq.as_ref().ok_or(Error::Av1("no sequence header"))?;
        let header = parse_frame_header_with_refs(step.first.payload, seq, &self.references.info).map_err(fault)?;
        if header.show_existing_frame {
            return self.show_again(&header).map(Some);
        }
        let walk = Walk::new(seq, &header)?;
        let pixels = |width: u32, height: u32| u64::from(width) * u64::from(height);
        if pixels(walk.size.upscaled_width, walk.size.frame_height) > pixels(tile.width, tile.height) {
            return Err(LARGER);
        }
        let groups = step.groups(header.bits_consumed)?;
        let stored = Arc::new(frame::decode(&walk, &groups, &self.references, env)?);
        self.references.store(&header, &stored);
        Ok(header.show_frame.then_some(stored))
    }

    fn show_again(&mut self, header: &FrameHeader) -> Result<Arc<Stored>> {
        let slot = header.frame_to_show_map_idx.map(usize::from).filter(|&slot| slot < SLOTS);
        let stored = slot.and_then(|slot| self.references.slots[slot].clone());
        let (Some(slot), Some(stored)) = (slot, stored) else {
            return Err(Error::Av1("a frame is to be shown that is not there"));
        };
        self.references.reload(slot, header.refresh_frame_flags);
        Ok(stored)
    }
}

/// Levels as they are shown, with their grain.
fn planes(frame: &Stored, seq: &SequenceHeader, kind: Kind, tile: &Tile<'_>) -> Result<Planes> {
    let size = frame.planes.first().map(|luma| (luma.width, luma.height)).unwrap_or_default();
    fits(size, tile)?;
    let mut raw = Vec::new();
    if let Some(grain) = &frame.grain {
        for plane in &frame.planes {
            let mut samples = Vec::new();
            samples.try_reserve_exact(plane.data.len()).map_err(|_| Error::OutOfMemory(4 * plane.data.len()))?;
            samples.extend(plane.data.iter().map(|&sample| i32::from(sample)));
            raw.push(Raw { rows: plane.height, cols: plane.width, samples });
        }
        let colour = &seq.color_config;
        film_grain_synthesis(
            grain,
            colour.bit_depth,
            colour.num_planes,
            u8::from(colour.subsampling_x),
            u8::from(colour.subsampling_y),
            colour.matrix_coefficients,
            &mut lend(&mut raw),
        );
    }
    let most = (1u16 << kind.depth) - 1;
    let mut all = [Plane::NONE; 3];
    for (i, (to, plane)) in all.iter_mut().zip(&frame.planes).enumerate() {
        let len = plane.data.len();
        *to = match raw.get(i) {
            Some(raw) => {
                let samples = raw.samples.iter().map(|&sample| sample.clamp(0, most.into()) as u16);
                Plane::new(kind, len, once(samples))?
            }
            None => Plane::new(kind, len, once(plane.data.iter().map(|&sample| sample.min(most))))?,
        };
    }
    Planes::new(tile.width as usize, tile.height as usize, kind, all)
        .ok_or(Error::Av1("a frame is not what its header says"))
}
