//! What stops the decoder.

use std::fmt;

pub type Result<T> = std::result::Result<T, Error>;

/// Why there is no picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    Damaged(&'static str),
    /// This many bytes were refused.
    OutOfMemory(usize),
    /// The caller said so.
    Stopped,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged(what) => f.write_str(what),
            Self::OutOfMemory(bytes) => write!(f, "{bytes} bytes were refused"),
            Self::Stopped => f.write_str("stopped"),
        }
    }
}

impl std::error::Error for Error {}

pub fn filled<T: Clone>(len: usize, with: T) -> Result<Vec<T>> {
    let mut all = Vec::new();
    all.try_reserve_exact(len).map_err(|_| Error::OutOfMemory(len.saturating_mul(size_of::<T>())))?;
    all.resize(len, with);
    Ok(all)
}
