//! What a transform's samples are predicted from.

use crate::frame::Plane;

/// Where the first sample of an edge is: some come before it.
pub const FIRST: usize = 16;
/// A power of two, so that any place can be brought within.
pub const LONG: usize = 512;

/// Samples above and to the left, from the one at the corner on, which is before [`FIRST`].
pub struct Edges {
    pub above: [u16; LONG],
    pub left: [u16; LONG],
}

pub struct Prediction {
    /// Within the plane.
    pub x: usize,
    pub y: usize,
    pub wide: usize,
    pub high: usize,
    /// There are samples on that side.
    pub left: bool,
    pub above: bool,
    pub above_right: bool,
    pub below_left: bool,
    pub mode: usize,
    pub angle: i32,
    /// The mode of the recursive prediction.
    pub filter: Option<usize>,
    pub smooth: bool,
    pub filters_edges: bool,
    /// Columns and rows of the plane's blocks.
    pub end: (usize, usize),
    pub depth: u32,
}

/// A row of the prediction's samples.
#[inline(always)]
pub fn row<'p>(plane: &'p mut Plane, p: &Prediction, y: usize) -> &'p mut [u16] {
    plane.row_mut(p.y + y, p.x).get_mut(..p.wide).unwrap_or_default()
}
