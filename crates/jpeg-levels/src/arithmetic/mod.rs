//! Arithmetic coding, sequential and progressive. Follows `jdarith.c`.

mod states;
mod values;

use states::STATES;

use crate::block::Block;
use crate::coder::{Band, Coder, Restarts};
use crate::error::Result;
use crate::input::Input;
use crate::markers::{Conditioning, NATURAL, Reader, ScanHeader};

/// Places of statistics: of 16 tables for DC, of 16 for AC, and one that stays as it is.
const DC: usize = 0;
const AC: usize = 16 * 64;
const FIXED: usize = AC + 16 * 256;
const PLACES: usize = 1 << 13;

/// The arithmetic coder of one scan, sequential or progressive (ITU-T T.81, annexes D and F; `jdarith.c`).
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
            (true, false) => self.difference(slot).map(|()| block.set(0, (self.last[slot] << low) as i16)),
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
        self.lost |= !ok;
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
}
