//! A part of a panel laid out anew, for kernels that go through it faster in another order or format than it is stored
//! in. That is worth it where enough rows meet the part.

use crate::convert::halves;
use crate::geometry::{GROUP_WORDS, KC, NARROW_NR, NARROW_PIECES, NR};

/// From so many rows on a panel of f32 or bf16 is laid out anew.
pub const ROWS: usize = 12;
/// Of integers.
#[cfg(target_arch = "x86_64")]
pub const ROWS_INT8: usize = 48;

/// What becomes of each k-block of a panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PanelRelayout {
    /// As it is: nothing is copied.
    Stored,
    /// From bf16 to f32, `[2 * words, 64]`
    Unpacked,
    /// From bf16 to f32, `[4, 2 * words, 16]`
    UnpackedNarrow,
    /// `[4, words, 16]`: a tile of 16 columns reads them strictly in order.
    Narrow,
    /// See [`I16Groups`].
    I16Groups,
}

impl PanelRelayout {
    /// Words of a column in a k-block, at most: half as many where there is a copy of it.
    pub fn kc(self) -> usize {
        if self == Self::Stored { KC } else { KC / 2 }
    }

    /// Words that a copy of a k-block of so many takes.
    pub fn words(self, kc: usize) -> usize {
        match self {
            Self::Stored => 0,
            Self::Unpacked | Self::UnpackedNarrow => 2 * kc * NR,
            Self::Narrow => kc * NR,
            Self::I16Groups => I16Groups::most(kc) * I16Groups::WORDS,
        }
    }

    /// Numbers that are kept of the copy besides.
    pub fn places(self, kc: usize) -> usize {
        if self == Self::I16Groups { I16Groups::most(kc) + NARROW_PIECES * kc.div_ceil(GROUP_WORDS) } else { 0 }
    }
}

/// Words of integers whose products are added in 16 bits, four at a time and 16 columns wide.
#[derive(Clone, Copy)]
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
pub struct I16Groups<'a> {
    /// `[1 + 4, 16]`: two sums of 16 bits, with which those of the group begin, and the words
    pub words: &'a [[u32; I16Groups::WORDS]],
    /// A group's first word
    pub first: &'a [usize],
    /// `[4, groups of 64]`: where those of 16 columns' group of 64 end
    pub ends: &'a [usize],
}

impl I16Groups<'_> {
    /// Words of a column in a group.
    pub const SIZE: usize = 4;

    /// Words of a group: sums that it begins with, and those of 16 columns.
    pub const WORDS: usize = (1 + Self::SIZE) * NARROW_NR;

    /// Groups of a panel of so many words a column, at most.
    pub fn most(kc: usize) -> usize {
        (NARROW_PIECES * kc.div_ceil(Self::SIZE) * 5).div_ceil(4)
    }
}

/// `[words, 64]` to `[4, words, 16]`.
#[pulp::with_simd(narrow = pulp::Arch::new())]
#[inline(always)]
pub fn narrow_with<'a, S: pulp::Simd>(_: S, panel: &'a [f32], out: &'a mut [f32]) {
    let steps = panel.as_chunks::<NR>().0;
    let out = out.as_chunks_mut::<NARROW_NR>().0;
    for (s, step) in steps.iter().enumerate() {
        for (piece, values) in step.as_chunks::<NARROW_NR>().0.iter().enumerate() {
            out[piece * steps.len() + s] = *values;
        }
    }
}

/// `[words, 64]` pairs of bf16 to `[2 * words, 64]` of f32.
#[pulp::with_simd(unpack = pulp::Arch::new())]
#[inline(always)]
pub fn unpack_with<'a, S: pulp::Simd>(_: S, panel: &'a [u32], out: &'a mut [f32]) {
    let (steps, out) = (panel.as_chunks::<NR>().0, out.as_chunks_mut::<NR>().0);
    for (step, out) in steps.iter().zip(out.as_chunks_mut::<2>().0) {
        let [first, second] = out;
        for ((pair, first), second) in step.iter().zip(first).zip(second) {
            (*first, *second) = halves(*pair);
        }
    }
}

/// `[words, 64]` pairs of bf16 to `[4, 2 * words, 16]` of f32.
#[cfg(target_arch = "aarch64")]
pub fn unpack_narrow(panel: &[u32], out: &mut [f32]) {
    let steps = panel.as_chunks::<NR>().0;
    let out = out.as_chunks_mut::<NARROW_NR>().0;
    for (s, step) in steps.iter().enumerate() {
        for (piece, pairs) in step.as_chunks::<NARROW_NR>().0.iter().enumerate() {
            let Some([first, second]) = out[(piece * steps.len() + s) * 2..].first_chunk_mut() else { return };
            for ((pair, first), second) in pairs.iter().zip(first).zip(second) {
                (*first, *second) = halves(*pair);
            }
        }
    }
}
