//! The left-hand side, in the format that the weights are multiplied in.

pub mod buffer;
pub mod format;
pub mod quantize;
#[cfg(target_arch = "x86_64")]
mod quantize_avx512;
pub mod store;
