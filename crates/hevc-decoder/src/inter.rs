//! A block predicted from other pictures: its samples (clause 8.5.3.3).

use lanes::run;

use crate::coder::{Coder, Picture};
use crate::error::Result;
use crate::interpolate::{Place, SIDE};
use crate::motion::Motion;
use crate::parts::Block;
use crate::references::Prediction;
use crate::sps::Chroma;
use crate::weigh::{Row, Way};
use crate::weights::Weight;

impl Coder<'_> {
    /// Predicts all components of a block.
    pub fn predict(
        &mut self,
        picture: &mut Picture,
        prediction: &Prediction,
        block: &Block,
        motion: &Motion,
    ) -> Result<()> {
        let count = if self.sps.chroma == Chroma::Monochrome { 1 } else { 3 };
        for component in 0..count {
            self.component(picture, prediction, block, motion, component)?;
        }
        Ok(())
    }

    fn component(
        &mut self,
        picture: &mut Picture,
        prediction: &Prediction,
        block: &Block,
        motion: &Motion,
        component: usize,
    ) -> Result<()> {
        let Some(blocks) = &mut self.blocks else { return Ok(()) };
        let chroma = component > 0;
        let (across, down) = if chroma { self.sps.chroma.shifts() } else { (0, 0) };
        let depth = self.sps.depth_of(component);
        let (x, y) = (block.x >> across, block.y >> down);
        let (width, height) = (block.width >> across, block.height >> down);
        let mut weights = [Weight::default(); 2];
        for (list, weight) in weights.iter_mut().enumerate() {
            if !motion.uses(list) {
                continue;
            }
            let index = usize::try_from(motion.index[list]).unwrap_or(0);
            let plane = &prediction.reference(list, index)?.frame.planes[component % 3];
            // Vectors are in quarters of luma samples, or as fine parts of chroma samples.
            let place = |at: usize, vector: i16, shift: u32| {
                let bits = 2 + shift;
                let part = (i32::from(vector) & ((1 << bits) - 1)) as usize;
                let whole = at as isize + (vector >> bits) as isize;
                (whole, if chroma { part << (1 - shift) } else { part })
            };
            let [right, below] = motion.vectors[list];
            let ((x, part_x), (y, part_y)) = (place(x, right, across), place(y, below, down));
            let place = Place { x, y, width, height, part: (part_x, part_y), depth };
            if chroma {
                blocks.chroma(plane, &place, list);
            } else {
                blocks.luma(plane, &place, list);
            }
            if let Some(table) = &prediction.header.weights {
                *weight = table.lists[list][index & 15][component % 3];
            }
        }
        let [first, second] = &blocks.predicted;
        let (first, second) = match (motion.uses(0), motion.uses(1)) {
            (true, true) => (first, Some(second)),
            (true, false) => (first, None),
            _ => {
                weights.swap(0, 1);
                (second, None)
            }
        };
        let way = match &prediction.header.weights {
            Some(table) => Way::Weighted(table.log2[usize::from(chroma)], weights),
            None => Way::Plain,
        };
        let Some(plane) = picture.planes.get_mut(component) else { return Ok(()) };
        for (row, out) in plane.rows_mut(y, height)?.enumerate() {
            let line = row * SIDE..row * SIDE + width;
            let Some(out) = out.get_mut(x..x + width) else { continue };
            let first = first.get(line.clone()).unwrap_or_default();
            let second = second.and_then(|second| second.get(line));
            run(Row { out, first, second, way, depth });
        }
        Ok(())
    }
}
