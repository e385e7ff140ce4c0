//! What stops a decoder.

use std::fmt;

use jpeg_levels::Env;

/// What everything that reads returns.
pub type Result<T> = std::result::Result<T, Error>;

/// Why there is no picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The bytes do not begin as a TIFF file does.
    NotTiff,
    /// The bytes end before the picture does.
    Truncated,
    /// The file contradicts the standard or itself.
    Damaged(&'static str),
    /// A JPEG inside of the file is damaged.
    Jpeg(jpeg_levels::Error),
    /// A kind of TIFF that is not read here.
    Unsupported(Unsupported),
    /// More work than a picture of this size can be worth.
    TooMuch(&'static str),
    /// This many bytes were refused.
    OutOfMemory(usize),
    /// [`Env::go_on`](jpeg_levels::Env) said so.
    Stopped,
}

/// Kinds of TIFF that are refused by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unsupported {
    /// A compression, by its number.
    Compression(usize),
    /// A PhotometricInterpretation, by its number.
    Colours(usize),
    /// Bits a sample, of these colours.
    Bits {
        /// Bits a sample.
        bits: usize,
        /// Of what colours.
        colours: &'static str,
    },
    /// Samples whose numbers of bits or whose formats differ.
    MixedSamples,
    /// SampleFormat, of these colours.
    Format {
        /// Its number.
        format: usize,
        /// Of what colours.
        colours: &'static str,
    },
    /// Samples a pixel, too few for these colours.
    Samples {
        /// Samples a pixel.
        samples: usize,
        /// Of what colours.
        colours: &'static str,
    },
    /// White is zero, in samples of more than 8 bits: readers differ on whether it is.
    WideWhiteIsZero,
    /// A predictor, by its number, for samples of so many bits.
    Predictor {
        /// Its number.
        predictor: usize,
        /// Bits a sample.
        bits: usize,
    },
    /// A YCbCrSubSampling, across and down.
    Subsampling(usize, usize),
    /// Chroma planes of their own, smaller than the picture.
    SubsampledPlanes,
    /// Old-style JPEG in an arrangement that no known writer has.
    OldJpeg(&'static str),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotTiff => f.write_str("no TIFF header"),
            Self::Truncated => f.write_str("the bytes end before the picture does"),
            Self::Damaged(what) | Self::TooMuch(what) => f.write_str(what),
            Self::Jpeg(error) => write!(f, "JPEG inside: {error}"),
            Self::Unsupported(what) => what.fmt(f),
            Self::OutOfMemory(bytes) => write!(f, "{bytes} bytes were refused"),
            Self::Stopped => f.write_str("stopped"),
        }
    }
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compression(number) => match compression_name(*number) {
                Some(name) => write!(f, "compression {number} ({name})"),
                None => write!(f, "compression {number}"),
            },
            Self::Colours(number) => match colours_name(*number) {
                Some(name) => write!(f, "colours {number} ({name})"),
                None => write!(f, "colours {number}"),
            },
            Self::Bits { bits, colours } => write!(f, "{bits} bits per sample of {colours}"),
            Self::MixedSamples => f.write_str("samples of different kinds in a pixel"),
            Self::Format { format: 3, colours } => write!(f, "floating-point samples of {colours}"),
            Self::Format { format: 2, colours } => write!(f, "signed samples of {colours}"),
            Self::Format { format, colours } => write!(f, "sample format {format} of {colours}"),
            Self::Samples { samples, colours } => write!(f, "{samples} samples per pixel of {colours}"),
            Self::WideWhiteIsZero => f.write_str("more than 8 bits per sample where white is zero"),
            Self::Predictor { predictor, bits } => write!(f, "predictor {predictor} of {bits} bits per sample"),
            Self::Subsampling(across, down) => write!(f, "chroma subsampling of {across} x {down}"),
            Self::SubsampledPlanes => f.write_str("subsampled chroma in planes of its own"),
            Self::OldJpeg(what) => write!(f, "old-style JPEG {what}"),
        }
    }
}

fn compression_name(number: usize) -> Option<&'static str> {
    Some(match number {
        9 | 10 | 34661 => "JBIG",
        32766 => "NeXT",
        32809 => "ThunderScan",
        32895..=32898 => "Pixar and prepress",
        32908 | 32909 => "Pixar",
        34676 | 34677 => "SGI LogLuv",
        34712 => "JPEG 2000",
        34887 => "LERC",
        34933 | 34934 | 52546 => "JPEG XL or PNG",
        50001 => "WebP",
        50002 => "JPEG XL",
        _ => return None,
    })
}

fn colours_name(number: usize) -> Option<&'static str> {
    Some(match number {
        4 => "transparency mask",
        9 => "ICC Lab",
        10 => "ITU Lab",
        32803 => "colour filter array",
        32844 | 32845 => "LogLuv",
        34892 => "linear raw",
        _ => return None,
    })
}

impl std::error::Error for Error {}

impl From<jpeg_levels::Error> for Error {
    fn from(error: jpeg_levels::Error) -> Self {
        match error {
            jpeg_levels::Error::OutOfMemory(bytes) => Self::OutOfMemory(bytes),
            jpeg_levels::Error::Stopped => Self::Stopped,
            other => Self::Jpeg(other),
        }
    }
}

impl Error {
    /// The file's data are at fault: some of its picture may be there all the same.
    pub(crate) fn is_of_data(self) -> bool {
        matches!(self, Self::Truncated | Self::Damaged(_) | Self::Jpeg(_))
    }
}

/// Asks whether to go on. [`Error::Stopped`] where not.
pub fn look(env: &Env<'_>) -> Result<()> {
    if (env.go_on)() { Ok(()) } else { Err(Error::Stopped) }
}

/// `len` zeros of whoever gives memory. [`Error::OutOfMemory`] where there are none.
pub fn zeroed(len: usize, env: &Env<'_>) -> Result<Vec<u8>> {
    (env.zeroed)(len).filter(|bytes| bytes.len() == len).ok_or(Error::OutOfMemory(len))
}
