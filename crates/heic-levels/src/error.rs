//! What stops the decoder.

use std::fmt;

pub type Result<T> = std::result::Result<T, Error>;

/// Why there is no picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The bytes do not begin as a HEIC file does.
    NotHeic,
    /// The bytes end before the picture does.
    Truncated,
    Damaged(&'static str),
    /// A kind of HEIC that is not read here.
    Unsupported(&'static str),
    /// More work than a picture of this size can be worth.
    TooMuch(&'static str),
    /// This many bytes were refused.
    OutOfMemory(usize),
    /// [`Env::go_on`](crate::Env) said so.
    Stopped,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotHeic => f.write_str("no file type box"),
            Self::Truncated => f.write_str("the bytes end before the picture does"),
            Self::Damaged(what) | Self::Unsupported(what) | Self::TooMuch(what) => f.write_str(what),
            Self::OutOfMemory(bytes) => write!(f, "{bytes} bytes were refused"),
            Self::Stopped => f.write_str("stopped"),
        }
    }
}

impl std::error::Error for Error {}

impl From<isobmff::Error> for Error {
    fn from(error: isobmff::Error) -> Self {
        match error {
            isobmff::Error::NotIsobmff => Self::NotHeic,
            isobmff::Error::Truncated => Self::Truncated,
            isobmff::Error::Unsupported(what) => Self::Unsupported(what),
            isobmff::Error::TooMuch(what) => Self::TooMuch(what),
            isobmff::Error::OutOfMemory(bytes) => Self::OutOfMemory(bytes),
            isobmff::Error::Damaged(what) => Self::Damaged(what),
            _ => Self::Damaged("its boxes cannot be read"),
        }
    }
}

impl From<hevc_decoder::Error> for Error {
    fn from(error: hevc_decoder::Error) -> Self {
        match error {
            hevc_decoder::Error::Truncated => Self::Truncated,
            hevc_decoder::Error::Unsupported(what) => Self::Unsupported(what),
            hevc_decoder::Error::OutOfMemory(bytes) => Self::OutOfMemory(bytes),
            hevc_decoder::Error::Stopped => Self::Stopped,
            hevc_decoder::Error::Damaged(what) => Self::Damaged(what),
            _ => Self::Damaged("its pictures cannot be read"),
        }
    }
}
