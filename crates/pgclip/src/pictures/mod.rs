//! Pictures that a table's rows name, small enough to look at.

mod root;
mod thumbnail;

pub use root::Root;
pub use thumbnail::{MAX_BYTES, QUALITY, fit, jpeg, thumbnail};
