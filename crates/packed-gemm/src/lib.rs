//! Matrix products with a fixed right-hand side that is packed ahead of time, as the linear layers of a network are.
//!
//! `y = epilogue(x Wᵀ)` with `x` of shape `[m, k]`, `W` of shape `[n, k]` (a checkpoint's layout) and `y` of shape
//! `[m, n]`, all row-major. What follows a layer's product (bias, activation) is done while the sums are in
//! the cache: see [`Epilogue`].
//!
//! ```
//! use packed_gemm::{Epilogue, Kernel, PackedMatrix, Precision, Rows, Team};
//!
//! let w = PackedMatrix::pack(Precision::F32, &[1.0, 2.0, 3.0, 4.0], 2, 2).unwrap(); // rows (1, 2) and (3, 4)
//! let (team, mut x) = (Team::solo(), Rows::new(Precision::F32, Kernel::best()));
//! x.copy_from(&team, &[1.0, 1.0], 2).unwrap();
//! assert_eq!(w.multiply(&team, &x, &Epilogue::default()).unwrap(), [3.0, 7.0]);
//! ```
//!
//! Owns: the packed layout, the left-hand side's formats ([`Rows`]), the kernels and their choice at run time ([`Kernel`]),
//! threads for short loops ([`Team`]). Does not own: files, what the numbers mean. No global state but the kernel, which
//! is found once.
//!
//! **Layout.** Panels of 64 columns of `y`, the last one filled up with zeros, words of 32 bits, little-endian:
//!
//! | precision | panel |
//! |---|---|
//! | f32 | `[k, 64]` |
//! | bf16 | `[k / 2, 64]` pairs, the first one in the low half, as AVX-512 BF16 multiplies them |
//! | int8 | `[64]` scales in f32, then for each 64 of k: `[64]` sums of the integers, negative, and `[16, 64]` times four integers, as AVX-512 VNNI multiplies them |
//!
//! The bytes can be stored and mapped again. One register tile of 6 × 64 sums reads a panel strictly in order, and some
//! hundred rows of `x` meet it while they are in the cache. AVX2 has registers for 6 × 16 sums only: where enough rows
//! meet a panel its kernel copies it first, to 16 columns after 16 columns. AMX reads 16 × 16 words of a panel as tiles; of
//! left-hand sides, too, which are stored as tiles for it. While a panel is multiplied, the next one is fetched from memory, which is what few rows would wait for.

mod encode;
mod epilogue;
mod format;
mod kernel;
mod layout;
mod math;
mod matrix;
mod output;
mod pack;
mod pairs;
mod rows;
mod team;
mod tile;
mod watch;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use epilogue::{Activation, Epilogue};
pub use kernel::{Kernel, VARIABLE as KERNEL_VARIABLE};
pub use math::exp2;
pub use matrix::{PackedMatrix, Precision, ShapeError};
pub use pairs::{PairProduct, multiply_pairs, to_columns, to_pairs};
pub use rows::Rows;
pub use team::Team;
pub use watch::{OutOfMemory, look, watched};
