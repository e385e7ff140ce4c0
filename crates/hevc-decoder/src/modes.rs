//! In which direction coding units are predicted from their neighbours' samples.

use crate::coder::{Coder, CodingUnit};
use crate::contexts::at;
use crate::intra::{DC, HORIZONTAL, PLANAR, VERTICAL};
use crate::map::{Cell, Map};
use crate::sps::Chroma;

impl Coder<'_> {
    /// Reads those of luma (clauses 7.3.8.5 and 8.4.2).
    pub fn luma_modes(&mut self, map: &mut Map, unit: &mut CodingUnit) {
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

    /// And of chroma (clause 8.4.3).
    pub fn chroma_modes(&mut self, unit: &mut CodingUnit) {
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
}
