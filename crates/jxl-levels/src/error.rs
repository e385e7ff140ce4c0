//! What stops a decoder.

use std::fmt;

use jpeg_levels::Env;
use jxl::error::Error as Fault;

pub type Result<T> = std::result::Result<T, Error>;

/// Why there is no picture.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The bytes do not begin as a JPEG XL file does.
    NotJxl,
    /// The bytes end before the picture does.
    Truncated,
    Damaged(String),
    /// A kind of JPEG XL that is not read here.
    Unsupported(&'static str),
    /// More work, or more samples, than a picture of this size can be worth.
    TooMuch(&'static str),
    /// This many bytes were refused.
    OutOfMemory(usize),
    /// [`Env::go_on`](jpeg_levels::Env) said so.
    Stopped,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJxl => f.write_str("no JPEG XL signature"),
            Self::Truncated => f.write_str("the bytes end before the picture does"),
            Self::Damaged(what) => f.write_str(what),
            Self::Unsupported(what) | Self::TooMuch(what) => f.write_str(what),
            Self::OutOfMemory(bytes) => write!(f, "{bytes} bytes were refused"),
            Self::Stopped => f.write_str("stopped"),
        }
    }
}

impl std::error::Error for Error {}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::OutOfBounds(_) | Fault::SectionTooShort => Self::Truncated,
            Fault::ImageSizeTooLarge(..) => Self::TooMuch("frames are much larger than the picture"),
            Fault::LevelLimitExceeded { .. } => Self::TooMuch("it has more than level 5 of JPEG XL allows"),
            Fault::ImageOutOfMemory(row, rows) => Self::OutOfMemory(row.saturating_mul(rows)),
            Fault::OutOfMemory(_) => Self::OutOfMemory(0),
            Fault::IOError(_) => Self::Stopped,
            other => Self::Damaged(other.to_string()),
        }
    }
}

impl From<jxl_bitstream::Error> for Error {
    fn from(fault: jxl_bitstream::Error) -> Self {
        match fault {
            fault if fault.unexpected_eof() => Self::Truncated,
            jxl_bitstream::Error::ProfileConformance(what) => Self::TooMuch(what),
            fault => Self::Damaged(fault.to_string()),
        }
    }
}

impl From<jxl_coding::Error> for Error {
    fn from(fault: jxl_coding::Error) -> Self {
        match fault {
            jxl_coding::Error::Bitstream(fault) => fault.into(),
            fault => Self::Damaged(fault.to_string()),
        }
    }
}

impl From<jxl_frame::Error> for Error {
    fn from(fault: jxl_frame::Error) -> Self {
        match fault {
            jxl_frame::Error::Bitstream(fault) => fault.into(),
            jxl_frame::Error::Decoder(fault) => fault.into(),
            jxl_frame::Error::OutOfMemory => Self::OutOfMemory(0),
            fault => Self::Damaged(fault.to_string()),
        }
    }
}

impl From<jxl_vardct::Error> for Error {
    fn from(fault: jxl_vardct::Error) -> Self {
        match fault {
            jxl_vardct::Error::Bitstream(fault) => fault.into(),
            jxl_vardct::Error::Decoder(fault) => fault.into(),
            fault => Self::Damaged(fault.to_string()),
        }
    }
}

pub fn look(env: &Env<'_>) -> Result<()> {
    if (env.go_on)() { Ok(()) } else { Err(Error::Stopped) }
}

pub fn zeroed(len: usize, env: &Env<'_>) -> Result<Vec<u8>> {
    (env.zeroed)(len).filter(|bytes| bytes.len() == len).ok_or(Error::OutOfMemory(len))
}
