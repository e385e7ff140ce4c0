//! Coding units of P and B slices, and the motion of their parts (clauses 7.3.8.5, 7.3.8.6 and 7.3.8.9).

use crate::coder::{Coder, CodingUnit, Picture};
use crate::contexts::at;
use crate::error::Result;
use crate::intra::DC;
use crate::map::{ABOVE, Cell, INTER, LEFT, SKIPPED};
use crate::motion::{Motion, Vector};
use crate::parts::{Block, Cut, Part, Parts};
use crate::references::Prediction;
use crate::sps::Chroma;
use crate::transform_tree::Unit;

impl Coder<'_> {
    /// A unit, if it is predicted from other pictures; of another one nothing but that is read.
    pub fn inter_unit(&mut self, picture: &mut Picture, x: usize, y: usize, log2: u32) -> Result<bool> {
        let Some(prediction) = self.prediction else { return Ok(false) };
        let size = 1usize << log2;
        let unit = Block { x, y, width: size, height: size };
        let skipped = |cell: Option<&Cell>| u8::from(cell.is_some_and(|cell| cell.flags & SKIPPED != 0));
        let neighbours = skipped(self.left(&picture.map, x, y)) + skipped(self.above(&picture.map, x, y));
        if self.decision(at::SKIP + neighbours) {
            let part = Part { block: unit, unit, parts: Parts::Whole, index: 0 };
            let wanted = self.candidate(prediction);
            let motion = self.merged(picture, prediction, &part, wanted)?;
            self.moved(picture, prediction, &unit, &motion, SKIPPED)?;
            return Ok(true);
        }
        if self.decision(at::INTRA) {
            return Ok(false);
        }
        let parts = self.parts(log2);
        let mut merged = false;
        for index in 0..parts.count() {
            let part = Part { block: parts.block(x, y, size, index), unit, parts, index };
            merged = self.decision(at::MERGE);
            let motion = if merged {
                let wanted = self.candidate(prediction);
                self.merged(picture, prediction, &part, wanted)?
            } else {
                self.own_motion(picture, prediction, &part, log2)?
            };
            self.moved(picture, prediction, &part.block, &motion, 0)?;
        }
        if !self.slice.deblocking.disabled {
            let (across, down) = parts.cuts(size);
            if let Some(across) = across {
                picture.map.mark_left(x + across, y, size, LEFT);
            }
            if let Some(down) = down {
                picture.map.mark_above(x, y + down, size, ABOVE);
            }
        }
        let whole = parts == Parts::Whole;
        if (whole && merged) || self.decision(at::ROOT) {
            let most_depth = self.sps.max_depth_inter;
            let unit = CodingUnit {
                x,
                y,
                log2,
                parts: false,
                inter: true,
                split: most_depth == 0 && !whole,
                most_depth,
                luma_modes: [DC; 4],
                chroma_modes: [DC; 4],
            };
            let root = Unit::root(&unit, self.sps.chroma != Chroma::Monochrome);
            self.transform_tree(picture, &unit, root)?;
        }
        Ok(true)
    }

    /// Keeps a block's motion, and predicts it.
    fn moved(
        &mut self,
        picture: &mut Picture,
        prediction: &Prediction,
        block: &Block,
        motion: &Motion,
        flags: u8,
    ) -> Result<()> {
        let Block { x, y, width, height } = *block;
        picture.motion.fill(x, y, width, height, *motion);
        let region = self.region;
        picture.map.each_of(x, y, width, height, |cell| {
            (cell.region, cell.mode) = (region, DC);
            cell.flags |= INTER | flags;
        });
        self.predict(picture, prediction, block, motion)
    }

    /// part_mode.
    fn parts(&mut self, log2: u32) -> Parts {
        if self.decision(at::PARTS) {
            return Parts::Whole;
        }
        let rows = self.decision(at::MORE_PARTS);
        let divided = |cut| if rows { Parts::Rows(cut) } else { Parts::Columns(cut) };
        if log2 == self.sps.min_cb_log2 {
            let quarters = !rows && log2 > 3 && !self.decision(at::MORE_PARTS + 1);
            return if quarters { Parts::Quarters } else { divided(Cut::Half) };
        }
        if !self.sps.asymmetric || self.decision(at::MORE_PARTS + 2) {
            return divided(Cut::Half);
        }
        divided(if self.cabac.bypass() { Cut::Late } else { Cut::Early })
    }

    /// merge_idx.
    fn candidate(&mut self, prediction: &Prediction) -> usize {
        let last = prediction.header.candidates.saturating_sub(1);
        if last == 0 || !self.decision(at::CANDIDATE) {
            return 0;
        }
        1 + self.cabac.bypass_unary(last as u32 - 1) as usize
    }

    /// Motion that is coded.
    fn own_motion(&mut self, picture: &Picture, prediction: &Prediction, part: &Part, log2: u32) -> Result<Motion> {
        let lists = self.direction(prediction, part, log2);
        let mut motion = Motion::default();
        for (list, _) in lists.into_iter().enumerate().filter(|(_, used)| *used) {
            let index = self.reference(prediction.header.active[list]);
            let zero = list == 1 && lists[0] && prediction.header.mvd_l1_zero;
            let difference = if zero { [0; 2] } else { self.difference() };
            let second = self.decision(at::PREDICTOR);
            let predictor = self.predictor(picture, prediction, &part.block, list, index, second)?;
            let vector: Vector = std::array::from_fn(|i| predictor[i].wrapping_add(difference[i]));
            motion.set(list, vector, index, prediction.reference(list, index)?.slot);
        }
        Ok(motion)
    }

    /// inter_pred_idc: which lists are used.
    fn direction(&mut self, prediction: &Prediction, part: &Part, log2: u32) -> [bool; 2] {
        if !prediction.header.bidirectional {
            return [true, false];
        }
        // How deep in the coding tree the unit is.
        let depth = (self.sps.ctb_log2 - log2).min(3) as u8;
        if !part.is_small() && self.decision(at::DIRECTION + depth) {
            return [true; 2];
        }
        let second = self.decision(at::DIRECTION + 4);
        [!second, second]
    }

    /// ref_idx_l0 and ref_idx_l1, of so many pictures.
    fn reference(&mut self, count: usize) -> usize {
        let last = count.saturating_sub(1);
        let mut index = 0;
        while index < last.min(2) && self.decision(at::REFERENCE + index as u8) {
            index += 1;
        }
        if index == 2 { index + self.cabac.bypass_unary(last as u32 - 2) as usize } else { index }
    }

    /// mvd_coding.
    fn difference(&mut self) -> Vector {
        let any = [self.decision(at::VECTOR_0), self.decision(at::VECTOR_0)];
        let more = any.map(|any| any && self.decision(at::VECTOR_1));
        std::array::from_fn(|i| {
            if !any[i] {
                return 0;
            }
            let size = 1 + if more[i] { 1 + self.exponential() } else { 0 };
            let size = if self.cabac.bypass() { -size } else { size };
            // Modulo 2 to the power of 16.
            size as i16
        })
    }

    /// abs_mvd_minus2: exponential Golomb of order 1.
    fn exponential(&mut self) -> i32 {
        let (mut value, mut bits) = (0, 1);
        while bits < 16 && self.cabac.bypass() {
            value += 1 << bits;
            bits += 1;
        }
        value + self.cabac.bypass_bits(bits) as i32
    }
}
