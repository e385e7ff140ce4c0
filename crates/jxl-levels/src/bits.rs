//! Bits of a header, the lowest first. What lies outside of the bytes is `None`.

pub struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// What a selector of two bits chooses: a number, or one that follows in so many bits, and what is added to it.
#[derive(Clone, Copy)]
pub enum Choice {
    Is(u32),
    Of(u32, u32),
}

impl<'a> Bits<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Up to 32 bits.
    pub fn take(&mut self, count: u32) -> Option<u32> {
        let mut value = 0;
        for i in 0..count {
            let byte = *self.bytes.get(self.at / 8)?;
            value |= u32::from(byte >> (self.at % 8) & 1) << i;
            self.at += 1;
        }
        Some(value)
    }

    pub fn flag(&mut self) -> Option<bool> {
        Some(self.take(1)? == 1)
    }

    pub fn choose(&mut self, choices: [Choice; 4]) -> Option<u32> {
        match choices[self.take(2)? as usize & 3] {
            Choice::Is(value) => Some(value),
            Choice::Of(bits, more) => self.take(bits)?.checked_add(more),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_bit_comes_first() {
        let mut bits = Bits::new(&[0b1010_0110, 0xff]);
        assert_eq!((bits.take(3), bits.flag(), bits.take(8)), (Some(0b110), Some(false), Some(0b1111_1010)));
        assert_eq!(bits.take(5), None);
        let choices = [Choice::Is(7), Choice::Of(3, 1), Choice::Of(32, 1), Choice::Is(9)];
        assert_eq!(Bits::new(&[0]).choose(choices), Some(7));
        assert_eq!(Bits::new(&[0b10101]).choose(choices), Some(6));
        assert_eq!(Bits::new(&[0xfe, 0xff, 0xff, 0xff, 0xff]).choose(choices), None);
    }
}
