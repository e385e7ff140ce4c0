//! AMX for bf16 and int8, on Linux: 16 rows of 64 bytes in each of eight registers, and products of two of them in one
//! instruction.
//!
//! Left-hand sides are stored as tiles, of 1 KiB each. 16 words of each column of a panel, as it is stored, are tiles
//! already: rows of 64 bytes, 64 words apart.

#![allow(unsafe_code)]
// Plain loops over indices: see `avx2`.
#![allow(clippy::needless_range_loop)]

#[cfg(feature = "emulate-amx")]
mod emulated;
mod gemm;
#[cfg(not(feature = "emulate-amx"))]
mod isa;

use super::MicroKernel;
use super::avx512::Avx512Bf16;
use super::block::KBlock;
use crate::geometry::AccTile;
use crate::lhs::format::{LhsFormat, Word};
use crate::lhs::quantize::{Quantization, ScaleScope};
use crate::precision::Precision;

/// AMX, and AVX-512 with VNNI and BF16 for the rest.
pub struct Amx;

impl MicroKernel for Amx {
    const IS_AS_FAST_WITH_BF16: bool = true;
    const IS_FASTEST_WITH_INT8: bool = true;
    const HAS_BF16: bool = true;

    /// Integers have a scale for each row: to multiply the sums of every 64 values by one of their own takes AMX more time
    /// than the products do.
    fn lhs_format(precision: Precision) -> LhsFormat {
        let quantization = Quantization { qmax: 255, shift: 0, bias: 0, scope: ScaleScope::Row };
        match precision {
            Precision::F32 => Avx512Bf16::lhs_format(precision),
            Precision::Bf16 => LhsFormat { word: Word::Bf16x2, tiled: true },
            Precision::Int8 => LhsFormat { word: Word::I8x4(quantization), tiled: true },
        }
    }

    unsafe fn block(block: &KBlock, acc: &mut AccTile) {
        // SAFETY: the machine has the instructions, as the caller promised.
        unsafe { gemm::run(block, acc) }
    }
}
