//! Predictors of vectors, to which differences are coded (clauses 8.5.3.2.6 and 8.5.3.2.7).

use crate::coder::{Coder, Picture};
use crate::error::Result;
use crate::motion::{Motion, Vector, scaled};
use crate::parts::Block;
use crate::references::{Prediction, Reference};
use crate::temporal;

impl Coder<'_> {
    /// The first or the second predictor of a block's vector to a picture of a list.
    pub fn predictor(
        &self,
        picture: &Picture,
        prediction: &Prediction,
        block: &Block,
        list: usize,
        index: usize,
        second: bool,
    ) -> Result<Vector> {
        let target = *prediction.reference(list, index)?;
        let (x, y, width, height) = (block.x as isize, block.y as isize, block.width as isize, block.height as isize);
        let at = |x: isize, y: isize| self.neighbour(picture, x, y);
        let sides = [at(x - 1, y + height), at(x - 1, y + height - 1)];
        let tops = [at(x + width, y - 1), at(x + width - 1, y - 1), at(x - 1, y - 1)];
        let exact = |motion: &Motion| same_picture(motion, list, &target);
        let mut left = sides.iter().flatten().find_map(exact);
        if left.is_none() {
            left = first_scaled(&sides, prediction, list, &target)?;
        }
        let mut above = tops.iter().flatten().find_map(exact);
        // Vectors are scaled on one side alone.
        if sides.iter().all(Option::is_none) {
            if above.is_some() {
                left = above;
            }
            above = first_scaled(&tops, prediction, list, &target)?;
        }
        let mut found = [left, above];
        if left.is_none() || left == above {
            found = [left.or(above), None];
        }
        if let [Some(first), _] = found
            && !second
        {
            return Ok(first);
        }
        if let [Some(_), Some(other)] = found {
            return Ok(other);
        }
        let temporal = temporal::vector(self.sps, prediction, block, list, index)?;
        // The temporal one follows on what there is, then zeros.
        let all = [found[0], temporal].into_iter().flatten();
        Ok(all.chain([[0; 2]; 2]).nth(usize::from(second)).unwrap_or_default())
    }
}

/// Its vector to the very picture, of the same list first.
fn same_picture(motion: &Motion, list: usize, target: &Reference) -> Option<Vector> {
    [list, 1 - (list & 1)]
        .into_iter()
        .find(|&from| motion.uses(from) && motion.slot[from & 1] == target.slot)
        .map(|from| motion.vectors[from & 1])
}

/// The vector of the first one that has any of the same kind, made one to this picture.
fn first_scaled(
    neighbours: &[Option<Motion>],
    prediction: &Prediction,
    list: usize,
    target: &Reference,
) -> Result<Option<Vector>> {
    for motion in neighbours.iter().flatten() {
        for from in [list & 1, 1 - (list & 1)] {
            if !motion.uses(from) {
                continue;
            }
            let reference = prediction.reference(from, usize::try_from(motion.index[from]).unwrap_or(0))?;
            if reference.long != target.long {
                continue;
            }
            let vector = motion.vectors[from];
            if target.long {
                return Ok(Some(vector));
            }
            let distance = |reference: &Reference| prediction.poc.wrapping_sub(reference.poc);
            return Ok(Some(scaled(vector, distance(reference), distance(target))));
        }
    }
    Ok(None)
}
