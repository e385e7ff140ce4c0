//! arm64: NEON, which has 32 registers of four values, with and without its products of integers and of bf16.

#![allow(unsafe_code)]
// Plain loops over indices: a closure that is not inlined takes the sums out of their registers.
#![allow(clippy::needless_range_loop)]

pub mod attention;
mod dot;
mod f32;
mod int8;
mod mmla;
mod registers;

use pulp::aarch64::Neon as Vectors;

use super::MicroKernel;
use super::block::{Floats, KBlock, Operands, Tile, product};
use crate::geometry::{AccTile, NR};
use crate::lhs::format::{LhsFormat, Word};
use crate::lhs::quantize::{Quantization, ScaleScope};
use crate::precision::Precision;
use crate::rhs::relayout::{PanelRelayout, ROWS};
use dot::int8_dot;
use f32::{f32_neon, weights_bf16_neon};
use int8::int8_neon;
use mmla::{bf16_mmla, int8_mmla};

/// Signed integers, as the instructions take them, whose sums stay integers to the end of a row.
const QUANTIZATION: Quantization = Quantization { qmax: 255, shift: 128, bias: 0, scope: ScaleScope::Row };

/// What every processor of arm64 has.
pub struct Neon;

impl MicroKernel for Neon {
    const IS_AS_FAST_WITH_BF16: bool = false;

    fn lhs_format(precision: Precision) -> LhsFormat {
        LhsFormat::without_bf16(precision, QUANTIZATION)
    }

    fn relayout(operands: &Operands, rows: usize) -> PanelRelayout {
        match operands {
            Operands::F32(_) if rows >= ROWS => PanelRelayout::Narrow,
            Operands::WeightsBf16(_) if rows >= ROWS => PanelRelayout::UnpackedNarrow,
            _ => PanelRelayout::Stored,
        }
    }

    unsafe fn block(block: &KBlock, acc: &mut AccTile) {
        let mut sums = [0; NR];
        let block = &block.with_sums(&mut sums);
        product!(block, acc, vectors(), finish, f32_neon, weights_bf16_neon, no_bf16, int8_neon);
    }
}

/// With SDOT, which sums up products of four integers.
pub struct NeonDot;

impl MicroKernel for NeonDot {
    const IS_AS_FAST_WITH_BF16: bool = false;

    fn lhs_format(precision: Precision) -> LhsFormat {
        Neon::lhs_format(precision)
    }

    fn relayout(operands: &Operands, rows: usize) -> PanelRelayout {
        Neon::relayout(operands, rows)
    }

    unsafe fn block(block: &KBlock, acc: &mut AccTile) {
        let mut sums = [0; NR];
        let block = &block.with_sums(&mut sums);
        // SAFETY: the machine has the instructions, as the caller promised.
        unsafe { dot(block, acc) }
    }
}

#[target_feature(enable = "neon,dotprod")]
fn dot(block: &KBlock, acc: &mut AccTile) {
    product!(block, acc, vectors(), finish, f32_neon, weights_bf16_neon, no_bf16, int8_dot);
}

/// With SMMLA and BFMMLA, which multiply two rows by two columns: of eight integers, and of four bf16.
pub struct NeonI8mm;

impl MicroKernel for NeonI8mm {
    // It takes fewer than half the instructions. Nobody has measured the time.
    const IS_AS_FAST_WITH_BF16: bool = false;
    const IS_FASTEST_WITH_INT8: bool = true;
    const HAS_BF16: bool = true;

    fn lhs_format(precision: Precision) -> LhsFormat {
        match precision {
            Precision::Bf16 => LhsFormat::rows(Word::Bf16x2),
            _ => Neon::lhs_format(precision),
        }
    }

    fn relayout(operands: &Operands, rows: usize) -> PanelRelayout {
        Neon::relayout(operands, rows)
    }

    unsafe fn block(block: &KBlock, acc: &mut AccTile) {
        let mut sums = [0; NR];
        let block = &block.with_sums(&mut sums);
        // SAFETY: the machine has the instructions, as the caller promised.
        unsafe { mmla(block, acc) }
    }
}

#[target_feature(enable = "neon,dotprod,i8mm,bf16")]
fn mmla(block: &KBlock, acc: &mut AccTile) {
    product!(block, acc, vectors(), finish, f32_neon, weights_bf16_neon, bf16_mmla, int8_mmla);
}

/// Rows are pairs of bf16 only for kernels that multiply them: see `MicroKernel::lhs_format`.
fn no_bf16<const M: usize>(_: Tile<Floats<u32, u32>>, _: &mut AccTile) {
    unreachable!("pairs of bf16 for a kernel without them");
}

fn finish(block: &KBlock, sums: &mut AccTile, row: usize, scales: Option<&[f32; NR]>) {
    block.finish::<_, true>(vectors(), sums, row, scales);
}

/// pulp's vectors of four values.
#[inline(always)]
fn vectors() -> Vectors {
    // SAFETY: every processor of this target has NEON.
    unsafe { Vectors::new_unchecked() }
}
