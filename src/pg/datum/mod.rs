//! PostgreSQL values from and to Rust: pgvector's `vector` and `halfvec`, arrays of them, text in the server's encoding.

mod half;
mod text;
mod varlena;
mod vector;

pub use text::{copy, from_server, in_server, text_argument, to_server, to_utf8, utf8_all};
pub use varlena::{VarlenaCopy, argument, array_of, text_array};
pub use vector::{Vector, VectorArray, VectorType, vector_slice};
