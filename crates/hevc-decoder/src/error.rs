//! What stops the decoder.

use std::fmt;

/// What everything that reads returns.
pub type Result<T> = std::result::Result<T, Error>;

/// Why there is no picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The bytes end before the picture does.
    Truncated,
    /// The bytes contradict the standard or themselves.
    Damaged(&'static str),
    /// What the standard allows and this decoder does not read.
    Unsupported(&'static str),
    /// This many bytes were refused.
    OutOfMemory(usize),
    /// Whoever was asked said so.
    Stopped,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("the bytes end before the picture does"),
            Self::Damaged(what) => f.write_str(what),
            Self::Unsupported(what) => f.write_str(what),
            Self::OutOfMemory(bytes) => write!(f, "{bytes} bytes were refused"),
            Self::Stopped => f.write_str("stopped"),
        }
    }
}

impl std::error::Error for Error {}

/// A list of `len` zeros, or what else is the type's default. [`Error::OutOfMemory`] where there is no memory.
pub fn zeroed<T: Clone + Default>(len: usize) -> Result<Vec<T>> {
    let mut list = Vec::new();
    list.try_reserve_exact(len).map_err(|_| Error::OutOfMemory(len.saturating_mul(size_of::<T>())))?;
    list.resize(len, T::default());
    Ok(list)
}
