//! Numbers out of a raw byte sequence payload, bit by bit (clauses 7.2 and 9.2).

use crate::error::{Error, Result};

/// Some bytes and a place in them. Whoever reads behind the end gets [`Error::Truncated`].
#[derive(Clone, Debug)]
pub struct Bits<'a> {
    data: &'a [u8],
    /// In bits.
    at: usize,
}

impl<'a> Bits<'a> {
    /// From the first bit on, which is the highest of the first byte.
    pub fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0 }
    }

    /// One bit: u(1).
    pub fn flag(&mut self) -> Result<bool> {
        let byte = *self.data.get(self.at / 8).ok_or(Error::Truncated)?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Ok(bit == 1)
    }

    /// A number of `count` bits, at most 32: u(n).
    pub fn bits(&mut self, count: u32) -> Result<u32> {
        let mut value = 0;
        for _ in 0..count {
            value = value << 1 | u32::from(self.flag()?);
        }
        Ok(value)
    }

    /// Passes `count` bits over.
    pub fn skip(&mut self, count: usize) -> Result<()> {
        self.at = self.at.checked_add(count).filter(|&at| at <= self.data.len() * 8).ok_or(Error::Truncated)?;
        Ok(())
    }

    /// An unsigned Exp-Golomb number: ue(v).
    pub fn ue(&mut self) -> Result<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros > 31 {
                return Err(Error::Damaged("a number of more than 32 bits"));
            }
        }
        Ok((1 << zeros) - 1 + self.bits(zeros)?)
    }

    /// A number of which the standard says the most.
    pub fn ue_to(&mut self, most: u32) -> Result<u32> {
        let value = self.ue()?;
        if value > most { Err(Error::Damaged("a number beyond its bounds")) } else { Ok(value) }
    }

    /// A signed Exp-Golomb number: se(v).
    pub fn se(&mut self) -> Result<i32> {
        let value = self.ue()?;
        // At most 2^32 - 2.
        let half = value.div_ceil(2) as i32;
        Ok(if value % 2 == 1 { half } else { -half })
    }

    /// se(v), of which the standard says the bounds.
    pub fn se_within(&mut self, least: i32, most: i32) -> Result<i32> {
        let value = self.se()?;
        if value < least || value > most { Err(Error::Damaged("a number beyond its bounds")) } else { Ok(value) }
    }

    /// What follows the alignment: a one, then zeros.
    pub fn aligned(mut self) -> Result<&'a [u8]> {
        self.skip(1)?;
        self.data.get(self.at.div_ceil(8)..).ok_or(Error::Truncated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_golomb() {
        // 1, 010, 011, 00100, 00111.
        let data = [0b1010_0110, 0b0100_0011, 0b1000_0000];
        let mut bits = Bits::new(&data);
        assert_eq!([(); 5].map(|()| bits.ue().unwrap()), [0, 1, 2, 3, 6]);
        let mut bits = Bits::new(&data);
        assert_eq!([(); 5].map(|()| bits.se().unwrap()), [0, 1, -1, 2, -3]);
        assert_eq!(Bits::new(&[0; 9]).ue(), Err(Error::Damaged("a number of more than 32 bits")));
        assert_eq!(Bits::new(&[0; 2]).ue(), Err(Error::Truncated));
        assert_eq!(Bits::new(&[0, 0, 0, 1, 255, 255, 255, 255]).ue(), Ok(u32::MAX - 1));
    }
}
