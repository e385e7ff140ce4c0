//! What stops the reader.

use std::fmt;

/// What everything that reads returns.
pub type Result<T> = std::result::Result<T, Error>;

/// Why something could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The bytes do not begin with an `ftyp` box.
    NotIsobmff,
    /// The bytes end before what is asked for does.
    Truncated,
    /// The bytes contradict the standard, or themselves.
    Damaged(&'static str),
    /// What the standard allows and this reader does not read.
    Unsupported(&'static str),
    /// More of something than a picture can need.
    TooMuch(&'static str),
    /// This many bytes were refused.
    OutOfMemory(usize),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotIsobmff => f.write_str("no file type box"),
            Self::Truncated => f.write_str("the bytes end before the picture does"),
            Self::Damaged(what) | Self::Unsupported(what) | Self::TooMuch(what) => f.write_str(what),
            Self::OutOfMemory(bytes) => write!(f, "{bytes} bytes were refused"),
        }
    }
}

impl std::error::Error for Error {}
