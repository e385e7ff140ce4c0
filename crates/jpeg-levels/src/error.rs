//! What stops a decoder, and what it goes on in spite of.

use std::fmt;

/// What everything that reads returns.
pub type Result<T> = std::result::Result<T, Error>;

/// Why there is no picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The bytes do not begin with a start-of-image marker.
    NotJpeg,
    /// The bytes end before the first scan.
    Truncated,
    /// What libjpeg refuses, too.
    Damaged(&'static str),
    /// A kind of JPEG that is not read here.
    Unsupported(Unsupported),
    /// So many scans, or so much work in them, as no encoder makes.
    TooManyScans,
    /// This many bytes were refused.
    OutOfMemory(usize),
    /// [`Env::go_on`](crate::Env) said so.
    Stopped,
}

/// Kinds of JPEG that are refused by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unsupported {
    /// SOF3 and SOF11.
    Lossless,
    /// SOF5 to SOF7 and SOF13 to SOF15.
    Hierarchical,
    /// Bits a sample that are not 8.
    Precision(u8),
    /// Components that are not 1 to 4, or two where RGB is asked for.
    Components(u8),
    /// Sampling factors that are no whole multiples of each other.
    FractionalSampling,
    /// The height follows the first scan (DNL).
    LateHeight,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJpeg => f.write_str("no start-of-image marker"),
            Self::Truncated => f.write_str("the bytes end before the first scan"),
            Self::Damaged(what) => f.write_str(what),
            Self::Unsupported(what) => what.fmt(f),
            Self::TooManyScans => f.write_str("too many scans"),
            Self::OutOfMemory(bytes) => write!(f, "{bytes} bytes were refused"),
            Self::Stopped => f.write_str("stopped"),
        }
    }
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lossless => f.write_str("lossless coding"),
            Self::Hierarchical => f.write_str("hierarchical coding"),
            Self::Precision(bits) => write!(f, "{bits} bits per sample, expected 8"),
            Self::Components(count) => write!(f, "{count} components, expected 1 to 4"),
            Self::FractionalSampling => f.write_str("fractional sampling factors"),
            Self::LateHeight => f.write_str("its height follows its first scan"),
        }
    }
}

impl std::error::Error for Error {}

/// What libjpeg warns of and goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Warnings {
    /// The bytes end before the picture does: the rest is filled up as if an end-of-image marker followed. Pillow refuses
    /// such a file, unless `LOAD_TRUNCATED_IMAGES` is set.
    pub truncated: bool,
    /// A code that no table has, a segment that ends early, a restart marker that is not the expected one.
    pub corrupt: bool,
    /// There are blocks for which a scan has no data, or not all, since its segment ended: they are flat, or less sharp.
    pub lost: bool,
    /// Bytes between segments that belong to none.
    pub stray_bytes: bool,
    /// A component has no scan: it is flat.
    pub missing: bool,
    /// Not every coefficient of a progressive picture is known to its last bit.
    pub incomplete: bool,
}
