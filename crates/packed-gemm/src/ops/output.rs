//! Where a product goes: a matrix of f32, or the left-hand side of the next product.

use std::marker::PhantomData;
use std::mem::MaybeUninit;

use super::epilogue::add;
use crate::cpu::prefetch;
use crate::geometry::{AccTile, LINE_WORDS, NR};
use crate::lhs::store::Writer;

/// `[m, n]`, which several threads fill, each its own part.
pub enum Output<'a> {
    /// A matrix in f32.
    Values(Values<'a>),
    /// The left-hand side of another product, rounded for it.
    Rows(Writer<'a>),
}

impl Output<'_> {
    /// Asks for the memory of a panel's columns of a row: rows are far apart, and whoever stores the sums of several would
    /// wait for one after the other.
    #[inline(always)]
    pub fn prefetch(&self, row: usize, column: usize) {
        match self {
            Self::Values(out) => {
                let at = out.values.wrapping_add(row * out.n + column);
                (0..NR).step_by(LINE_WORDS).for_each(|i| prefetch(at.wrapping_add(i)));
            }
            Self::Rows(out) => out.prefetch(row, column, NR),
        }
    }

    /// To bf16 or integers?
    #[inline(always)]
    pub fn rounds(&self) -> bool {
        match self {
            Self::Values(_) => false,
            Self::Rows(out) => out.rounds(),
        }
    }

    /// Writes the first `width` columns of some rows, `row` being the first.
    #[inline(always)]
    pub fn store(&self, row: usize, column: usize, width: usize, values: &AccTile) {
        // No closures: they would be functions without the kernel's features.
        match self {
            Self::Values(out) => {
                for (i, values) in values.iter().enumerate() {
                    out.store(row + i, column, &values[..width]);
                }
            }
            Self::Rows(out) => {
                for (i, values) in values.iter().enumerate() {
                    out.store_by::<true>(row + i, column, &values[..width]);
                }
            }
        }
    }
}

/// Row-major f32.
pub struct Values<'a> {
    values: *mut f32,
    m: usize,
    n: usize,
    /// They have values, which those of the product are added to.
    add: bool,
    lifetime: PhantomData<&'a mut [f32]>,
}

// SAFETY: `store`, the one way to the values, writes a part of a row; that no two threads are given the same part is the
// business of the products' driver, of which one block is a panel and a range of rows.
#[allow(unsafe_code)]
unsafe impl Sync for Values<'_> {}

impl<'a> Values<'a> {
    /// `values`: `[m, n]`, each of which is written once.
    pub fn unwritten(values: &'a mut [MaybeUninit<f32>], n: usize) -> Self {
        Self { values: values.as_mut_ptr().cast(), m: values.len() / n, n, add: false, lifetime: PhantomData }
    }

    /// `values`: `[m, n]`, to each of which a sum is added.
    pub fn to_add_to(values: &'a mut [f32], n: usize) -> Self {
        Self { values: values.as_mut_ptr(), m: values.len() / n, n, add: true, lifetime: PhantomData }
    }

    #[inline(always)]
    #[allow(unsafe_code)]
    fn store(&self, row: usize, column: usize, values: &[f32]) {
        assert!(row < self.m && column + values.len() <= self.n);
        // SAFETY: inside the matrix, as asserted.
        let to = unsafe { self.values.add(row * self.n + column) };
        if self.add {
            // SAFETY: no other thread has these columns, as said above, and they have been written.
            add(unsafe { std::slice::from_raw_parts_mut(to, values.len()) }, values);
        } else {
            // SAFETY: the same; `values` is not part of the matrix, which is borrowed uniquely.
            unsafe {
                match values.as_array::<NR>() {
                    // No call, as the compiler knows how many there are.
                    Some(values) => to.cast::<[f32; NR]>().write(*values),
                    None => std::ptr::copy_nonoverlapping(values.as_ptr(), to, values.len()),
                }
            }
        }
    }
}
