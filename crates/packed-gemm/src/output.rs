//! A matrix that several threads fill, each its own columns.

use std::marker::PhantomData;

/// `[m, n]`, row-major.
pub struct Output<'a> {
    values: *mut f32,
    m: usize,
    n: usize,
    lifetime: PhantomData<&'a mut [f32]>,
}

// SAFETY: `store`, the one way to the values, hands out a part of a row; that no two threads are given the same columns
// is the business of `PackedMatrix::multiply`, which makes one job a panel.
#[allow(unsafe_code)]
unsafe impl Sync for Output<'_> {}

impl<'a> Output<'a> {
    pub fn new(values: &'a mut [f32], n: usize) -> Self {
        Self { values: values.as_mut_ptr(), m: values.len() / n, n, lifetime: PhantomData }
    }

    /// Lets `write` fill `width` values of a row; it is told n, too.
    #[inline(always)]
    #[allow(unsafe_code)]
    pub fn store(&self, row: usize, column: usize, width: usize, write: impl FnOnce(usize, &mut [f32])) {
        assert!(row < self.m && column + width <= self.n);
        // SAFETY: inside the matrix, as asserted; no other thread writes these columns, as said above.
        write(self.n, unsafe { std::slice::from_raw_parts_mut(self.values.add(row * self.n + column), width) });
    }
}
