//! A block's 64 coefficients, in rows, as bytes: coefficients of a whole picture share their memory with the pixels that are made
//! of them.

use crate::markers::NATURAL;

pub const BLOCK: usize = 128;

pub struct Block<'a>(pub &'a mut [u8; BLOCK]);

impl Block<'_> {
    /// The coefficient at a place of the zigzag order.
    #[inline(always)]
    pub fn get(&self, k: usize) -> i16 {
        let at = place(k);
        i16::from_ne_bytes([self.0[at], self.0[at + 1]])
    }

    #[inline(always)]
    pub fn set(&mut self, k: usize, value: i16) {
        let at = place(k);
        [self.0[at], self.0[at + 1]] = value.to_ne_bytes();
    }

    pub fn load(&self) -> [i16; 64] {
        load(self.0)
    }

    pub fn store(&mut self, coefficients: &[i16; 64]) {
        self.0.as_chunks_mut().0.iter_mut().zip(coefficients).for_each(|(b, c)| *b = c.to_ne_bytes());
    }
}

#[inline(always)]
fn place(k: usize) -> usize {
    2 * usize::from(NATURAL[k & 127] & 63)
}

#[inline(always)]
pub fn load(bytes: &[u8; BLOCK]) -> [i16; 64] {
    let mut coefficients = [0; 64];
    coefficients.iter_mut().zip(bytes.as_chunks().0).for_each(|(c, b)| *c = i16::from_ne_bytes(*b));
    coefficients
}
