//! What the fuzz targets have in common.

pub mod cpu;
pub mod folder;
pub mod memory;
pub mod picture;
