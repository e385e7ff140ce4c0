//! The right-hand side: weights, packed ahead of time.

pub mod matrix;
mod pack;
pub mod relayout;
