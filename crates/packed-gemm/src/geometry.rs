//! The sizes that panels, left-hand sides and register tiles are cut to.

use aligned_vec::{AVec, ConstAlign};

/// Columns of a panel: four vectors of AVX-512, which is what its registers hold the sums of for [`MR`] rows.
pub const NR: usize = 64;

/// Rows of a register tile: 6 × 64 sums fill 24 of the 32 registers of AVX-512, and 6 × 16 fill 12 of AVX2's 16, and
/// 24 of NEON's 32.
pub const MR: usize = 6;

/// Words of a column that meet all rows before the next ones do: 192 KiB of a panel, which stay in a core's second cache.
pub const KC: usize = 768;

/// Rows of a tile of AMX. It reads so many even where there are fewer.
pub const AMX_ROWS: usize = 16;

/// Columns that the registers of AVX2 and NEON hold the sums of, for [`MR`] rows.
pub const NARROW_NR: usize = 16;

/// Pieces of a panel, each of [`NARROW_NR`] columns.
pub const NARROW_PIECES: usize = NR / NARROW_NR;

/// Integers that a panel has one sum for, and kernels with [scales of groups](crate::lhs::quantize::ScaleScope) one
/// scale: as many as a panel has columns, so that a product can write its own output in this format, panel by panel.
pub const QUANT_GROUP: usize = 64;

/// Words of a column that a group of integers takes.
pub const GROUP_WORDS: usize = QUANT_GROUP / 4;

/// Bytes of a cache line, and of a row of an AMX tile.
pub const CACHE_LINE: usize = 64;

/// Words of a cache line.
pub const LINE_WORDS: usize = CACHE_LINE / 4;

/// Sums of some rows of a panel's columns.
pub type AccTile = [[f32; NR]];

/// Memory that begins at a cache line: a vector that crosses one costs two reads.
pub type Aligned<T> = AVec<T, ConstAlign<CACHE_LINE>>;
