//! Number formats that weights are installed in.

use std::fmt;
use std::str::FromStr;

use packed_gemm::Kernel;

use crate::error::{Error, ErrorKind};

/// The number format of the weights, and of what they are multiplied with. Everything else is f32, sums included.
///
/// ```
/// use clip_core::Precision;
///
/// assert_eq!("bf16".parse::<Precision>().unwrap(), Precision::Bf16);
/// assert!("fp16".parse::<Precision>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Precision {
    /// 32-bit floats, 4 bytes a weight: the reference that the others are measured by.
    F32,
    /// The upper half of an f32, 2 bytes a weight: 8 bits of exponent and 7 of fraction.
    Bf16,
    /// Integers of 8 bits: weights with a scale for each output, their inputs with one for each 64 values.
    Int8,
}

impl Precision {
    /// Every format that an import writes.
    pub const ALL: [Self; 3] = [Self::F32, Self::Bf16, Self::Int8];

    /// The faster one of those whose embeddings agree with f32: bf16 with AVX-512 or AMX, which need half the time for a
    /// single text, else f32. Elsewhere bf16 would save memory and no time.
    pub fn auto() -> Self {
        if Kernel::best().is_as_fast_with_bf16() { Self::Bf16 } else { Self::F32 }
    }

    /// As options and file names spell it: `f32`, `bf16` or `int8`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
        }
    }

    /// The file with a model's weights.
    ///
    /// Its name within the model's directory, as `weights.bf16.safetensors`.
    pub fn file(self) -> String {
        format!("weights.{}.safetensors", self.name())
    }

    /// The type of the crate that multiplies, which knows nothing of files.
    pub(crate) fn packed(self) -> packed_gemm::Precision {
        match self {
            Self::F32 => packed_gemm::Precision::F32,
            Self::Bf16 => packed_gemm::Precision::Bf16,
            Self::Int8 => packed_gemm::Precision::Int8,
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Precision {
    type Err = Error;

    /// By [`Precision::name`]. Any other name is [`ErrorKind::InvalidArgument`].
    fn from_str(name: &str) -> Result<Self, Error> {
        let names = Self::ALL.map(Self::name).join(", ");
        Self::ALL.into_iter().find(|p| p.name() == name).ok_or_else(|| {
            Error::new(ErrorKind::InvalidArgument, format!("unknown precision \"{name}\": expected one of {names}"))
        })
    }
}
