//! A part of a panel laid out anew, for kernels that go through it faster in another order or format than it is stored
//! in. That is worth it where enough rows meet the part.

use crate::kernel::Kernel;
use crate::tile::{COLUMNS, GROUP, Groups, Int8, NARROW, Operands, PARTS, Panel, QUADS, STEPS};

/// From so many rows on a panel of f32 or bf16 is laid out anew.
const ROWS: usize = 12;
/// Of integers.
const ROWS_INT8: usize = 48;

/// What becomes of each part of a job's panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// As it is: nothing is copied.
    Stored,
    /// From bf16 to f32, `[2 * steps, 64]`
    Unpacked,
    /// From bf16 to f32, `[4, 2 * steps, 16]`
    UnpackedNarrow,
    /// `[4, steps, 16]`: a tile of 16 columns reads them strictly in order.
    Narrow,
    /// See [`Groups`].
    Groups,
}

impl Layout {
    /// What is fastest for a job of so many `rows`.
    pub fn of(operands: &Operands, rows: usize, kernel: Kernel) -> Self {
        match operands {
            Operands::F32 { .. } if rows >= ROWS && kernel == Kernel::Avx2 => Self::Narrow,
            Operands::WeightsBf16 { .. } if rows >= ROWS && kernel == Kernel::Avx2 => Self::UnpackedNarrow,
            Operands::WeightsBf16 { .. } if rows >= ROWS => Self::Unpacked,
            // Whole groups only.
            Operands::Int8(int8) if rows >= ROWS_INT8 && kernel.has_groups() && int8.quads.is_multiple_of(GROUP) => {
                Self::Groups
            }
            _ => Self::Stored,
        }
    }

    /// Steps of a part, at most: half as many where there is a copy of it.
    pub fn steps(self) -> usize {
        if self == Self::Stored { STEPS } else { STEPS / 2 }
    }

    /// Words that a copy of a part of so many steps takes.
    pub fn words(self, steps: usize) -> usize {
        match self {
            Self::Stored => 0,
            Self::Unpacked | Self::UnpackedNarrow => 2 * steps * COLUMNS,
            Self::Narrow => steps * COLUMNS,
            Self::Groups => Groups::most(steps) * Groups::WORDS,
        }
    }

    /// Numbers that are kept of the copy besides.
    pub fn places(self, steps: usize) -> usize {
        if self == Self::Groups { Groups::most(steps) + PARTS * steps.div_ceil(QUADS) } else { 0 }
    }

    /// Lays a part out anew, and gives the operands that read the copy. `room` and `places`: at least as many as the
    /// part takes.
    #[allow(unsafe_code)]
    pub fn apply<'a>(self, operands: Operands<'a>, room: &'a mut [f32], places: &'a mut [usize]) -> Operands<'a> {
        match (self, operands) {
            (Self::Narrow, Operands::F32 { x, stride, panel }) => {
                let room = &mut room[..panel.values.len()];
                narrow(panel.values, room);
                Operands::F32 { x, stride, panel: Panel { values: room, width: NARROW } }
            }
            (Self::Unpacked, Operands::WeightsBf16 { x, stride, panel }) => {
                let room = &mut room[..2 * panel.values.len()];
                unpack(panel.values, room);
                Operands::F32 { x, stride, panel: Panel { values: room, width: COLUMNS } }
            }
            #[cfg(target_arch = "x86_64")]
            (Self::UnpackedNarrow, Operands::WeightsBf16 { x, stride, panel }) => {
                let room = &mut room[..2 * panel.values.len()];
                assert!(Kernel::Avx2.runs_here());
                // SAFETY: the machine has the instructions, as asserted.
                unsafe { crate::x86::unpack_narrow(panel.values, room) };
                Operands::F32 { x, stride, panel: Panel { values: room, width: NARROW } }
            }
            #[cfg(target_arch = "x86_64")]
            (Self::Groups, Operands::Int8(int8)) => {
                assert!(Kernel::Avx2.runs_here());
                // SAFETY: the machine has the instructions, as asserted.
                let groups = unsafe { crate::x86::lay_out(&int8, bytemuck::cast_slice_mut(room), places) };
                Operands::Int8(Int8 { groups, ..int8 })
            }
            (_, operands) => operands,
        }
    }
}

/// `[steps, 64]` to `[4, steps, 16]`.
#[pulp::with_simd(narrow = pulp::Arch::new())]
#[inline(always)]
fn narrow_with<'a, S: pulp::Simd>(_: S, panel: &'a [f32], out: &'a mut [f32]) {
    let steps = panel.as_chunks::<COLUMNS>().0;
    let out = out.as_chunks_mut::<NARROW>().0;
    for (s, step) in steps.iter().enumerate() {
        for (piece, values) in step.as_chunks::<NARROW>().0.iter().enumerate() {
            out[piece * steps.len() + s] = *values;
        }
    }
}

/// `[steps, 64]` pairs of bf16 to `[2 * steps, 64]` of f32.
#[pulp::with_simd(unpack = pulp::Arch::new())]
#[inline(always)]
fn unpack_with<'a, S: pulp::Simd>(_: S, panel: &'a [u32], out: &'a mut [f32]) {
    let (steps, out) = (panel.as_chunks::<COLUMNS>().0, out.as_chunks_mut::<COLUMNS>().0);
    for (step, out) in steps.iter().zip(out.as_chunks_mut::<2>().0) {
        let [first, second] = out;
        for ((pair, first), second) in step.iter().zip(first).zip(second) {
            (*first, *second) = halves(*pair);
        }
    }
}

/// A bf16 is the upper half of an f32.
#[inline(always)]
pub fn halves(pair: u32) -> (f32, f32) {
    (f32::from_bits(pair << 16), f32::from_bits(pair & 0xffff_0000))
}
