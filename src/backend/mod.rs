//! What one backend keeps: loaded models, threads, recent inputs, counters.

mod memo;
pub mod reading;
pub mod remarks;
pub mod session;
pub mod stats;
