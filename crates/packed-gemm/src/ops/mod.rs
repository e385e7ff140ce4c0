//! What is done to the sums of a product, and where they go.

pub mod epilogue;
pub mod math;
pub mod output;
