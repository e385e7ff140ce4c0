//! What stops a decoder.

use std::fmt;

use jpeg_levels::Env;

pub type Result<T> = std::result::Result<T, Error>;

/// Why there is no picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// Of the boxes around the data.
    Container(isobmff::Error),
    /// Of the data of AV1.
    Av1(&'static str),
    Damaged(&'static str),
    /// A kind of AVIF that is not read here.
    Unsupported(Unsupported),
    /// More work than a picture of this size can be worth.
    TooMuch(&'static str),
    /// This many bytes were refused.
    OutOfMemory(usize),
    /// [`Env::go_on`](jpeg_levels::Env) said so.
    Stopped,
}

/// Kinds of AVIF that are refused by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unsupported {
    /// The picture to be shown is an item of this type.
    Item([u8; 4]),
    /// An essential property of this type.
    Property([u8; 4]),
    /// Colours of this depth and matrix are multiplied by alpha: libavif divides them in a way that is not followed here.
    Multiplied,
    /// By its number, a matrix that libavif does not convert either.
    Matrix(u16),
    /// A matrix, by its number, that is not defined for this subsampling, range or depth.
    MatrixOf(u16, &'static str),
    /// The frame is smaller than the picture.
    Scaled,
    Encrypted,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Container(error) => error.fmt(f),
            Self::Av1(what) => write!(f, "AV1: {what}"),
            Self::Damaged(what) | Self::TooMuch(what) => f.write_str(what),
            Self::Unsupported(what) => what.fmt(f),
            Self::OutOfMemory(bytes) => write!(f, "{bytes} bytes were refused"),
            Self::Stopped => f.write_str("stopped"),
        }
    }
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Item(kind) => write!(f, "item of type {}", kind.escape_ascii()),
            Self::Property(kind) => write!(f, "essential property of type {}", kind.escape_ascii()),
            Self::Multiplied => f.write_str("colours of this depth or matrix multiplied by alpha"),
            Self::Matrix(number) => write!(f, "colour matrix {number}"),
            Self::MatrixOf(number, what) => write!(f, "colour matrix {number} {what}"),
            Self::Scaled => f.write_str("frame that is to be enlarged"),
            Self::Encrypted => f.write_str("encrypted item"),
        }
    }
}

impl std::error::Error for Error {}

impl From<isobmff::Error> for Error {
    fn from(error: isobmff::Error) -> Self {
        match error {
            isobmff::Error::OutOfMemory(bytes) => Self::OutOfMemory(bytes),
            other => Self::Container(other),
        }
    }
}

pub fn look(env: &Env<'_>) -> Result<()> {
    if (env.go_on)() { Ok(()) } else { Err(Error::Stopped) }
}

pub fn zeroed(len: usize, env: &Env<'_>) -> Result<Vec<u8>> {
    (env.zeroed)(len).filter(|bytes| bytes.len() == len).ok_or(Error::OutOfMemory(len))
}

/// Numbers for a row or a table, whose sizes pictures do not choose beyond their width.
pub fn row<T: Clone + Default>(len: usize) -> Result<Vec<T>> {
    let mut row = Vec::new();
    row.try_reserve_exact(len).map_err(|_| Error::OutOfMemory(len.saturating_mul(size_of::<T>())))?;
    row.resize(len, T::default());
    Ok(row)
}
