//! The inner loops, a folder for each set of instructions.
//!
//! A kernel is a type that answers for itself: what it reads left-hand sides as, what it wants panels laid out as, and what
//! it makes of a block. [`dispatch`] finds the type of a name.

#[cfg(target_arch = "x86_64")]
pub mod amx;
#[cfg(target_arch = "x86_64")]
pub mod avx2;
#[cfg(target_arch = "x86_64")]
pub mod avx512;
pub mod block;
pub mod dispatch;
#[cfg(target_arch = "aarch64")]
pub mod neon;
pub mod pairs;
pub mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

use crate::geometry::AccTile;
use crate::lhs::format::LhsFormat;
use crate::precision::Precision;
use crate::rhs::relayout::{PanelRelayout, ROWS};
use block::{KBlock, Operands};

/// A set of processor instructions that products are written for.
pub trait MicroKernel {
    /// Does a product with a matrix of bf16 take no longer than one of f32? It makes f32 of half the bytes at least.
    const IS_AS_FAST_WITH_BF16: bool;

    /// Are there instructions for pairs of bf16?
    const HAS_BF16: bool = false;

    /// Is a product of integers much faster than every other? It is where processors sum up products of four.
    const IS_FASTEST_WITH_INT8: bool = false;

    /// What it reads left-hand sides of a precision as.
    fn lhs_format(precision: Precision) -> LhsFormat;

    /// What rows are that something else than a product reads: pairs of bf16 wherever there are instructions for those.
    fn format_to_read(precision: Precision) -> LhsFormat {
        Self::lhs_format(precision)
    }

    /// What is fastest to become of a panel that so many rows meet.
    fn relayout(operands: &Operands, rows: usize) -> PanelRelayout {
        match operands {
            Operands::WeightsBf16(_) if rows >= ROWS => PanelRelayout::Unpacked,
            _ => PanelRelayout::Stored,
        }
    }

    /// Lays a k-block of a panel out anew, and gives the operands that read the copy. `room` and `places`: at least as many
    /// as that takes.
    ///
    /// # Safety
    /// The machine has the instructions.
    #[allow(unsafe_code)]
    unsafe fn lay_out<'a>(
        relayout: PanelRelayout,
        operands: Operands<'a>,
        room: &'a mut [f32],
        places: &'a mut [usize],
    ) -> Operands<'a> {
        let _ = places;
        operands.laid_out(relayout, room)
    }

    /// The sums of a k-block, and where they are complete what follows them.
    ///
    /// # Safety
    /// The machine has the instructions.
    #[allow(unsafe_code)]
    unsafe fn block(block: &KBlock, acc: &mut AccTile);
}
