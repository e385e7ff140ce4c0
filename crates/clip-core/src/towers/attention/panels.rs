//! How keys and values lie while a head is computed.

use std::ops::Range;

/// Columns of a matrix `[steps, columns]` in panels, each `[steps, width]` and one after the other, so that a product
/// reads it strictly in order.
#[derive(Clone, Copy)]
pub struct Panels {
    groups: usize,
    count: usize,
}

impl Panels {
    /// Panels are whole groups of so many columns: whole vectors of any processor.
    pub const GROUP: usize = 16;

    /// For so many columns, what fills up the last group included, in panels of at most `most` groups. Their widths
    /// differ by one group at most.
    #[inline(always)]
    pub fn new(columns: usize, most: usize) -> Self {
        let groups = columns.div_ceil(Self::GROUP);
        Self { groups, count: groups.div_ceil(most) }
    }

    /// Columns of all panels.
    #[inline(always)]
    pub fn columns(self) -> usize {
        self.groups * Self::GROUP
    }

    /// The columns of each panel.
    #[inline(always)]
    pub fn ranges(self) -> impl Iterator<Item = Range<usize>> {
        let at = move |i: usize| self.groups * i / self.count * Self::GROUP;
        (0..self.count).map(move |i| at(i)..at(i + 1))
    }
}
