//! x86-64-v3: AVX2 with FMA, which has 16 registers of eight values.

#![allow(unsafe_code)]
// Plain loops over indices: iterators and closures are functions without the kernel's features, which the compiler does
// not reliably inline into one that has them.
#![allow(clippy::needless_range_loop)]

mod f32;
pub mod int8;
mod registers;

use super::MicroKernel;
use super::block::{Floats, KBlock, Operands, Panel, product};
use super::x86::{no_bf16, v3};
use crate::geometry::{AccTile, NARROW_NR, NR};
use crate::lhs::format::LhsFormat;
use crate::precision::Precision;
use crate::rhs::relayout::{PanelRelayout, ROWS};
use f32::{f32_avx2, unpack_narrow, weights_bf16_avx2};
use int8::{QUANTIZATION, int8_avx2};

/// AVX2 and FMA.
pub struct Avx2;

impl MicroKernel for Avx2 {
    // With few rows there is not the time to unpack it.
    const IS_AS_FAST_WITH_BF16: bool = false;

    fn lhs_format(precision: Precision) -> LhsFormat {
        LhsFormat::without_bf16(precision, QUANTIZATION)
    }

    fn relayout(operands: &Operands, rows: usize) -> PanelRelayout {
        match operands {
            Operands::F32(_) if rows >= ROWS => PanelRelayout::Narrow,
            Operands::WeightsBf16(_) if rows >= ROWS => PanelRelayout::UnpackedNarrow,
            Operands::Int8(operands) => int8::relayout(operands, rows),
            _ => PanelRelayout::Stored,
        }
    }

    unsafe fn lay_out<'a>(
        relayout: PanelRelayout,
        operands: Operands<'a>,
        room: &'a mut [f32],
        places: &'a mut [usize],
    ) -> Operands<'a> {
        match (relayout, operands) {
            (PanelRelayout::UnpackedNarrow, Operands::WeightsBf16(Floats { x, stride, panel, .. })) => {
                let room = &mut room[..2 * panel.values.len()];
                // SAFETY: the machine has the instructions, as the caller promised.
                unsafe { unpack_narrow(panel.values, room) };
                Operands::F32(Floats { x, stride, step: 1, panel: Panel { values: room, width: NARROW_NR } })
            }
            // SAFETY: the same.
            (PanelRelayout::I16Groups, Operands::Int8(operands)) => unsafe {
                Operands::Int8(int8::lay_out(operands, bytemuck::cast_slice_mut(room), places))
            },
            _ => operands.laid_out(relayout, room),
        }
    }

    unsafe fn block(block: &KBlock, acc: &mut AccTile) {
        // SAFETY: the machine has the instructions, as the caller promised.
        unsafe { run(block, acc) }
    }
}

#[target_feature(enable = "avx2,fma")]
fn run(block: &KBlock, acc: &mut AccTile) {
    product!(block, acc, v3(), finish, f32_avx2, weights_bf16_avx2, no_bf16, int8_avx2);
}

#[target_feature(enable = "avx2,fma")]
fn finish(block: &KBlock, sums: &mut AccTile, row: usize, scales: Option<&[f32; NR]>) {
    block.finish::<_, true>(v3(), sums, row, scales);
}
