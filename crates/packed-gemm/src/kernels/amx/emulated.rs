//! AMX in plain Rust, for tests on machines without it: feature `emulate-amx`. Thousands of times slower.

use std::cell::RefCell;

/// Rows of a tile, and words of a row.
const SIZE: usize = 16;

/// A register: rows of words.
type Tile = [[u32; SIZE]; SIZE];

thread_local!(static TILES: RefCell<[Tile; 8]> = const { RefCell::new([[[0; SIZE]; SIZE]; 8]) });

/// The registers while they are in use.
pub struct Tiles(());

impl Tiles {
    /// Takes them.
    ///
    /// # Safety
    /// None is needed: it is as the real one.
    pub unsafe fn new() -> Self {
        TILES.with_borrow_mut(|tiles| *tiles = [[[u32::MAX; SIZE]; SIZE]; 8]);
        Self(())
    }
}

/// `tilezero`
pub fn tile_zero(tile: usize) {
    TILES.with_borrow_mut(|tiles| tiles[tile] = [[0; SIZE]; SIZE]);
}

/// `tileloadd`: rows are `stride` bytes apart.
///
/// # Safety
/// 16 rows of 64 bytes are readable.
pub unsafe fn tile_load<T>(tile: usize, at: *const T, stride: usize) {
    TILES.with_borrow_mut(|tiles| {
        for (row, words) in tiles[tile].iter_mut().enumerate() {
            // SAFETY: as the caller promised.
            *words = unsafe { at.byte_add(row * stride).cast::<[u32; SIZE]>().read_unaligned() };
        }
    });
}

/// `tilestored`: rows are `stride` bytes apart.
///
/// # Safety
/// 16 rows of 64 bytes are writable.
pub unsafe fn tile_store<T>(tile: usize, at: *mut T, stride: usize) {
    TILES.with_borrow(|tiles| {
        for (row, words) in tiles[tile].iter().enumerate() {
            // SAFETY: as the caller promised.
            unsafe { at.byte_add(row * stride).cast::<[u32; SIZE]>().write_unaligned(*words) };
        }
    });
}

/// `tdpbusd`: unsigned integers by signed ones.
pub fn dot_integers(sums: usize, x: usize, w: usize) {
    dot(sums, x, w, |sum, x, w| {
        let products = x.to_le_bytes().into_iter().zip(w.to_le_bytes());
        let all: i32 = products.map(|(x, w)| i32::from(x) * i32::from(w.cast_signed())).sum();
        sum.cast_signed().wrapping_add(all).cast_unsigned()
    });
}

/// `tdpbf16ps`: pairs of bf16.
pub fn dot_pairs(sums: usize, x: usize, w: usize) {
    dot(sums, x, w, |sum, x, w| {
        let (x, w) = (crate::convert::halves(x), crate::convert::halves(w));
        (f32::from_bits(sum) + x.0 * w.0 + x.1 * w.1).to_bits()
    });
}

fn dot(sums: usize, x: usize, w: usize, add: impl Fn(u32, u32, u32) -> u32) {
    TILES.with_borrow_mut(|tiles| {
        let (x, w) = (tiles[x], tiles[w]);
        for (sums, x) in tiles[sums].iter_mut().zip(x) {
            for (x, w) in x.into_iter().zip(w) {
                for (sum, w) in sums.iter_mut().zip(w) {
                    *sum = add(*sum, x, w);
                }
            }
        }
    });
}

macro_rules! zero {
    ($($t:literal)*) => { $($crate::kernels::amx::emulated::tile_zero($t));* };
}
macro_rules! load {
    ($t:literal, $at:expr, $stride:expr) => {
        $crate::kernels::amx::emulated::tile_load($t, $at, $stride)
    };
}
macro_rules! store {
    ($t:literal, $at:expr, $stride:expr) => {
        $crate::kernels::amx::emulated::tile_store($t, $at, $stride)
    };
}
macro_rules! multiply {
    ($int8:expr, $sums:literal, $x:literal, $w:literal) => {
        if $int8 {
            $crate::kernels::amx::emulated::dot_integers($sums, $x, $w)
        } else {
            $crate::kernels::amx::emulated::dot_pairs($sums, $x, $w)
        }
    };
}

pub(super) use {load, load as stream, multiply, store, zero};
