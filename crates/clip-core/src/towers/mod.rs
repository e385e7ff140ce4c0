//! The two towers: token ids or pixels in, one un-normalised vector of the shared space out.

mod attention;
mod fast_vit;
mod grid;
mod images;
mod layers;
mod norm;
mod ops;
mod pool;
mod stem;
mod text;
mod vision;

pub use grid::Picture;
pub use images::VisionTower;
pub use text::TextTower;
