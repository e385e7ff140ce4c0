//! Decodes AV1 pictures that are predicted from no other, as nearly all AVIF files have them.
//!
//! **Reads** key frames that are shown, of 8, 10 and 12 bits, 4:0:0 to 4:4:4, with tiles, segments, quantizer matrices, palettes, copies
//! within the picture and all filters. Headers are those of `oxideav-av1`, which decodes what is not read here: film grain, frames that
//! are enlarged, and pictures that are predicted from others.
//!
//! **Follows** the standard (AV1 Bitstream & Decoding Process Specification, version 1.0.0 with errata 1).
//!
//! **Hostile bytes.** Safe Rust; each block is decoded once, whatever the data say. Memory is told by [`Frame::needs`].

#![forbid(unsafe_code)]

mod block;
mod cdef;
mod cdfs;
mod cfl;
mod coefficients;
mod context;
mod copies;
mod deblock;
mod decoded;
mod directional;
mod edges;
mod error;
mod frame;
mod modes;
mod names;
mod palette;
mod partition;
mod predict;
mod quantizer;
mod residual;
mod restoration;
mod restore;
mod scratch;
mod self_guided;
mod setup;
mod stripe;
mod symbols;
mod tile;
mod tiles;
mod transform;
mod unit;
mod waves;

pub use error::{Error, Result};
use oxideav_av1::frame_header::FrameHeader;
use oxideav_av1::sequence_header::SequenceHeader;

/// Samples of a plane.
#[derive(Clone, Debug)]
pub struct Plane(frame::Plane);

impl Plane {
    pub fn width(&self) -> usize {
        self.0.width
    }

    pub fn height(&self) -> usize {
        self.0.height
    }

    /// A row, from the top.
    pub fn row(&self, y: usize) -> &[u16] {
        self.0.row(y, 0).get(..self.0.width).unwrap_or_default()
    }

    /// All rows without gaps, where they were.
    pub fn into_samples(self) -> Vec<u16> {
        let frame::Plane { mut data, stride, width, height } = self.0;
        for y in 1..height {
            let start = y * stride;
            if start + width <= data.len() {
                data.copy_within(start..start + width, y * width);
            }
        }
        data.truncate(width * height);
        data
    }
}

/// A frame that is of the kind that is decoded here.
pub struct Frame<'h>(setup::Setup<'h>);

impl<'h> Frame<'h> {
    /// `None` where the frame is of another kind.
    pub fn new(seq: &'h SequenceHeader, header: &'h FrameHeader) -> Option<Self> {
        setup::Setup::new(seq, header).map(Self)
    }

    /// Bytes that decoding takes at most.
    pub fn needs(&self) -> usize {
        frame::needs(&self.0)
    }

    /// Bytes of what it gives.
    pub fn kept(&self) -> usize {
        frame::kept(&self.0)
    }

    /// Luma and chroma samples. `groups`: tile groups, in their order. `go_on` is asked before each superblock.
    pub fn decode(&self, groups: &[&[u8]], go_on: &dyn Fn() -> bool) -> Result<Vec<Plane>> {
        let setup = &self.0;
        let mut tiles = Vec::new();
        for group in groups {
            tiles::read(setup.tiles, group, &mut tiles)?;
        }
        let mut tiles = tiles.into_iter();
        let mut frame = frame::Frame::new(setup)?;
        for rows in setup.tiles.mi_row_starts.windows(2) {
            for cols in setup.tiles.mi_col_starts.windows(2) {
                let data = tiles.next().ok_or(Error::Damaged("a tile is missing"))?;
                let of = |ends: &[u32]| ends[0] as usize..ends[1] as usize;
                tile::Tile::new(setup, &mut frame, data, of(rows), of(cols))?.decode(go_on)?;
            }
        }
        if !deblock::deblock(setup, &mut frame, go_on) {
            return Err(Error::Stopped);
        }
        let mut borders = Vec::new();
        for plane in 0..setup.planes {
            borders.push(restore::Borders::of(setup, &frame, plane)?);
        }
        cdef::filter(setup, &mut frame, go_on)?;
        restore::restore(setup, &mut frame, &borders, go_on)?;
        Ok(frame.planes.into_iter().map(Plane).collect())
    }
}
