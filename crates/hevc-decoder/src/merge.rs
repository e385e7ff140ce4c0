//! Motion that is taken over from another block (clauses 8.5.3.2.2 to 8.5.3.2.5).

use crate::coder::{Coder, Picture};
use crate::error::Result;
use crate::map::INTER;
use crate::motion::Motion;
use crate::parts::{Block, Part, Parts};
use crate::references::Prediction;
use crate::temporal;

/// Candidates in the order in which pairs of them are combined, by list.
const PAIRS: [(usize, usize); 12] =
    [(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1), (0, 3), (3, 0), (1, 3), (3, 1), (2, 3), (3, 2)];

/// The candidates so far.
struct Candidates {
    list: [Motion; 6],
    count: usize,
}

impl Candidates {
    fn push(&mut self, motion: Motion) {
        if let Some(place) = self.list.get_mut(self.count) {
            *place = motion;
            self.count += 1;
        }
    }

    fn get(&self, i: usize) -> Motion {
        self.list.get(i).copied().unwrap_or_default()
    }
}

impl Coder<'_> {
    /// The motion of the block at these luma places, if it is decoded, in the same slice and tile, and not intra.
    pub fn neighbour(&self, picture: &Picture, x: isize, y: isize) -> Option<Motion> {
        let (x, y) = (usize::try_from(x).ok()?, usize::try_from(y).ok()?);
        let cell = picture.map.at(x, y)?;
        (cell.region == self.region && cell.flags & INTER != 0).then(|| picture.motion.at(x, y))
    }

    /// The candidate with this number.
    pub fn merged(&self, picture: &Picture, prediction: &Prediction, part: &Part, wanted: usize) -> Result<Motion> {
        // The parts of the smallest units may all have the same candidates.
        let together = self.pps.merge_level > 2 && part.unit.width == 8;
        let block = if together { part.unit } else { part.block };
        let index = if together { 0 } else { part.index };
        let mut found = Candidates { list: [Motion::default(); 6], count: 0 };
        self.spatial(picture, &block, part.parts, index, &mut found);
        if wanted >= found.count {
            self.further(prediction, &block, &mut found)?;
        }
        let mut motion = found.get(wanted);
        if part.is_small() && motion.is_double() {
            motion.clear(1);
        }
        Ok(motion)
    }

    fn spatial(&self, picture: &Picture, block: &Block, parts: Parts, index: usize, found: &mut Candidates) {
        let level = self.pps.merge_level;
        let (x, y, width, height) = (block.x as isize, block.y as isize, block.width as isize, block.height as isize);
        let at = |nx: isize, ny: isize| {
            let together = nx >> level == x >> level && ny >> level == y >> level;
            if together { None } else { self.neighbour(picture, nx, ny) }
        };
        // The second of two parts is not merged with the first: they would be whole.
        let left_is_first = index == 1 && matches!(parts, Parts::Columns(_));
        let above_is_first = index == 1 && matches!(parts, Parts::Rows(_));
        let left = if left_is_first { None } else { at(x - 1, y + height - 1) };
        let above = if above_is_first { None } else { at(x + width - 1, y - 1) };
        let above_right = at(x + width, y - 1);
        let below_left = at(x - 1, y + height);
        let other = |motion: Option<Motion>, than: Option<Motion>| motion.filter(|_| motion != than);
        let candidates = [left, other(above, left), other(above_right, above), other(below_left, left)];
        candidates.into_iter().flatten().for_each(|motion| found.push(motion));
        if found.count < 4
            && let Some(corner) = other(other(at(x - 1, y - 1), left), above)
        {
            found.push(corner);
        }
    }

    /// Those that are of no neighbour.
    fn further(&self, prediction: &Prediction, block: &Block, found: &mut Candidates) -> Result<()> {
        let header = &prediction.header;
        let lists = 1 + usize::from(header.bidirectional);
        if found.count < header.candidates {
            let mut motion = Motion::default();
            for list in 0..lists {
                if let Some(vector) = temporal::vector(self.sps, prediction, block, list, 0)? {
                    motion.set(list, vector, 0, prediction.reference(list, 0)?.slot);
                }
            }
            if motion.is_some() {
                found.push(motion);
            }
        }
        let single = found.count;
        if header.bidirectional && single > 1 {
            for (first, second) in PAIRS.into_iter().take(single * (single - 1)) {
                if found.count >= header.candidates {
                    break;
                }
                let (first, second) = (found.get(first), found.get(second));
                if !first.uses(0) || !second.uses(1) {
                    continue;
                }
                let (vectors, slots) = ([first.vectors[0], second.vectors[1]], [first.slot[0], second.slot[1]]);
                if slots[0] != slots[1] || vectors[0] != vectors[1] {
                    let index = [first.index[0], second.index[1]];
                    found.push(Motion { vectors, index, slot: slots });
                }
            }
        }
        let [first, second] = header.active;
        let pictures = if header.bidirectional { first.min(second) } else { first };
        let mut next = 0;
        while found.count < header.candidates {
            let mut motion = Motion::default();
            let index = if next < pictures { next } else { 0 };
            for list in 0..lists {
                motion.set(list, [0; 2], index, prediction.reference(list, index)?.slot);
            }
            found.push(motion);
            next += 1;
        }
        Ok(())
    }
}
