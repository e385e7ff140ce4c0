//! CLIP-family models on the CPU: import, image and text preprocessing, towers, embeddings.
//!
//! Knows nothing of PostgreSQL. The way data flows:
//!
//! ```text
//! image:  &[u8] -> image::decode -> Rgb8 -> image::preprocess -> pixel values -> vision tower -> Embedding
//! text:   &str  -> text::Tokenizer -> ids -> text tower -> Embedding
//! model:  directory -> import -> Installed -> Model (towers read on first use)
//! ```
//!
//! A [`Model`] is opened from a [`ModelDir`] and called with a [`Context`]. Vectors are f32. Shapes are row-major, the
//! outermost dimension first: `[tokens, width]`. Every failure is an [`Error`], whose [`ErrorKind`] says what to do.

#![warn(missing_docs)]

mod background;
mod bounds;
pub mod calibrate;
pub mod classify;
mod cleaning;
pub mod compute;
mod cushion;
mod detached;
mod embedding;
pub mod error;
mod finish;
mod guarded;
pub mod image;
pub mod import;
mod install;
pub mod installed;
pub mod language;
mod layout;
mod mapping;
pub mod memory;
mod merges;
mod modality;
pub mod model;
mod packed;
mod passes;
pub mod pixels;
pub mod precision;
mod regular;
mod relevant;
mod sentencepiece;
pub mod spec;
mod tensor_file;
pub mod text;
mod tokenizer_json;
mod towers;
mod watched;
mod weights;

pub use background::Background;
pub use compute::{Compute, Context};
pub use embedding::Embedding;
pub use error::{Error, ErrorKind, Result};
pub use guarded::quiet_libraries;
pub use installed::{Installed, ModelDir};
pub use modality::Modality;
pub use model::Model;
pub use pixels::{image_frames, image_hash};
pub use precision::Precision;
