//! Matrix products with a fixed right-hand side that is packed ahead of time, as the linear layers of a network are.
//!
//! `y = epilogue(x Wᵀ)` with `x` of shape `[m, k]`, `W` of shape `[n, k]` (a checkpoint's layout) and `y` of shape
//! `[m, n]`, all row-major. What follows a layer's product (bias, activation, residual) is done while the sums are in
//! the cache: see [`Epilogue`].
//!
//! ```
//! use packed_gemm::{Epilogue, Kernel, PackedMatrix, Precision};
//!
//! let w = PackedMatrix::pack(Precision::F32, &[1.0, 2.0, 3.0, 4.0], 2, 2).unwrap(); // rows (1, 2) and (3, 4)
//! let mut y = [0.0; 2];
//! w.multiply(Kernel::best(), &[1.0, 1.0], &Epilogue::default(), &mut y).unwrap();
//! assert_eq!(y, [3.0, 7.0]);
//! ```
//!
//! Owns: the packed layout, the kernels and their choice at run time. Does not own: threads (products run on the
//! rayon pool that the caller is in, panel by panel), files, what the numbers mean.
//!
//! **Layout.** Panels of 64 columns of `y`, `[n/64][k][64]`, the last one filled up with zeros (bf16: pairs of k, as the
//! processor multiplies them, `[n/64][k/2][64][2]`). The bytes can be stored and mapped again. One register tile of
//! 6 × 64 sums reads a panel strictly in order, and every row of `x` meets it while it is in the cache.

mod epilogue;
mod kernel;
mod math;
mod matrix;
mod output;
mod rounding;
mod tile;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use epilogue::{Activation, Epilogue};
pub use kernel::Kernel;
pub use math::exp;
pub use matrix::{PackedMatrix, Precision, ShapeError};
