//! The instructions of AMX. Their intrinsics are not stable yet, so they are written out.

use std::arch::asm;

/// The shapes of the eight registers.
#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

/// All of them whole: what is not there is read all the same, and its sums go nowhere.
static WHOLE: Configuration = Configuration {
    palette: 1,
    start_row: 0,
    reserved: [0; 14],
    row_bytes: [64, 64, 64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0],
    rows: [16, 16, 16, 16, 16, 16, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0],
};

/// The registers while they are in use. Cleared afterwards: the kernel saves them for a thread that has them.
pub struct Tiles(());

impl Tiles {
    /// Takes them.
    ///
    /// # Safety
    /// The machine has AMX, and the process the permission to use it.
    #[inline]
    pub unsafe fn new() -> Self {
        // SAFETY: a valid configuration of 64 bytes.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const WHOLE, options(nostack, preserves_flags, readonly)) };
        Self(())
    }
}

impl Drop for Tiles {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: they were configured.
        unsafe { asm!("tilerelease", options(nostack, preserves_flags, nomem)) };
    }
}

/// The compiler has no use for the registers, so that they keep what is in them from one of these to the next.
macro_rules! zero {
    ($($t:literal)*) => { ::std::arch::asm!($(concat!("tilezero tmm", $t)),*, options(nostack, preserves_flags, nomem)) };
}
/// 16 rows of 64 bytes, so many bytes apart.
macro_rules! load {
    ($t:literal, $at:expr, $stride:expr) => {
        ::std::arch::asm!(concat!("tileloadd tmm", $t, ", [{} + {}]"), in(reg) $at, in(reg) $stride,
            options(nostack, preserves_flags, readonly))
    };
}
/// 16 rows of 64 bytes that are not read again soon: they need not drive out of the first cache what is.
macro_rules! stream {
    ($t:literal, $at:expr, $stride:expr) => {
        ::std::arch::asm!(concat!("tileloaddt1 tmm", $t, ", [{} + {}]"), in(reg) $at, in(reg) $stride,
            options(nostack, preserves_flags, readonly))
    };
}
macro_rules! store {
    ($t:literal, $at:expr, $stride:expr) => {
        ::std::arch::asm!(concat!("tilestored [{} + {}], tmm", $t), in(reg) $at, in(reg) $stride, options(nostack, preserves_flags))
    };
}
/// Adds a product of rows and weights to sums.
macro_rules! dot {
    ($instruction:literal, $sums:literal, $x:literal, $w:literal) => {
        ::std::arch::asm!(
            concat!($instruction, " tmm", $sums, ", tmm", $x, ", tmm", $w),
            options(nostack, preserves_flags, nomem)
        )
    };
}

/// Adds a product of rows and weights to sums, of integers or of pairs of bf16.
macro_rules! multiply {
    ($int8:expr, $sums:literal, $x:literal, $w:literal) => {
        if $int8 {
            $crate::kernels::amx::isa::dot!("tdpbusd", $sums, $x, $w)
        } else {
            $crate::kernels::amx::isa::dot!("tdpbf16ps", $sums, $x, $w)
        }
    };
}

pub(super) use {dot, load, multiply, store, stream, zero};
