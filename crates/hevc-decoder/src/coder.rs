//! Coding tree blocks: from syntax to samples before any filter (clauses 7.3.8 and 8.6).

use crate::cabac::Cabac;
use crate::contexts::{self, Contexts, at};
use crate::error::{Error, Result};
use crate::interpolate::Blocks;
use crate::intra::{DC, HORIZONTAL, PLANAR, VERTICAL};
use crate::map::{Cell, Ctb, Ctbs, EXACT, Map, Offset};
use crate::motion::Field;
use crate::plane::Plane;
use crate::pps::Pps;
use crate::reconstruct::Scratch;
use crate::references::Prediction;
use crate::slice::Slice;
use crate::sps::{Chroma, Sps};
use crate::transform_tree::Unit;

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

    /// The block in this column and row.
    pub fn coding_tree_block(&mut self, picture: &mut Picture, column: usize, row: usize) -> Result<()> {
        if self.slice.sao_luma || self.slice.sao_chroma {
            self.offsets(&mut picture.ctbs, column, row)?;
        }
        let log2 = self.sps.ctb_log2;
        self.quadtree(picture, column << log2, row << log2, log2, 0)?;
        self.cabac.check()
    }

    /// Sample adaptive offset (clause 7.3.8.3).
    fn offsets(&mut self, ctbs: &mut Ctbs, column: usize, row: usize) -> Result<()> {
        let here = ctbs.at(column, row);
        let alike = |other: &Ctb| other.slice == here.slice && other.tile == here.tile;
        let left = column.checked_sub(1).map(|column| ctbs.at(column, row)).filter(alike);
        let above = row.checked_sub(1).map(|row| ctbs.at(column, row)).filter(alike);
        let mut offsets = None;
        if let Some(left) = left
            && self.decision(at::SAO_MERGE)
        {
            offsets = Some(left.offsets);
        }
        if offsets.is_none()
            && let Some(above) = above
            && self.decision(at::SAO_MERGE)
        {
            offsets = Some(above.offsets);
        }
        let offsets = match offsets {
            Some(offsets) => offsets,
            None => self.new_offsets(),
        };
        if let Some(ctb) = ctbs.list.get_mut(row * ctbs.columns + column) {
            ctb.offsets = offsets;
        }
        Ok(())
    }

    fn new_offsets(&mut self) -> [Offset; 3] {
        let mut offsets = [Offset::None; 3];
        // Cb and Cr have the same kind and direction.
        let (mut kind, mut direction) = (0, 0);
        for (component, offset) in offsets.iter_mut().enumerate().take(self.sps.chroma.planes()) {
            if !(if component == 0 { self.slice.sao_luma } else { self.slice.sao_chroma }) {
                continue;
            }
            if component < 2 {
                kind = if !self.decision(at::SAO_TYPE) { 0 } else { 1 + u8::from(self.cabac.bypass()) };
            }
            if kind == 0 {
                continue;
            }
            let most = (1 << (self.sps.depth_of(component).min(10) - 5)) - 1;
            let mut levels = [0i16; 4];
            for level in &mut levels {
                *level = self.cabac.bypass_unary(most) as i16;
            }
            if kind == 1 {
                for level in &mut levels {
                    if *level != 0 && self.cabac.bypass() {
                        *level = -*level;
                    }
                }
                *offset = Offset::Band(self.cabac.bypass_bits(5) as u8, levels);
            } else {
                if component < 2 {
                    direction = self.cabac.bypass_bits(2) as u8;
                }
                // Valleys are filled, peaks cut.
                let [a, b, c, d] = levels;
                *offset = Offset::Edge(direction, [a, b, -c, -d]);
            }
        }
        offsets
    }

    fn quadtree(&mut self, picture: &mut Picture, x: usize, y: usize, log2: u32, depth: u8) -> Result<()> {
        let size = 1usize << log2;
        let fits = x + size <= self.sps.width && y + size <= self.sps.height;
        let smallest = log2 <= self.sps.min_cb_log2;
        let split = !smallest && (!fits || self.split(&picture.map, x, y, depth));
        if let Some(most) = self.pps.qp_delta_depth
            && log2 >= self.sps.ctb_log2 - most
        {
            self.quantisation_group(&picture.map, x, y);
        }
        if !split {
            return self.coding_unit(picture, x, y, log2, depth);
        }
        let half = size / 2;
        for (x, y) in [(x, y), (x + half, y), (x, y + half), (x + half, y + half)] {
            if x < self.sps.width && y < self.sps.height {
                self.quadtree(picture, x, y, log2 - 1, depth + 1)?;
            }
        }
        Ok(())
    }

    fn split(&mut self, map: &Map, x: usize, y: usize, depth: u8) -> bool {
        let deeper = |cell: Option<&Cell>| cell.is_some_and(|cell| cell.depth > depth);
        let left = deeper(self.left(map, x, y));
        let above = deeper(self.above(map, x, y));
        self.decision(at::SPLIT_CODING + u8::from(left) + u8::from(above))
    }

    /// What is known to the left, where that is decoded and in the same slice and tile.
    pub fn left<'m>(&self, map: &'m Map, x: usize, y: usize) -> Option<&'m Cell> {
        map.at(x.checked_sub(1)?, y).filter(|cell| cell.region == self.region)
    }

    /// And above.
    pub fn above<'m>(&self, map: &'m Map, x: usize, y: usize) -> Option<&'m Cell> {
        map.at(x, y.checked_sub(1)?).filter(|cell| cell.region == self.region)
    }

    /// Clause 8.6.1.
    fn quantisation_group(&mut self, map: &Map, x: usize, y: usize) {
        let inside = (1usize << self.sps.ctb_log2) - 1;
        let before = self.qp;
        let left = if x & inside > 0 { self.left(map, x, y) } else { None };
        let above = if y & inside > 0 { self.above(map, x, y) } else { None };
        let qp = |cell: Option<&Cell>| cell.map_or(before, |cell| i32::from(cell.qp));
        self.predicted_qp = (qp(left) + qp(above) + 1) >> 1;
        self.qp_delta_read = false;
    }

    fn coding_unit(&mut self, picture: &mut Picture, x: usize, y: usize, log2: u32, depth: u8) -> Result<()> {
        let size = 1usize << log2;
        self.bypass = self.pps.bypass && self.decision(at::BYPASS);
        if self.pps.qp_delta_depth.is_some() && !self.qp_delta_read {
            self.qp = self.predicted_qp;
        }
        let (left, above) = self.open_borders(picture, x, y);
        picture.map.mark(x, y, size, left, above);
        if !(self.prediction.is_some() && self.inter_unit(picture, x, y, log2)?) {
            self.intra_unit(picture, x, y, log2)?;
        }
        let (qp, exact) = (self.qp as i8, if self.bypass { EXACT } else { 0 });
        picture.map.each(x, y, size, |cell| {
            (cell.qp, cell.depth) = (qp, depth);
            cell.flags |= exact;
        });
        Ok(())
    }

    fn intra_unit(&mut self, picture: &mut Picture, x: usize, y: usize, log2: u32) -> Result<()> {
        let parts = log2 == self.sps.min_cb_log2 && !self.decision(at::PARTS);
        if !parts && self.raw_unit(picture, x, y, log2)? {
            return Ok(());
        }
        let mut unit = CodingUnit {
            x,
            y,
            log2,
            parts,
            inter: false,
            split: parts,
            most_depth: self.sps.max_depth_intra + u32::from(parts),
            luma_modes: [DC; 4],
            chroma_modes: [DC; 4],
        };
        self.luma_modes(&mut picture.map, &mut unit);
        self.chroma_modes(&mut unit);
        let root = Unit::root(&unit, self.sps.chroma != Chroma::Monochrome);
        self.transform_tree(picture, &unit, root)
    }

    /// Whether the deblocking filter goes over the left and upper border.
    fn open_borders(&self, picture: &Picture, x: usize, y: usize) -> (bool, bool) {
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

    /// Clauses 7.3.8.5 and 8.4.2.
    fn luma_modes(&mut self, map: &mut Map, unit: &mut CodingUnit) {
        let count = if unit.parts { 4 } else { 1 };
        let size = (1usize << unit.log2) >> u32::from(unit.parts);
        let mut likely = [false; 4];
        for likely in likely.iter_mut().take(count) {
            *likely = self.decision(at::LIKELY_MODE);
        }
        for (i, likely) in likely.into_iter().enumerate().take(count) {
            let (x, y) = (unit.x + (i & 1) * size, unit.y + (i >> 1) * size);
            let known = |cell: Option<&Cell>| cell.map_or(DC, |cell| cell.mode);
            // Those of the same unit are not decoded as yet, but known.
            let left = known(if i & 1 == 1 { map.at(x - 1, y) } else { self.left(map, x, y) });
            let above = if i >> 1 == 1 {
                known(map.at(x, y - 1))
            } else if y & ((1 << self.sps.ctb_log2) - 1) == 0 {
                DC
            } else {
                known(self.above(map, x, y))
            };
            let candidates = candidates(left, above);
            let mode = if likely {
                candidates[self.cabac.bypass_unary(2) as usize % 3]
            } else {
                other_mode(self.cabac.bypass_bits(5) as u8, candidates)
            };
            map.each(x, y, size, |cell| cell.mode = mode);
            unit.luma_modes[i & 3] = mode;
        }
        if !unit.parts {
            unit.luma_modes = [unit.luma_modes[0]; 4];
        }
    }

    /// Clause 8.4.3.
    fn chroma_modes(&mut self, unit: &mut CodingUnit) {
        let count = match self.sps.chroma {
            Chroma::Monochrome => return,
            Chroma::Full if unit.parts => 4,
            _ => 1,
        };
        for i in 0..count {
            let luma = unit.luma_modes[i];
            let mode = if !self.decision(at::CHROMA_MODE) {
                luma
            } else {
                let mode = [PLANAR, VERTICAL, HORIZONTAL, DC][self.cabac.bypass_bits(2) as usize & 3];
                if mode == luma { 34 } else { mode }
            };
            unit.chroma_modes[i] =
                if self.sps.chroma == Chroma::Narrow { NARROW[usize::from(mode) % 35] } else { mode };
        }
        if count == 1 {
            unit.chroma_modes = [unit.chroma_modes[0]; 4];
        }
    }
}

/// Directions where chroma has half the width and the whole height.
#[rustfmt::skip]
const NARROW: [u8; 35] = [
    0, 1, 2, 2, 2, 2, 3, 5, 7, 8, 10, 12, 13, 15, 17, 18, 19, 20, 21, 22, 23, 23, 24, 24, 25, 25, 26, 27, 27, 28, 28, 29, 29, 30, 31,
];

/// The three modes that are likely beside these neighbours.
fn candidates(left: u8, above: u8) -> [u8; 3] {
    if left == above {
        if left < 2 {
            return [PLANAR, DC, VERTICAL];
        }
        // Its neighbours, in a circle of 32.
        return [left, 2 + (left + 29) % 32, 2 + (left - 1) % 32];
    }
    let third = [PLANAR, DC].into_iter().find(|mode| ![left, above].contains(mode)).unwrap_or(VERTICAL);
    [left, above, third]
}

/// The mode with this number among those that are not likely.
fn other_mode(number: u8, mut candidates: [u8; 3]) -> u8 {
    candidates.sort_unstable();
    candidates.into_iter().fold(number, |mode, candidate| mode + u8::from(mode >= candidate))
}

/// A quantiser's change, which goes round (clause 8.6.1).
pub fn changed_qp(predicted: i32, delta: i32, depth: u32) -> Result<i32> {
    let offset = 6 * (depth as i32 - 8);
    if delta.abs() > 26 + offset / 2 {
        return Err(Error::Damaged("a quantiser changes beyond its bounds"));
    }
    Ok((predicted + delta + 52 + 2 * offset) % (52 + offset) - offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn likely_modes() {
        assert_eq!(candidates(0, 0), [0, 1, 26]);
        assert_eq!(candidates(10, 10), [10, 9, 11]);
        assert_eq!(candidates(2, 2), [2, 33, 3]);
        assert_eq!(candidates(34, 34), [34, 33, 3]);
        assert_eq!((candidates(0, 9), candidates(9, 0), candidates(1, 0)), ([0, 9, 1], [9, 0, 1], [1, 0, 26]));
        assert_eq!(other_mode(0, [0, 1, 26]), 2);
        assert_eq!(other_mode(31, [0, 1, 26]), 34);
    }

    #[test]
    fn quantisers_go_round() {
        assert_eq!((changed_qp(50, 3, 8), changed_qp(0, -1, 8)), (Ok(1), Ok(51)));
        assert_eq!((changed_qp(-12, -1, 10), changed_qp(51, 1, 10)), (Ok(51), Ok(-12)));
        assert!(changed_qp(0, 40, 8).is_err());
    }
}
