//! Numbers that the standard gives blocks and modes.

use oxideav_av1::cdf::SUBSAMPLED_SIZE;

pub const BLOCK_8X8: usize = 3;
pub const BLOCK_64X64: usize = 12;
pub const BLOCK_128X128: usize = 15;
pub const BLOCK_INVALID: usize = 22;

pub const DC_PRED: usize = 0;
pub const V_PRED: usize = 1;
pub const D67_PRED: usize = 8;
pub const UV_CFL: usize = 13;

/// The size of a block's chroma.
pub fn subsampled(size: usize, across: usize, down: usize) -> usize {
    SUBSAMPLED_SIZE[size][across & 1][down & 1]
}
