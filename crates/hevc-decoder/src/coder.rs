//! Where the decoding of a slice segment is, and what it makes.

use crate::cabac::Cabac;
use crate::contexts::{self, Contexts};
use crate::interpolate::Blocks;
use crate::map::{Cell, Ctbs, Map};
use crate::motion::Field;
use crate::plane::Plane;
use crate::pps::Pps;
use crate::references::Prediction;
use crate::scratch::Scratch;
use crate::slice::Slice;
use crate::sps::Sps;

/// The samples, and what is known of them.
pub struct Picture {
    /// Luma, blue and red chroma. Those of chroma are empty in monochrome pictures.
    pub planes: [Plane; 3],
    /// What is known of each 4 x 4 luma samples.
    pub map: Map,
    /// How blocks of P and B slices have moved.
    pub motion: Field,
    /// It is a still picture, whose levels are to be those of libde265, faults and all. Sequences follow the standard.
    pub still: bool,
    /// What is known of each coding tree block.
    pub ctbs: Ctbs,
}

/// Where a slice segment's decoding is.
pub struct Coder<'a> {
    /// The sequence parameter set.
    pub sps: &'a Sps,
    /// The picture parameter set.
    pub pps: &'a Pps,
    /// The slice that the segment is in.
    pub slice: Slice,
    /// See [`Cell::region`].
    pub region: u16,
    /// The segment's data.
    pub cabac: Cabac<'a>,
    /// As they have been learnt so far.
    pub contexts: Contexts,
    /// Of the coding unit at hand; before it, of the one before it.
    pub qp: i32,
    /// What is predicted for the quantisation group.
    pub predicted_qp: i32,
    /// The quantisation group has said its difference.
    pub qp_delta_read: bool,
    /// The coding unit is coded without loss.
    pub bypass: bool,
    /// See [`Picture::still`].
    pub still: bool,
    /// Room for a block at work.
    pub scratch: Box<Scratch>,
    /// How the slice is predicted from other pictures, if it is.
    pub prediction: Option<&'a Prediction<'a>>,
    /// Room for blocks of other pictures, in such slices.
    pub blocks: Option<Box<Blocks>>,
}

/// A coding unit.
#[derive(Clone, Copy, Debug)]
pub struct CodingUnit {
    /// Luma samples to its left.
    pub x: usize,
    /// Luma samples above it.
    pub y: usize,
    /// Of its side in luma samples, 3 to 6.
    pub log2: u32,
    /// Its four quarters are predicted apart, each from its neighbours.
    pub parts: bool,
    /// It is predicted from other pictures.
    pub inter: bool,
    /// Its transform tree is split at least once.
    pub split: bool,
    /// How deep its transform tree may be.
    pub most_depth: u32,
    /// The luma modes of its quarters, all the same where it is whole.
    pub luma_modes: [u8; 4],
    /// The chroma modes of its quarters. Only 4:4:4 has more than one.
    pub chroma_modes: [u8; 4],
}

impl<'a> Coder<'a> {
    /// The quantiser begins anew with slices, tiles, and rows coded as wavefronts.
    pub fn reset_qp(&mut self) {
        self.qp = self.slice.qp;
    }

    /// Contexts begin anew with slices and tiles.
    pub fn reset_contexts(&mut self) {
        self.contexts = contexts::new(self.slice.contexts, self.slice.qp);
    }

    /// A bit by the context of that number.
    pub fn decision(&mut self, context: u8) -> bool {
        self.cabac.decision(&mut self.contexts[usize::from(context)])
    }

    /// What is known to the left, where that is decoded and in the same slice and tile.
    pub fn left<'m>(&self, map: &'m Map, x: usize, y: usize) -> Option<&'m Cell> {
        map.at(x.checked_sub(1)?, y).filter(|cell| cell.region == self.region)
    }

    /// And above.
    pub fn above<'m>(&self, map: &'m Map, x: usize, y: usize) -> Option<&'m Cell> {
        map.at(x, y.checked_sub(1)?).filter(|cell| cell.region == self.region)
    }

    /// Whether the deblocking filter goes over the left and upper border.
    pub fn open_borders(&self, picture: &Picture, x: usize, y: usize) -> (bool, bool) {
        if self.slice.deblocking.disabled {
            return (false, false);
        }
        let (log2, ctbs) = (self.sps.ctb_log2, &picture.ctbs);
        let inside = (1usize << log2) - 1;
        let (column, row) = (x >> log2, y >> log2);
        let open = |place: usize, column: usize, row: usize| {
            let (here, other) = (ctbs.at(x >> log2, y >> log2), ctbs.at(column, row));
            place & inside > 0 || ctbs.may_cross(&here, &other)
        };
        (x > 0 && open(x, column.saturating_sub(1), row), y > 0 && open(y, column, row.saturating_sub(1)))
    }
}
