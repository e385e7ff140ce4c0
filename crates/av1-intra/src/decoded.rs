//! Which blocks around one are there already, within a superblock.

use crate::setup::Setup;

/// Of each plane, rows of bits: the first row and bit are those before the superblock.
pub struct Decoded([[u64; 3]; 36]);

impl Default for Decoded {
    fn default() -> Self {
        Self([[0; 3]; 36])
    }
}

impl Decoded {
    /// As a superblock of `side` begins, from which on so many rows and columns are left of the tile.
    pub fn clear(&mut self, setup: &Setup<'_>, left: (usize, usize), side: usize) {
        for plane in 0..setup.planes {
            let (x, y) = setup.subsampling(plane);
            let (high, wide) = (left.0 >> y, left.1 >> x);
            let columns = (side >> x).min(wide.saturating_sub(1)) + 2;
            self.0[0][plane] = (1 << columns) - 1;
            for (row, bits) in self.0.iter_mut().skip(1).enumerate() {
                bits[plane] = u64::from(row < high && row < side >> y);
            }
        }
    }

    /// In the plane's blocks of 4 x 4, from the superblock's begin on.
    pub fn set(&mut self, plane: usize, (row, col): (usize, usize), (high, wide): (usize, usize)) {
        let bits = ((1u64 << wide.min(32)) - 1) << (col + 1).min(32);
        for line in self.0.iter_mut().skip(row + 1).take(high) {
            line[plane] |= bits;
        }
    }

    pub fn above_right(&self, plane: usize, (row, col): (usize, usize), wide: usize) -> bool {
        self.0.get(row).is_some_and(|line| line[plane] >> (col + wide + 1).min(63) & 1 == 1)
    }

    pub fn below_left(&self, plane: usize, (row, col): (usize, usize), high: usize) -> bool {
        self.0.get(row + high + 1).is_some_and(|line| line[plane] >> col.min(63) & 1 == 1)
    }
}
