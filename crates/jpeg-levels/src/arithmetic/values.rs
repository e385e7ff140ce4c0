//! Differences and coefficients out of decisions.

use super::{AC, Arithmetic, BadCode, DC, FIXED};
use crate::block::Block;

type Result<T> = std::result::Result<T, BadCode>;

impl Arithmetic<'_> {
    /// A DC coefficient's difference, added to the one before. Figures F.19 to F.24.
    pub(super) fn difference(&mut self, slot: usize) -> Result<()> {
        let table = self.slots[slot].0;
        let base = DC + 64 * table;
        let mut place = base + self.context[slot];
        if !self.bit(place) {
            self.context[slot] = 0;
            return Ok(());
        }
        let negative = self.bit(place + 1);
        place += 2 + usize::from(negative);
        let mut magnitude = i32::from(self.bit(place));
        if magnitude != 0 {
            place = base + 20;
            self.category(&mut magnitude, &mut place)?;
        }
        let (low, high) = self.conditioning.dc[table];
        let bound = |bits: u8| (1 << bits) >> 1;
        self.context[slot] = match magnitude {
            m if m < bound(low) => 0,
            m if m > bound(high) => 12 + 4 * usize::from(negative),
            _ => 4 + 4 * usize::from(negative),
        };
        let value = self.value(magnitude, place, negative);
        self.last[slot] = (self.last[slot] + value) & 0xffff;
        Ok(())
    }

    /// AC coefficients, from the first one of the band to its last one or the end of the block.
    pub(super) fn coefficients(&mut self, slot: usize, mut set: impl FnMut(usize, i32)) -> Result<()> {
        let table = self.slots[slot].1;
        let base = AC + 256 * table;
        let mut k = self.band.first;
        while k <= self.band.last {
            let mut place = base + 3 * (k - 1);
            if self.bit(place) {
                break; // the end of the block
            }
            while !self.bit(place + 1) {
                place += 3;
                k += 1;
                if k > self.band.last {
                    return Err(BadCode);
                }
            }
            let negative = self.bit(FIXED);
            place += 2;
            let mut magnitude = i32::from(self.bit(place));
            if magnitude != 0 && self.bit(place) {
                magnitude = 2;
                place = base + if k <= usize::from(self.conditioning.ac[table]) { 189 } else { 217 };
                self.category(&mut magnitude, &mut place)?;
            }
            set(k, self.value(magnitude, place, negative));
            k += 1;
        }
        Ok(())
    }

    pub(super) fn refine(&mut self, slot: usize, block: &mut Block<'_>) -> Result<()> {
        let base = AC + 256 * self.slots[slot].1;
        let one = 1i16 << self.band.low;
        // Up to here it is clear that the block goes on.
        let known = (1..=self.band.last).rev().find(|&k| block.get(k) != 0).unwrap_or(0);
        let mut k = self.band.first;
        while k <= self.band.last {
            let mut place = base + 3 * (k - 1);
            if k > known && self.bit(place) {
                break;
            }
            loop {
                let value = block.get(k);
                if value != 0 {
                    if self.bit(place + 2) {
                        block.set(k, value.wrapping_add(if value < 0 { -one } else { one }));
                    }
                    break;
                }
                if self.bit(place + 1) {
                    block.set(k, if self.bit(FIXED) { -one } else { one });
                    break;
                }
                place += 3;
                k += 1;
                if k > self.band.last {
                    return Err(BadCode);
                }
            }
            k += 1;
        }
        Ok(())
    }

    /// Doubles the magnitude for each one that follows.
    fn category(&mut self, magnitude: &mut i32, place: &mut usize) -> Result<()> {
        while self.bit(*place) {
            *magnitude <<= 1;
            if *magnitude == 0x8000 {
                return Err(BadCode);
            }
            *place += 1;
        }
        Ok(())
    }

    /// The bits below the highest one of a magnitude, and the sign.
    fn value(&mut self, magnitude: i32, place: usize, negative: bool) -> i32 {
        let (mut value, mut bit) = (magnitude, magnitude >> 1);
        while bit > 0 {
            if self.bit(place + 14) {
                value |= bit;
            }
            bit >>= 1;
        }
        if negative { -value - 1 } else { value + 1 }
    }
}
