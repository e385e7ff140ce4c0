//! x86-64-v4: AVX-512, which has 32 registers of sixteen values, with and without its products of integers and of bf16.

#![allow(unsafe_code)]
// Plain loops over indices: see `avx2`.
#![allow(clippy::needless_range_loop)]

pub mod attention;
mod f32_bf16;
mod int8;
mod registers;

use super::MicroKernel;
use super::avx2::Avx2;
use super::avx2::int8::{self as int8_of_avx2, int8_avx2};
use super::block::{KBlock, Operands, product};
use super::x86::{no_bf16, v4};
use crate::cpu::is_intel;
use crate::geometry::{AccTile, NR};
use crate::lhs::format::{LhsFormat, Word};
use crate::lhs::quantize::{Quantization, ScaleScope};
use crate::precision::Precision;
use crate::rhs::relayout::{PanelRelayout, ROWS};
use f32_bf16::{bf16_avx512, f32_avx512, weights_bf16_avx512};
use int8::int8_avx512;

/// What VNNI multiplies: unsigned integers by signed ones, and the sums of a whole row fit 32 bits.
///
/// A scale for each 64 values instead of one for a row would take it a tenth of its time.
const QUANTIZATION: Quantization = Quantization { qmax: 255, shift: 0, bias: 0, scope: ScaleScope::Row };

/// AVX-512 F, BW, CD, DQ and VL. Integers are AVX2's.
pub struct Avx512;

impl MicroKernel for Avx512 {
    const IS_AS_FAST_WITH_BF16: bool = true;

    fn lhs_format(precision: Precision) -> LhsFormat {
        LhsFormat::without_bf16(precision, int8_of_avx2::QUANTIZATION)
    }

    fn relayout(operands: &Operands, rows: usize) -> PanelRelayout {
        match operands {
            Operands::WeightsBf16(_) if rows >= ROWS => PanelRelayout::Unpacked,
            Operands::Int8(operands) => int8_of_avx2::relayout(operands, rows),
            _ => PanelRelayout::Stored,
        }
    }

    unsafe fn lay_out<'a>(
        relayout: PanelRelayout,
        operands: Operands<'a>,
        room: &'a mut [f32],
        places: &'a mut [usize],
    ) -> Operands<'a> {
        // SAFETY: the machine has the instructions, as the caller promised.
        unsafe { Avx2::lay_out(relayout, operands, room, places) }
    }

    unsafe fn block(block: &KBlock, acc: &mut AccTile) {
        // SAFETY: the machine has the instructions, as the caller promised.
        unsafe { avx512(block, acc) }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx2,fma")]
fn avx512(block: &KBlock, acc: &mut AccTile) {
    product!(block, acc, v4(), finish, f32_avx512, weights_bf16_avx512, no_bf16, int8_avx2);
}

/// AVX-512 with VNNI.
pub struct Avx512Vnni;

impl MicroKernel for Avx512Vnni {
    const IS_AS_FAST_WITH_BF16: bool = true;
    const IS_FASTEST_WITH_INT8: bool = true;

    fn lhs_format(precision: Precision) -> LhsFormat {
        LhsFormat::without_bf16(precision, QUANTIZATION)
    }

    unsafe fn block(block: &KBlock, acc: &mut AccTile) {
        let mut sums = [0; NR];
        let block = &block.with_sums(&mut sums);
        // SAFETY: the machine has the instructions, as the caller promised.
        unsafe { vnni(block, acc) }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx512vnni,avx2,fma")]
fn vnni(block: &KBlock, acc: &mut AccTile) {
    product!(block, acc, v4(), finish, f32_avx512, weights_bf16_avx512, no_bf16, int8_avx512);
}

/// AVX-512 with VNNI and BF16.
pub struct Avx512Bf16;

impl MicroKernel for Avx512Bf16 {
    const IS_AS_FAST_WITH_BF16: bool = true;
    const IS_FASTEST_WITH_INT8: bool = true;
    const HAS_BF16: bool = true;

    /// On Intel's processors an instruction of AVX-512 BF16 takes two cycles, in which there is room for four of f32: that
    /// is faster, even though the weights have to become f32 first.
    fn lhs_format(precision: Precision) -> LhsFormat {
        match precision {
            Precision::Bf16 if !is_intel() => LhsFormat::rows(Word::Bf16x2),
            _ => Avx512Vnni::lhs_format(precision),
        }
    }

    fn format_to_read(precision: Precision) -> LhsFormat {
        match precision {
            Precision::Bf16 => LhsFormat::rows(Word::Bf16x2),
            _ => Self::lhs_format(precision),
        }
    }

    unsafe fn block(block: &KBlock, acc: &mut AccTile) {
        let mut sums = [0; NR];
        let block = &block.with_sums(&mut sums);
        // SAFETY: the machine has the instructions, as the caller promised.
        unsafe { bf16(block, acc) }
    }
}

/// AMX's products of f32 are these, too.
#[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx512bf16,avx512vnni,avx2,fma")]
pub fn bf16(block: &KBlock, acc: &mut AccTile) {
    product!(block, acc, v4(), finish_bf16, f32_avx512, weights_bf16_avx512, bf16_avx512, int8_avx512);
}

#[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx2,fma")]
fn finish(block: &KBlock, sums: &mut AccTile, row: usize, scales: Option<&[f32; NR]>) {
    block.finish::<_, true>(v4(), sums, row, scales);
}

/// With the instructions that round to bf16.
#[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx512bf16,avx2,fma")]
fn finish_bf16(block: &KBlock, sums: &mut AccTile, row: usize, scales: Option<&[f32; NR]>) {
    block.finish::<_, true>(v4(), sums, row, scales);
}
