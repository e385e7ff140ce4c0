//! Coding tree blocks and coding units: from syntax to samples before any filter (clauses 7.3.8.2 to 7.3.8.5, and 8.6.1).

use crate::coder::{Coder, CodingUnit, Picture};
use crate::contexts::at;
use crate::error::Result;
use crate::intra::DC;
use crate::map::{Cell, EXACT, Map};
use crate::sps::Chroma;
use crate::transform_tree::Unit;

impl Coder<'_> {
    /// The block in this column and row.
    pub fn coding_tree_block(&mut self, picture: &mut Picture, column: usize, row: usize) -> Result<()> {
        if self.slice.sao_luma || self.slice.sao_chroma {
            self.offsets(&mut picture.ctbs, column, row);
        }
        let log2 = self.sps.ctb_log2;
        self.quadtree(picture, column << log2, row << log2, log2, 0)?;
        self.cabac.check()
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
}
