//! NAL units (clauses 7.3.1 and 7.4.2.2).

use std::borrow::Cow;

use crate::error::{Error, Result};

/// A sequence parameter set.
pub const SPS: u8 = 33;
/// A picture parameter set.
pub const PPS: u8 = 34;
/// Instantaneous decoding refresh.
pub const IDR: std::ops::RangeInclusive<u8> = 19..=20;
/// Pictures that others need not come before.
pub const IRAP: std::ops::RangeInclusive<u8> = 16..=23;
/// Those of them that may follow on others.
pub const CRA: u8 = 21;
/// Shown before such a picture, and predicted from those before it.
pub const RASL: std::ops::RangeInclusive<u8> = 8..=9;
/// Shown before such a picture, and predicted from it and those after it.
pub const RADL: std::ops::RangeInclusive<u8> = 6..=7;
/// The end of a sequence and that of the stream.
pub const END: std::ops::RangeInclusive<u8> = 36..=37;

/// A unit's header, and its payload as coded.
#[derive(Clone, Copy, Debug)]
pub struct Unit<'a> {
    /// nal_unit_type.
    pub kind: u8,
    /// Of scalable and multiview streams; 0 is the base.
    pub layer: u8,
    /// Of temporal layers; 0 is the base.
    pub temporal: u8,
    payload: &'a [u8],
}

impl<'a> Unit<'a> {
    /// A unit of two bytes of header and its payload.
    pub fn read(bytes: &'a [u8]) -> Result<Self> {
        let ([first, second], payload) =
            bytes.split_first_chunk::<2>().ok_or(Error::Damaged("a NAL unit without a header"))?;
        Ok(Self {
            kind: first >> 1 & 63,
            layer: (first & 1) << 5 | second >> 3,
            temporal: (second & 7).saturating_sub(1),
            payload,
        })
    }

    /// Is it a slice segment of any picture? Types from 32 on are something else.
    pub fn is_slice(&self) -> bool {
        self.kind < 32
    }

    /// No other picture of its temporal layer is predicted from it.
    pub fn is_unreferenced(&self) -> bool {
        self.kind < 15 && self.kind.is_multiple_of(2)
    }

    /// Without the bytes that keep start codes out (clause 7.4.2).
    pub fn payload(&self) -> Result<Cow<'a, [u8]>> {
        let raw = self.payload;
        let Some(first) = raw.windows(3).position(|window| window == [0, 0, 3]) else { return Ok(Cow::Borrowed(raw)) };
        let mut plain = Vec::new();
        plain.try_reserve_exact(raw.len()).map_err(|_| Error::OutOfMemory(raw.len()))?;
        let (head, tail) = raw.split_at_checked(first).unwrap_or_default();
        plain.extend_from_slice(head);
        let mut zeros = 0;
        for &byte in tail {
            if zeros >= 2 && byte == 3 {
                zeros = 0;
                continue;
            }
            zeros = if byte == 0 { zeros + 1 } else { 0 };
            plain.push(byte);
        }
        Ok(Cow::Owned(plain))
    }
}

/// Units that follow their lengths, of so many bytes each.
#[derive(Clone, Copy, Debug)]
pub struct Units<'a> {
    /// Those that are left.
    pub rest: &'a [u8],
    /// Bytes of a length, 1 to 4.
    pub length_size: usize,
}

impl<'a> Iterator for Units<'a> {
    type Item = Result<&'a [u8]>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let unit = self.rest.split_at_checked(self.length_size).and_then(|(len, rest)| {
            // At most 4 bytes.
            let len = len.iter().fold(0, |len, &byte| len << 8 | usize::from(byte));
            rest.split_at_checked(len)
        });
        let (unit, rest) = unit.map_or((Err(Error::Truncated), Default::default()), |(unit, rest)| (Ok(unit), rest));
        self.rest = rest;
        Some(unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_codes_are_kept_out() {
        let payload = |bytes: &[u8]| Unit::read(&[&[0x42, 1], bytes].concat()).unwrap().payload().unwrap().into_owned();
        assert_eq!(payload(&[0, 0, 3, 1, 0, 0, 3, 2, 0, 0, 1]), [0, 0, 1, 0, 0, 2, 0, 0, 1]);
        assert_eq!(payload(&[9, 0, 0, 3, 0, 0, 3]), [9, 0, 0, 0, 0]);
        assert_eq!(payload(&[0, 3, 0, 4]), [0, 3, 0, 4]);
        let unit = Unit::read(&[0x43, 0x11]).unwrap();
        assert_eq!((unit.kind, unit.layer, unit.is_slice()), (SPS, 34, false));
    }

    #[test]
    fn lengths() {
        let units = |rest: &'static [u8], length_size| Units { rest, length_size }.collect::<Vec<_>>();
        assert_eq!(units(&[0, 1, 7, 0, 0, 0, 2, 8, 9], 2), [Ok(&[7][..]), Ok(&[]), Ok(&[8, 9])]);
        assert_eq!(units(&[0, 0, 0, 2, 8], 4), [Err(Error::Truncated)]);
        assert_eq!(units(&[0, 0, 0], 4), [Err(Error::Truncated)]);
        assert_eq!(units(&[255; 8], 4), [Err(Error::Truncated)]);
    }
}
