//! How coding units are divided into blocks that move apart (table 7-10).

/// A rectangle of luma samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Luma samples to its left.
    pub x: usize,
    /// Luma samples above it.
    pub y: usize,
    /// Luma samples across.
    pub width: usize,
    /// Luma samples down.
    pub height: usize,
}

/// PartMode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parts {
    /// PART_2Nx2N: it is whole.
    Whole,
    /// PART_NxN.
    Quarters,
    /// Two, one above the other: PART_2NxN, and with a quarter above or below PART_2NxnU and PART_2NxnD.
    Rows(Cut),
    /// Two, side by side: PART_Nx2N, and with a quarter on the left or right PART_nLx2N and PART_nRx2N.
    Columns(Cut),
}

/// Where a unit is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// In its middle.
    Half,
    /// Behind a quarter.
    Early,
    /// Before the last quarter.
    Late,
}

impl Cut {
    fn of(self, size: usize) -> usize {
        match self {
            Self::Half => size / 2,
            Self::Early => size / 4,
            Self::Late => size - size / 4,
        }
    }
}

impl Parts {
    /// How many there are.
    pub fn count(self) -> usize {
        match self {
            Self::Whole => 1,
            Self::Quarters => 4,
            Self::Rows(_) | Self::Columns(_) => 2,
        }
    }

    /// Luma samples before the cuts between columns and between rows.
    pub fn cuts(self, size: usize) -> (Option<usize>, Option<usize>) {
        match self {
            Self::Whole => (None, None),
            Self::Quarters => (Some(size / 2), Some(size / 2)),
            Self::Rows(cut) => (None, Some(cut.of(size))),
            Self::Columns(cut) => (Some(cut.of(size)), None),
        }
    }

    /// A part of the square at this place.
    pub fn block(self, x: usize, y: usize, size: usize, part: usize) -> Block {
        let (across, down) = self.cuts(size);
        let (right, below) = match self {
            Self::Whole => (false, false),
            Self::Quarters => (part & 1 == 1, part >> 1 == 1),
            Self::Rows(_) => (false, part == 1),
            Self::Columns(_) => (part == 1, false),
        };
        let side = |cut: Option<usize>, behind: bool| match cut {
            None => (0, size),
            Some(cut) if behind => (cut, size - cut),
            Some(cut) => (0, cut),
        };
        let ((left, width), (top, height)) = (side(across, right), side(down, below));
        Block { x: x + left, y: y + top, width, height }
    }
}

/// One of the parts of a unit.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// Where it is.
    pub block: Block,
    /// The unit.
    pub unit: Block,
    /// How the unit is divided.
    pub parts: Parts,
    /// Which of the parts it is.
    pub index: usize,
}

impl Part {
    /// A block so small is predicted from one picture alone: 8 x 4 and 4 x 8.
    pub fn is_small(&self) -> bool {
        self.block.width + self.block.height == 12
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_parts() {
        let block = |x, y, width, height| Block { x, y, width, height };
        assert_eq!(Parts::Whole.block(8, 16, 32, 0), block(8, 16, 32, 32));
        assert_eq!(Parts::Rows(Cut::Early).block(0, 0, 16, 1), block(0, 4, 16, 12));
        assert_eq!(Parts::Columns(Cut::Late).block(0, 0, 16, 1), block(12, 0, 4, 16));
        assert_eq!(Parts::Quarters.block(0, 0, 16, 2), block(0, 8, 8, 8));
        // They cover the unit.
        for parts in [Parts::Rows(Cut::Half), Parts::Rows(Cut::Late), Parts::Columns(Cut::Early), Parts::Quarters] {
            let area = |part| parts.block(0, 0, 64, part).width * parts.block(0, 0, 64, part).height;
            assert_eq!((0..parts.count()).map(area).sum::<usize>(), 64 * 64);
        }
    }
}
