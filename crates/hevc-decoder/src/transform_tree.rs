//! Transform trees and units (clauses 7.3.8.8 and 7.3.8.10).

use crate::coder::{Coder, CodingUnit, Picture};
use crate::contexts::at;
use crate::error::{Error, Result};
use crate::map::CODED;
use crate::sps::Chroma;

/// A node of the tree.
#[derive(Clone, Copy, Debug)]
pub struct Unit {
    /// Luma samples to its left.
    pub x: usize,
    /// Luma samples above it.
    pub y: usize,
    /// Of its side in luma samples.
    pub log2: u32,
    depth: u32,
    /// Which of its parent's quarters it is, and of the coding unit's where that has parts.
    quarter: usize,
    part: usize,
    /// Of Cb and Cr, and of two squares where chroma is a rectangle of two.
    coded_chroma: [[bool; 2]; 2],
}

impl Unit {
    /// The tree of a coding unit. `chroma`: there are chroma planes.
    pub fn root(unit: &CodingUnit, chroma: bool) -> Self {
        let coded_chroma = [[chroma; 2]; 2];
        Self { x: unit.x, y: unit.y, log2: unit.log2, depth: 0, quarter: 0, part: 0, coded_chroma }
    }
}

impl Coder<'_> {
    /// Reads a node and all below it, and reconstructs each unit as it comes.
    pub fn transform_tree(&mut self, picture: &mut Picture, unit: &CodingUnit, mut node: Unit) -> Result<()> {
        let Unit { log2, depth, .. } = node;
        let sps = self.sps;
        let parted = unit.split && depth == 0;
        let split = if log2 <= sps.max_tb_log2 && log2 > sps.min_tb_log2 && depth < unit.most_depth && !parted {
            self.decision(at::SPLIT_TRANSFORM + (5 - log2.min(5)) as u8)
        } else {
            log2 > sps.max_tb_log2 || parted
        };
        if sps.chroma == Chroma::Full || (log2 > 2 && sps.chroma != Chroma::Monochrome) {
            let two = sps.chroma == Chroma::Narrow && (!split || log2 == 3);
            for coded in &mut node.coded_chroma {
                let above = coded[0] || coded[1];
                *coded = [false; 2];
                if above {
                    for coded in coded.iter_mut().take(1 + usize::from(two)) {
                        *coded = self.decision(at::CODED_CHROMA + depth.min(4) as u8);
                    }
                }
            }
        }
        if !split || log2 <= 2 {
            return self.transform_unit(picture, unit, &node);
        }
        let half = 1usize << (log2 - 1);
        for quarter in 0..4 {
            let (x, y) = (node.x + (quarter & 1) * half, node.y + (quarter >> 1) * half);
            let part = if parted { quarter } else { node.part };
            let child = Unit { x, y, log2: log2 - 1, depth: depth + 1, quarter, part, ..node };
            self.transform_tree(picture, unit, child)?;
        }
        Ok(())
    }

    fn transform_unit(&mut self, picture: &mut Picture, unit: &CodingUnit, node: &Unit) -> Result<()> {
        let Unit { x, y, log2, depth, quarter, part, coded_chroma } = *node;
        let any_chroma = coded_chroma.iter().flatten().any(|&coded| coded);
        // A block from other pictures that has a tree has coefficients.
        let inferred = unit.inter && depth == 0 && !any_chroma;
        let luma = inferred || self.decision(at::CODED_LUMA + u8::from(depth == 0));
        if (luma || any_chroma) && self.pps.qp_delta_depth.is_some() && !self.qp_delta_read {
            self.qp_delta()?;
        }
        if !self.slice.deblocking.disabled {
            // The unit's own borders are marked already, if they are open.
            picture.map.mark(x, y, 1 << log2, x > unit.x, y > unit.y);
        }
        if unit.inter {
            if luma {
                self.add(picture, 0, x, y, log2)?;
                picture.map.each(x, y, 1 << log2, |cell| cell.flags |= CODED);
            }
        } else {
            self.block(picture, 0, x, y, log2, unit.luma_modes[part & 3], luma)?;
            let region = self.region;
            picture.map.each(x, y, 1 << log2, |cell| cell.region = region);
        }
        let chroma = self.sps.chroma;
        let (x, y, chroma_log2) = match chroma {
            Chroma::Monochrome => return Ok(()),
            Chroma::Full => (x, y, log2),
            _ if log2 > 2 => (x, y, log2 - 1),
            // Chroma of four luma blocks follows the last one.
            _ if quarter == 3 => (x - 4, y - 4, 2),
            _ => return Ok(()),
        };
        let (across, down) = chroma.shifts();
        let (x, y) = (x >> across, y >> down);
        let mode = unit.chroma_modes[if chroma == Chroma::Full { part & 3 } else { 0 }];
        for (i, coded) in coded_chroma.into_iter().enumerate() {
            let squares = if chroma == Chroma::Narrow { 2 } else { 1 };
            for (square, coded) in coded.into_iter().enumerate().take(squares) {
                let y = y + (square << chroma_log2);
                if !unit.inter {
                    self.block(picture, 1 + i, x, y, chroma_log2, mode, coded)?;
                } else if coded {
                    self.add(picture, 1 + i, x, y, chroma_log2)?;
                }
            }
        }
        Ok(())
    }

    /// Clause 7.3.8.14.
    fn qp_delta(&mut self) -> Result<()> {
        let mut delta = 0;
        while delta < 5 && self.decision(at::QP_DELTA + u8::from(delta > 0)) {
            delta += 1;
        }
        if delta == 5 {
            // Exponential Golomb; what is too large is refused below.
            let mut bits = 0;
            while bits < 8 && self.cabac.bypass() {
                delta += 1 << bits;
                bits += 1;
            }
            delta += self.cabac.bypass_bits(bits) as i32;
        }
        if delta > 0 && self.cabac.bypass() {
            delta = -delta;
        }
        self.qp_delta_read = true;
        self.qp = changed_qp(self.predicted_qp, delta, self.sps.depth[0])?;
        Ok(())
    }
}

/// A quantiser's change, which goes round (clause 8.6.1).
fn changed_qp(predicted: i32, delta: i32, depth: u32) -> Result<i32> {
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
    fn quantisers_go_round() {
        assert_eq!((changed_qp(50, 3, 8), changed_qp(0, -1, 8)), (Ok(1), Ok(51)));
        assert_eq!((changed_qp(-12, -1, 10), changed_qp(51, 1, 10)), (Ok(51), Ok(-12)));
        assert!(changed_qp(0, 40, 8).is_err());
    }
}
