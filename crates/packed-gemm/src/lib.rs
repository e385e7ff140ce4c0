//! Matrix products with a fixed right-hand side that is packed ahead of time, as the linear layers of a network are.
//!
//! `y = epilogue(x Wᵀ)` with `x` of shape `[m, k]`, `W` of shape `[n, k]` (a checkpoint's layout) and `y` of shape
//! `[m, n]`, all row-major. What follows a layer's product (bias, activation) is done while the sums are in
//! the cache: see [`Epilogue`].
//!
//! ```
//! use packed_gemm::{Epilogue, Kernel, PackedMatrix, Precision, Rows, ThreadPool};
//!
//! let w = PackedMatrix::pack(Precision::F32, &[1.0, 2.0, 3.0, 4.0], 2, 2).unwrap(); // rows (1, 2) and (3, 4)
//! let (pool, mut x) = (ThreadPool::solo(), Rows::new(Precision::F32, Kernel::best()));
//! x.copy_from(&pool, &[1.0, 1.0], 2).unwrap();
//! assert_eq!(w.multiply(&pool, &x, &Epilogue::default()).unwrap(), [3.0, 7.0]);
//! ```
//!
//! Owns: the packed layout, the left-hand side's formats ([`Rows`]), the kernels and their choice at run time ([`Kernel`]),
//! threads for short loops ([`ThreadPool`]). Does not own: files, what the numbers mean. No global state but the kernel, which
//! is found once.
//!
//! # Contents
//!
//! A file uses only what stands below it here.
//!
//! | | |
//! |---|---|
//! | `attention` | products of few rows of bf16, none of them packed |
//! | `gemm` | the product: which rows meet which panel when, and on which thread |
//! | `kernels` | the inner loops, a folder for each set of instructions; `portable` is the one to read first |
//! | `ops` | what is done to sums ([`Epilogue`]), and where they go |
//! | `lhs` | left-hand sides ([`Rows`]): formats, rounding, memory |
//! | `rhs` | weights ([`PackedMatrix`]): packing, and panels laid out anew |
//! | `isa` | names of kernels, and what the machine has |
//! | `geometry`, `precision`, `error`, `cpu`, `convert`, `rotate`, `scratch`, `pool` | ground |
//!
//! # A panel
//!
//! `W` is stored in panels of 64 columns of `y`, the last one filled up with zeros. A panel is made of words of 32 bits,
//! little-endian. A word holds one f32, two bf16 or four integers of one column, and so one, two or four steps of `k`:
//!
//! ```text
//!              column 0       column 1             column 63
//!            ┌──────────────┬──────────────┬─────┬──────────────┐
//!  int8 only │ scale        │ scale        │ ... │ scale        │  f32
//!            ├──────────────┼──────────────┼─────┼──────────────┤ ┐
//!  int8 only │ -sum of 64   │ -sum of 64   │ ... │ -sum of 64   │ │ i32, of the weights below
//!            ├──────────────┼──────────────┼─────┼──────────────┤ │
//!     word 0 │ w₀ w₁ w₂ w₃  │ w₀ w₁ w₂ w₃  │ ... │ w₀ w₁ w₂ w₃  │ │ for each 64 of k
//!     word 1 │ w₄ w₅ w₆ w₇  │ w₄ w₅ w₆ w₇  │ ... │ w₄ w₅ w₆ w₇  │ │
//!        ... │              │              │     │              │ │
//!            └──────────────┴──────────────┴─────┴──────────────┘ ┘
//! ```
//!
//! The bytes can be stored and mapped again, and every kernel reads the same: a row of the picture is four vectors of
//! AVX-512, and 16 words of 16 columns are a tile of AMX. Kernels that go through a panel in another order copy a part of
//! it first, where enough rows meet it.
//!
//! # A product
//!
//! ```text
//! for each span of rows whose left-hand side stays in the last cache       gemm
//!     for each panel and part of the span, on some thread                  gemm: an output block
//!         for each 768 words of the panel's columns                        gemm: a k-block, in the second cache
//!             lay them out anew, where the kernel wants that               kernels, rhs/relayout
//!             for each tile of 6 rows                                      kernels
//!                 sums = 0, or those of the k-block before
//!                 for each word: sums += x * w, 6 × 64 of them             in registers
//!                     fetch a little of what is needed next
//!                 if this was the last k-block
//!                     sums = activation(sums * scale + bias)               ops/epilogue
//!                     store them as f32, or as rows of another product     ops/output, lhs/store
//! ```
//!
//! A panel is read strictly in order, and some hundred rows of `x` meet it while it is in the cache. While one k-block is
//! multiplied the next one is fetched from memory, which is what few rows would wait for. AVX2 and NEON have registers for
//! 6 × 16 sums only, and go through a panel four times. AMX multiplies tiles of 16 rows, two at a time, and left-hand
//! sides are stored as tiles for it.

mod attention;
mod convert;
mod cpu;
mod error;
mod gemm;
mod geometry;
mod isa;
mod kernels;
mod lhs;
mod ops;
mod pool;
mod precision;
mod rhs;
mod rotate;
mod scratch;

pub use attention::{PairProduct, multiply_pairs, to_columns, to_pairs};
pub use error::{OutOfMemory, ShapeError};
pub use isa::{Kernel, VARIABLE as KERNEL_VARIABLE};
pub use lhs::buffer::Rows;
pub use lhs::quantize::{Quantization, ScaleScope};
pub use ops::epilogue::{Activation, Epilogue};
pub use ops::math::{erf, exp2};
pub use pool::ThreadPool;
pub use pool::watch::{look, watched};
pub use precision::Precision;
pub use rhs::matrix::PackedMatrix;
