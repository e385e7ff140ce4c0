//! The left-hand side, in the format that the weights are multiplied in.

pub mod buffer;
pub mod format;
pub mod quantize;
pub mod store;
