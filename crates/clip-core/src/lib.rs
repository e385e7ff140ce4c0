//! CLIP-family models on the CPU: import, image and text preprocessing, towers, embeddings.
//!
//! Knows nothing of PostgreSQL. The way data flows:
//!
//! ```text
//! image:  &[u8] -> image::decode -> Rgb8 -> image::preprocess -> PixelValues -> vision tower -> Embedding
//! text:   &str  -> text::Tokenizer -> ids -> text tower -> Embedding
//! model:  directory -> import -> installed model -> store -> Model
//! ```

pub mod error;
pub mod image;
pub mod spec;

pub use error::{Error, ErrorKind, Result};
