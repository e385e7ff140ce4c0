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
    /// Integers of 8 bits: weights with a scale for each output, inputs with a scale and a zero point for each row (without
    /// VNNI for each 64 values). What follows the pooling of rows is bf16.
    Int8,
}

impl Precision {
    /// Every format that an import writes.
    pub const ALL: [Self; 3] = [Self::F32, Self::Bf16, Self::Int8];

    /// Formats that are taken without being asked for, the fastest on this machine first. Int8 is left out for families that
    /// lose more by it.
    ///
    /// Their answers are as good as those of f32 (`docs/models/precision.md` has the measure): int8 where the processor sums up
    /// products of four integers, bf16 with AVX-512. Elsewhere both would save memory and little time.
    pub fn preferred() -> &'static [Self] {
        let kernel = Kernel::best();
        match (kernel.is_fastest_with_int8(), kernel.is_as_fast_with_bf16()) {
            (true, true) => &[Self::Int8, Self::Bf16, Self::F32],
            (true, false) => &[Self::Int8, Self::F32],
            (false, true) => &[Self::Bf16, Self::F32],
            (false, false) => &[Self::F32],
        }
    }

    /// The first of [`Precision::preferred`].
    pub fn auto() -> Self {
        Self::preferred().first().copied().unwrap_or(Self::F32)
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
        match self {
            // Other numbers than those of the first version, whose file keeps its name.
            Self::Int8 => "weights.int8v2.safetensors".to_owned(),
            Self::F32 | Self::Bf16 => format!("weights.{}.safetensors", self.name()),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// f32 is always there to fall back on, and integers are taken only where they are much faster.
    #[test]
    fn what_is_taken_without_being_asked_for() {
        let (preferred, kernel) = (Precision::preferred(), Kernel::best());
        assert_eq!((preferred.first(), preferred.last()), (Some(&Precision::auto()), Some(&Precision::F32)));
        assert_eq!(preferred.contains(&Precision::Int8), kernel.is_fastest_with_int8());
        assert!(!preferred.contains(&Precision::Bf16) || kernel.is_as_fast_with_bf16());
    }
}
