//! How blocks have moved since other pictures.

use crate::error::{Result, zeroed};

/// Across and down, in quarters of a luma sample.
pub type Vector = [i16; 2];

/// The motion of a block, by up to two lists of pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Motion {
    /// By list; zero where the list is not used.
    pub vectors: [Vector; 2],
    /// Indices into the lists; below 0 where a list is not used.
    pub index: [i8; 2],
    /// Which of the pictures kept these are; [`NO_SLOT`] where the list is not used.
    pub slot: [u8; 2],
}

/// No picture.
pub const NO_SLOT: u8 = 255;

impl Default for Motion {
    /// None: intra blocks have it.
    fn default() -> Self {
        Self { vectors: [[0; 2]; 2], index: [-1; 2], slot: [NO_SLOT; 2] }
    }
}

impl Motion {
    /// It is predicted from a picture of this list.
    #[inline]
    pub fn uses(&self, list: usize) -> bool {
        self.index[list & 1] >= 0
    }

    /// It is predicted from any.
    pub fn is_some(&self) -> bool {
        self.uses(0) || self.uses(1)
    }

    /// From a picture of each list.
    pub fn is_double(&self) -> bool {
        self.uses(0) && self.uses(1)
    }

    /// Sets what it has by a list.
    pub fn set(&mut self, list: usize, vector: Vector, index: usize, slot: u8) {
        let list = list & 1;
        // Lists have at most 16 pictures.
        (self.vectors[list], self.index[list], self.slot[list]) = (vector, index as i8, slot);
    }

    /// Takes what it has by a list away.
    pub fn clear(&mut self, list: usize) {
        let list = list & 1;
        (self.vectors[list], self.index[list], self.slot[list]) = ([0; 2], -1, NO_SLOT);
    }

    /// Whether the deblocking filter sees a border between them (clause 8.7.2.4): other pictures, or vectors at least a
    /// sample apart.
    pub fn differs(&self, other: &Self) -> bool {
        let far = |a: Vector, b: Vector| {
            (i32::from(a[0]) - i32::from(b[0])).abs() >= 4 || (i32::from(a[1]) - i32::from(b[1])).abs() >= 4
        };
        // A list that is not used has the same vector and slot in both.
        let alike =
            |a: [usize; 2]| !far(self.vectors[0], other.vectors[a[0]]) && !far(self.vectors[1], other.vectors[a[1]]);
        let straight = self.slot == other.slot;
        let crossed = self.slot == [other.slot[1], other.slot[0]];
        match (straight, crossed) {
            (false, false) => true,
            (true, false) => !alike([0, 1]),
            (false, true) => !alike([1, 0]),
            (true, true) => !alike([0, 1]) && !alike([1, 0]),
        }
    }
}

/// A vector to a picture that is `from` pictures away, made one to a picture `to` pictures away (equations 8-179 to 8-183).
pub fn scaled(vector: Vector, from: i32, to: i32) -> Vector {
    let (from, to) = (from.clamp(-128, 127), to.clamp(-128, 127));
    if from == 0 {
        return vector;
    }
    let factor = (16384 + (from.abs() >> 1)) / from;
    let factor = ((to * factor + 32) >> 6).clamp(-4096, 4095);
    vector.map(|part| {
        let product = factor * i32::from(part);
        (product.signum() * ((product.abs() + 127) >> 8)).clamp(-32768, 32767) as i16
    })
}

/// The motion of each 4 x 4 luma samples of a picture; nothing as long as all of them are intra.
#[derive(Clone, Debug, Default)]
pub struct Field {
    cells: Vec<Motion>,
    columns: usize,
}

impl Field {
    /// Makes room for a picture of so many luma samples, if there is none.
    pub fn prepare(&mut self, width: usize, height: usize) -> Result<()> {
        if self.cells.is_empty() {
            self.columns = width.div_ceil(4);
            self.cells = zeroed(self.columns * height.div_ceil(4))?;
        }
        Ok(())
    }

    /// All blocks are intra.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// Bytes that it takes for such a picture.
    pub fn needs(width: usize, height: usize) -> usize {
        width.div_ceil(4) * height.div_ceil(4) * size_of::<Motion>()
    }

    /// By luma places.
    #[inline]
    pub fn at(&self, x: usize, y: usize) -> Motion {
        if x / 4 >= self.columns {
            return Motion::default();
        }
        self.cells.get(y / 4 * self.columns + x / 4).copied().unwrap_or_default()
    }

    /// Sets that of a rectangle.
    pub fn fill(&mut self, x: usize, y: usize, width: usize, height: usize, motion: Motion) {
        if self.columns == 0 {
            return;
        }
        for row in self.cells.chunks_exact_mut(self.columns).skip(y / 4).take(height / 4) {
            row.iter_mut().skip(x / 4).take(width / 4).for_each(|cell| *cell = motion);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn motion(vectors: [Vector; 2], slot: [u8; 2]) -> Motion {
        let mut motion = Motion::default();
        for list in 0..2 {
            if slot[list] != NO_SLOT {
                motion.set(list, vectors[list], 0, slot[list]);
            }
        }
        motion
    }

    #[test]
    fn vectors_to_other_pictures() {
        assert_eq!(scaled([100, -100], 2, 2), [100, -100]);
        assert_eq!(scaled([100, -101], 1, -1), [-100, 101]);
        assert_eq!(scaled([7, -7], 3, 1), [2, -2]);
        assert_eq!(scaled([32767, -32768], 1, 127), [32767, -32768]);
        assert_eq!(scaled([5, 6], 0, 4), [5, 6]);
    }

    #[test]
    fn borders_between_motions() {
        let differ = |a: ([Vector; 2], [u8; 2]), b: ([Vector; 2], [u8; 2])| motion(a.0, a.1).differs(&motion(b.0, b.1));
        const NO: u8 = NO_SLOT;
        let (v, near, far) = ([8, 8], [11, 5], [8, 12]);
        assert!(!differ(([v, [0; 2]], [3, NO]), ([near, [0; 2]], [3, NO])));
        assert!(differ(([v, [0; 2]], [3, NO]), ([far, [0; 2]], [3, NO])));
        assert!(differ(([v, [0; 2]], [3, NO]), ([v, [0; 2]], [4, NO])));
        // The same picture by the other list.
        assert!(!differ(([v, [0; 2]], [3, NO]), ([[0; 2], v], [NO, 3])));
        assert!(differ(([v, [0; 2]], [3, NO]), ([[0; 2], far], [NO, 3])));
        // One picture and two.
        assert!(differ(([v, [0; 2]], [3, NO]), ([v, v], [3, 3])));
        assert!(!differ(([v, far], [1, 2]), ([far, v], [2, 1])));
        assert!(differ(([v, far], [1, 2]), ([v, far], [2, 1])));
        // Twice the same picture: either way round will do.
        assert!(!differ(([v, far], [1, 1]), ([far, v], [1, 1])));
        assert!(differ(([v, far], [1, 1]), ([v, v], [1, 1])));
    }
}
