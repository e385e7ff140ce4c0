//! The number formats of weights.

/// The number format of a packed matrix. Sums are f32 in every one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// 32 bits a weight: the sums differ from an exact product's by rounding alone.
    F32,
    /// Half the bytes, 8 bits of mantissa; processors that multiply it round the left-hand side to it too.
    Bf16,
    /// A quarter: integers with a scale for each column of the product (row of `W`). The left-hand side becomes integers
    /// when it is written, with a scale for each row, or for each 64 values of it: see
    /// [`ScaleScope`](crate::ScaleScope).
    Int8,
}

impl Precision {
    /// Bits of one weight. Scales and sums of integers come on top.
    pub fn bits(self) -> usize {
        match self {
            Self::F32 => 32,
            Self::Bf16 => 16,
            Self::Int8 => 8,
        }
    }
}
