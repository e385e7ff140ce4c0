//! Reads the containers of HEIC and AVIF, and no more of a file than what a decoder of pictures asks for.
//!
//! The ISO base media file format (ISO/IEC 14496-12) is boxes in boxes. HEIF (23008-12) puts pictures there as *items*: each has
//! a type, properties, references to other items, and data anywhere in the file. Sequences are *tracks* of samples, as in a film.
//!
//! ```no_run
//! use isobmff::{File, Property};
//!
//! let bytes = std::fs::read("photo.heic").unwrap();
//! let file = File::read(&bytes).unwrap();
//! let meta = file.meta.unwrap();
//! let item = meta.item(meta.primary.unwrap()).unwrap();
//! for property in meta.properties(item.id) {
//!     if let Property::Size { width, height } = property.unwrap().property {
//!         println!("{width} x {height}");
//!     }
//! }
//! let data = meta.data(item.id).unwrap();
//! ```
//!
//! **Reads** `ftyp`; `meta` with `hdlr`, `pitm`, `iinf`, `iloc` (in the file and in `idat`), `iref`, `iprp`; grids and overlays;
//! `moov` with tracks and their sample tables. Properties have types of their own ([`Property`]); others are given as bytes.
//!
//! **Hostile bytes.** Safe Rust, without unchecked places or sums. Every size is held against the bytes at hand. What is kept of a
//! file is some bytes for each item or property, of which there may be [`MOST`]; tables stay where they are, and are read when
//! asked. Nothing is followed from item to item: who follows references has to count them.

#![forbid(unsafe_code)]

mod av1;
mod boxes;
mod brands;
mod cursor;
mod derived;
mod error;
mod file;
mod hevc;
mod items;
mod lists;
mod location;
mod meta;
mod movie;
mod properties;
mod references;
mod samples;
#[cfg(test)]
mod tests;
mod walk;
#[cfg(test)]
mod written;

pub use av1::Av1Config;
pub use boxes::{Atom, Boxes};
pub use brands::Brands;
pub use cursor::Cursor;
pub use derived::{Grid, Overlay};
pub use error::{Error, Result};
pub use file::File;
pub use hevc::HevcConfig;
pub use items::Item;
pub use meta::Meta;
pub use movie::{Movie, SampleEntry, Track};
pub use properties::{Associated, CleanAperture, Nclx, Property};
pub use references::Targets;
pub use samples::{Sample, Samples};
pub use walk::Walk;

/// The type of a box, an item, a reference, a brand.
pub type FourCc = [u8; 4];

/// Items, properties, locations, associations, references: of each a file may have so many.
pub const MOST: usize = 1 << 16;
