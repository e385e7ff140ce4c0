//! What the fuzz targets have in common.

pub mod cpu;
pub mod folder;
pub mod library;
pub mod memory;
pub mod picture;
