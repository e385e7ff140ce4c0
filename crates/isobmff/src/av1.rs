//! `av1C`: what an AV1 decoder needs before a picture's data.

use crate::cursor::Cursor;
use crate::error::{Error, Result};

/// The body of an `av1C` box (AV1 Codec ISO Media File Format Binding, section 2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Av1Config<'a> {
    /// AV1's `seq_profile`: 0 main, 1 high, 2 professional.
    pub profile: u8,
    /// Bits of a sample: 8, 10 or 12.
    pub depth: u8,
    /// There is luma alone.
    pub monochrome: bool,
    /// Chroma is of half the width, the height.
    pub subsampled: (bool, bool),
    /// Open bitstream units, of which there may be none: the data repeat the sequence header.
    pub units: &'a [u8],
}

impl<'a> Av1Config<'a> {
    /// Reads the body of the box. Another version than 1 is `Unsupported`, a body of less than four bytes `Damaged`.
    pub fn read(body: &'a [u8]) -> Result<Self> {
        let mut cursor = Cursor::new(body);
        let [marker, profile, flags, _] = cursor.array::<4>()?;
        if marker != 0x81 {
            return Err(Error::Unsupported("version of the AV1 configuration"));
        }
        let flag = |bit: u8| flags & (1 << bit) != 0;
        let depth = match (flag(6), flag(5)) {
            (false, _) => 8,
            (true, false) => 10,
            (true, true) => 12,
        };
        let subsampled = (flag(3), flag(2));
        Ok(Self { profile: profile >> 5, depth, monochrome: flag(4), subsampled, units: cursor.rest() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags() {
        let config = Av1Config::read(&[0x81, 0x20, 0b0100_0000, 0, 9]).unwrap();
        assert_eq!((config.profile, config.depth, config.subsampled), (1, 10, (false, false)));
        let config = Av1Config::read(&[0x81, 0, 0b0001_1100, 0]).unwrap();
        assert!(config.monochrome && config.subsampled == (true, true) && config.depth == 8 && config.units.is_empty());
        assert!(Av1Config::read(&[0x81, 0, 0]).is_err() && Av1Config::read(&[1, 0, 0, 0]).is_err());
    }
}
