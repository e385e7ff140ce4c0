//! Arithmetic coding, sequential and progressive. Follows `jdarith.c`.

use crate::block::Block;
use crate::coder::{Band, Coder, Restarts};
use std::result::Result as Outcome;

use crate::error::Result;
use crate::input::Input;
use crate::markers::{Conditioning, NATURAL, Reader, ScanHeader};

/// Places of statistics: of 16 tables for DC, of 16 for AC, and one that stays as it is.
const DC: usize = 0;
const AC: usize = 16 * 64;
const FIXED: usize = AC + 16 * 256;
const PLACES: usize = 1 << 13;

pub struct Arithmetic<'a> {
    input: Input<'a>,
    /// Code register, interval, and how many bits of the register are still to come.
    c: i64,
    a: i64,
    ct: i32,
    /// A state of [`STATES`], and in the highest bit the more probable symbol.
    statistics: Box<[u8; PLACES]>,
    restarts: Restarts,
    /// A code was met that does not exist: until the next restart nothing is read.
    failed: bool,
    corrupt: bool,
    truncated: bool,
    lost: bool,
    last: [i32; 4],
    context: [usize; 4],
    slots: [(usize, usize); 4],
    conditioning: Conditioning,
    band: Band,
}

/// A code that does not exist.
struct BadCode;

impl<'a> Coder<'a> for Arithmetic<'a> {
    fn new(reader: &Reader<'a>, scan: &ScanHeader) -> Result<Self> {
        let progressive = reader.frame.as_ref().is_some_and(|f| f.progressive);
        let band = if progressive { Band::new(scan)? } else { Band { first: 1, last: 63, low: 0, refines: false } };
        let mut slots = [(0, 0); 4];
        for (slot, component) in slots.iter_mut().zip(&scan.components) {
            *slot = (usize::from(component.dc & 15), usize::from(component.ac & 15));
        }
        let mut this = Self {
            input: reader.input,
            c: 0,
            a: 0,
            ct: 0,
            statistics: Box::new([0; PLACES]),
            restarts: Restarts::new(reader.tables.restart_interval),
            failed: false,
            corrupt: false,
            truncated: false,
            lost: false,
            last: [0; 4],
            context: [0; 4],
            slots,
            conditioning: reader.tables.conditioning,
            band,
        };
        this.reset();
        Ok(this)
    }

    fn begin(&mut self) -> bool {
        if self.restarts.is_due() {
            self.corrupt |= !self.restarts.pass(&mut self.input);
            self.truncated |= self.input.ended;
            self.reset();
        }
        self.lost |= self.failed;
        !self.failed
    }

    fn whole(&mut self, slot: usize, block: &mut [i16; 64]) -> u8 {
        let slot = slot & 3;
        // In a unit that fails, what was read before stays.
        if self.failed {
            return 0;
        }
        let (mut reached, mut ok) = (0, self.difference(slot).is_ok());
        if ok {
            block[0] = self.last[slot] as i16;
            ok = self
                .coefficients(slot, |k, value| {
                    block[usize::from(NATURAL[k & 127] & 63)] = value as i16;
                    reached = k as u8;
                })
                .is_ok();
        }
        self.note(ok);
        reached
    }

    fn part(&mut self, slot: usize, mut block: Block<'_>) {
        if self.failed {
            return;
        }
        let (slot, low) = (slot & 3, self.band.low);
        let result = match (self.band.first == 0, self.band.refines) {
            (true, false) => {
                self.difference(slot).map(|()| block.set(0, (self.last[slot] << low) as i16))
            }
            (true, true) => {
                if self.bit(FIXED) {
                    block.set(0, block.get(0) | 1 << low);
                }
                Ok(())
            }
            (false, false) => self.coefficients(slot, |k, value| block.set(k, (value << low) as i16)),
            (false, true) => self.refine(slot, &mut block),
        };
        self.note(result.is_ok());
    }

    #[inline(always)]
    fn end(&mut self) {}

    fn has_data(&self) -> bool {
        true
    }

    fn lose(&mut self) {
        self.lost = true;
    }

    fn is_done(&self) -> bool {
        self.failed && self.restarts.interval == 0
    }

    fn leave(self, reader: &mut Reader<'a>) {
        reader.input = self.input;
        reader.warnings.corrupt |= self.corrupt;
        reader.warnings.truncated |= self.truncated;
        reader.warnings.lost |= self.lost;
    }
}

impl Arithmetic<'_> {
    fn reset(&mut self) {
        self.statistics.fill(0);
        self.statistics[FIXED] = 113;
        (self.last, self.context) = ([0; 4], [0; 4]);
        // Two bytes come first.
        (self.c, self.a, self.ct) = (0, 0, -16);
        self.failed = false;
    }

    fn note(&mut self, ok: bool) {
        self.failed |= !ok;
        self.corrupt |= !ok;
    }

    /// A byte of the segment, or a zero after its end, which is legal.
    fn byte(&mut self) -> u8 {
        if self.input.marker != 0 {
            return 0;
        }
        let Some(byte) = self.input.byte() else { return self.end_of_bytes() };
        if byte != 0xff {
            return byte;
        }
        loop {
            match self.input.byte() {
                None => return self.end_of_bytes(),
                Some(0xff) => {}
                Some(0) => return 0xff,
                Some(marker) => {
                    self.input.marker = marker;
                    return 0;
                }
            }
        }
    }

    #[cold]
    fn end_of_bytes(&mut self) -> u8 {
        self.input.end();
        self.truncated = true;
        0
    }

    /// A decision. `arith_decode` of `jdarith.c`, section D.2 of T.81.
    #[inline]
    fn bit(&mut self, place: usize) -> bool {
        while self.a < 0x8000 {
            self.ct -= 1;
            if self.ct < 0 {
                self.c = self.c << 8 | i64::from(self.byte());
                self.ct += 8;
                if self.ct < 0 {
                    self.ct += 1;
                    if self.ct == 0 {
                        self.a = 0x8000;
                    }
                }
            }
            self.a <<= 1;
        }
        let state = &mut self.statistics[place & (PLACES - 1)];
        let (probable, index) = (*state >> 7 == 1, usize::from(*state & 127));
        let (qe, after_less, after_more, switch) = STATES[index.min(113)];
        let less = switch << 7 | after_less;
        let high = *state & 0x80;
        self.a -= i64::from(qe);
        let bound = self.a << self.ct;
        let smaller = self.a < i64::from(qe);
        if self.c >= bound {
            self.c -= bound;
            self.a = qe.into();
            *state = high ^ if smaller { after_more } else { less };
            probable ^ !smaller
        } else if self.a < 0x8000 {
            *state = high ^ if smaller { less } else { after_more };
            probable ^ smaller
        } else {
            probable
        }
    }

    /// A DC coefficient's difference, added to the one before. Figures F.19 to F.24.
    fn difference(&mut self, slot: usize) -> Outcome<(), BadCode> {
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
    fn coefficients(&mut self, slot: usize, mut set: impl FnMut(usize, i32)) -> Outcome<(), BadCode> {
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

    fn refine(&mut self, slot: usize, block: &mut Block<'_>) -> Outcome<(), BadCode> {
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
    fn category(&mut self, magnitude: &mut i32, place: &mut usize) -> Outcome<(), BadCode> {
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

/// Table D.3 of T.81: Qe, the states after the less and the more probable symbol, and whether they change their roles. The last
/// one is of bits that are as likely as not.
#[rustfmt::skip]
const STATES: [(u16, u8, u8, u8); 114] = [
    (0x5a1d, 1, 1, 1), (0x2586, 14, 2, 0), (0x1114, 16, 3, 0), (0x080b, 18, 4, 0),
    (0x03d8, 20, 5, 0), (0x01da, 23, 6, 0), (0x00e5, 25, 7, 0), (0x006f, 28, 8, 0),
    (0x0036, 30, 9, 0), (0x001a, 33, 10, 0), (0x000d, 35, 11, 0), (0x0006, 9, 12, 0),
    (0x0003, 10, 13, 0), (0x0001, 12, 13, 0), (0x5a7f, 15, 15, 1), (0x3f25, 36, 16, 0),
    (0x2cf2, 38, 17, 0), (0x207c, 39, 18, 0), (0x17b9, 40, 19, 0), (0x1182, 42, 20, 0),
    (0x0cef, 43, 21, 0), (0x09a1, 45, 22, 0), (0x072f, 46, 23, 0), (0x055c, 48, 24, 0),
    (0x0406, 49, 25, 0), (0x0303, 51, 26, 0), (0x0240, 52, 27, 0), (0x01b1, 54, 28, 0),
    (0x0144, 56, 29, 0), (0x00f5, 57, 30, 0), (0x00b7, 59, 31, 0), (0x008a, 60, 32, 0),
    (0x0068, 62, 33, 0), (0x004e, 63, 34, 0), (0x003b, 32, 35, 0), (0x002c, 33, 9, 0),
    (0x5ae1, 37, 37, 1), (0x484c, 64, 38, 0), (0x3a0d, 65, 39, 0), (0x2ef1, 67, 40, 0),
    (0x261f, 68, 41, 0), (0x1f33, 69, 42, 0), (0x19a8, 70, 43, 0), (0x1518, 72, 44, 0),
    (0x1177, 73, 45, 0), (0x0e74, 74, 46, 0), (0x0bfb, 75, 47, 0), (0x09f8, 77, 48, 0),
    (0x0861, 78, 49, 0), (0x0706, 79, 50, 0), (0x05cd, 48, 51, 0), (0x04de, 50, 52, 0),
    (0x040f, 50, 53, 0), (0x0363, 51, 54, 0), (0x02d4, 52, 55, 0), (0x025c, 53, 56, 0),
    (0x01f8, 54, 57, 0), (0x01a4, 55, 58, 0), (0x0160, 56, 59, 0), (0x0125, 57, 60, 0),
    (0x00f6, 58, 61, 0), (0x00cb, 59, 62, 0), (0x00ab, 61, 63, 0), (0x008f, 61, 32, 0),
    (0x5b12, 65, 65, 1), (0x4d04, 80, 66, 0), (0x412c, 81, 67, 0), (0x37d8, 82, 68, 0),
    (0x2fe8, 83, 69, 0), (0x293c, 84, 70, 0), (0x2379, 86, 71, 0), (0x1edf, 87, 72, 0),
    (0x1aa9, 87, 73, 0), (0x174e, 72, 74, 0), (0x1424, 72, 75, 0), (0x119c, 74, 76, 0),
    (0x0f6b, 74, 77, 0), (0x0d51, 75, 78, 0), (0x0bb6, 77, 79, 0), (0x0a40, 77, 48, 0),
    (0x5832, 80, 81, 1), (0x4d1c, 88, 82, 0), (0x438e, 89, 83, 0), (0x3bdd, 90, 84, 0),
    (0x34ee, 91, 85, 0), (0x2eae, 92, 86, 0), (0x299a, 93, 87, 0), (0x2516, 86, 71, 0),
    (0x5570, 88, 89, 1), (0x4ca9, 95, 90, 0), (0x44d9, 96, 91, 0), (0x3e22, 97, 92, 0),
    (0x3824, 99, 93, 0), (0x32b4, 99, 94, 0), (0x2e17, 93, 86, 0), (0x56a8, 95, 96, 1),
    (0x4f46, 101, 97, 0), (0x47e5, 102, 98, 0), (0x41cf, 103, 99, 0), (0x3c3d, 104, 100, 0),
    (0x375e, 99, 93, 0), (0x5231, 105, 102, 0), (0x4c0f, 106, 103, 0), (0x4639, 107, 104, 0),
    (0x415e, 103, 99, 0), (0x5627, 105, 106, 1), (0x50e7, 108, 107, 0), (0x4b85, 109, 103, 0),
    (0x5597, 110, 109, 0), (0x504f, 111, 107, 0), (0x5a10, 110, 111, 1), (0x5522, 112, 109, 0),
    (0x59eb, 112, 111, 1), (0x5a1d, 113, 113, 0),
];
