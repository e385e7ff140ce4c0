//! A block's 64 coefficients while scans refine them: in zigzag order, as bytes. Coefficients of a whole picture share their memory with
//! the pixels that are made of them.

use crate::markers::NATURAL;

/// Bytes of a block: 64 coefficients of 16 bits.
pub const BLOCK: usize = 128;

/// One block in the store.
pub struct Block<'a>(pub &'a mut [u8; BLOCK]);

impl Block<'_> {
    /// Coefficient `k` of the zigzag order.
    #[inline(always)]
    pub fn get(&self, k: usize) -> i16 {
        let at = 2 * k.min(63);
        i16::from_ne_bytes([self.0[at], self.0[at + 1]])
    }

    /// Runs that lead out of the block end in its last coefficient.
    #[inline(always)]
    pub fn set(&mut self, k: usize, value: i16) {
        let at = 2 * k.min(63);
        [self.0[at], self.0[at + 1]] = value.to_ne_bytes();
    }

    /// A bit for each coefficient, the lowest for the first: is there one?
    #[inline(always)]
    pub fn present(&self) -> u64 {
        let mut present = 0;
        for (i, word) in self.0.as_chunks().0.iter().enumerate() {
            let word = u64::from_le_bytes(*word);
            // The top bit of each 16.
            let any = (((word & 0x7fff_7fff_7fff_7fff) + 0x7fff_7fff_7fff_7fff) | word) & 0x8000_8000_8000_8000;
            present |= ((any >> 15).wrapping_mul(0x0001_0002_0004_0008) >> 48 & 15) << (4 * i);
        }
        present
    }

    /// Puts a whole block into zigzag order.
    pub fn store(&mut self, rows: &[i16; 64]) {
        for (k, bytes) in self.0.as_chunks_mut().0.iter_mut().enumerate() {
            *bytes = rows[usize::from(NATURAL[k] & 63)].to_ne_bytes();
        }
    }
}

/// The coefficients in rows.
#[inline(always)]
pub fn rows(bytes: &[u8; BLOCK]) -> [i16; 64] {
    let mut rows = [0; 64];
    for (k, bytes) in bytes.as_chunks().0.iter().enumerate() {
        rows[usize::from(NATURAL[k] & 63)] = i16::from_ne_bytes(*bytes);
    }
    rows
}

/// Coefficients that are in rows already.
#[inline(always)]
pub fn load(bytes: &[u8; BLOCK]) -> [i16; 64] {
    let mut rows = [0; 64];
    for (c, bytes) in rows.iter_mut().zip(bytes.as_chunks().0) {
        *c = i16::from_ne_bytes(*bytes);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn present_coefficients_are_found() {
        for k in 0..64 {
            for value in [1, -1, 256, i16::MIN, 0x7fff] {
                let mut bytes = [0; BLOCK];
                let mut block = Block(&mut bytes);
                block.set(k, value);
                assert_eq!(block.present(), 1 << k);
                block.set(5, -3);
                assert_eq!(block.present(), 1 << k | 1 << 5);
                assert_eq!(rows(&bytes)[usize::from(NATURAL[5])], -3);
            }
        }
    }
}
