//! What a product of attention is given: rows and a panel of pairs of bf16 that are made for one head.

/// A product of rows of pairs of bf16.
pub struct PairProduct<'a> {
    /// `[rows, steps]` pairs, whose rows are `x_stride` apart.
    pub x: &'a [u32],
    /// Words from one row of `x` to the next.
    pub x_stride: usize,
    /// Rows of `x`.
    pub rows: usize,
    /// Pairs of a row that count.
    pub steps: usize,
    /// `[steps, width]`: the pairs of one column below each other.
    pub panel: &'a [u32],
    /// Columns of the panel: 16, 32, 48 or 64.
    pub width: usize,
    /// `[rows, width]`, whose rows are `out_stride` apart.
    pub out: &'a mut [f32],
    /// Values from one row of the output to the next.
    pub out_stride: usize,
}
