//! One scan: its blocks in their order, with what its coder makes of them. Follows `per_scan_setup` of `jdinput.c` and
//! `consume_data` of `jdcoefct.c`.

use crate::Env;
use crate::block::{BLOCK, Block, rows};
use crate::coder::Coder;
use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::markers::ScanHeader;
use crate::store::Store;

/// Blocks of one component in a unit of the scan.
#[derive(Clone, Copy)]
pub struct Slot {
    /// The component's place in the frame header.
    pub index: usize,
    /// Blocks across.
    pub h: usize,
    /// Blocks down.
    pub v: usize,
}

/// What of a scan the order of its blocks depends on.
pub struct Scan {
    /// Its components, in the scan's order.
    pub slots: Vec<Slot>,
    /// Units in a row.
    pub across: usize,
    /// Rows of units.
    pub down: usize,
}

/// libjpeg's `D_MAX_BLOCKS_IN_MCU`, and the standard's.
const MOST_BLOCKS: usize = 10;

impl Scan {
    /// `per_scan_setup` of `jdinput.c`. More than ten blocks in a unit are refused, as there.
    pub fn new(frame: &Frame, header: &ScanHeader) -> Result<Self> {
        let slot = |index: usize| frame.components.get(index).map(|c| Slot { index, h: c.h, v: c.v });
        let mut slots: Vec<Slot> = header.components.iter().filter_map(|c| slot(c.index)).collect();
        if let [only] = &mut slots[..] {
            // A component by itself comes block by block, those that only fill up a unit left out.
            (only.h, only.v) = (1, 1);
            let component = &frame.components[only.index];
            return Ok(Self { across: component.blocks_across, down: component.blocks_down, slots });
        }
        if slots.iter().map(|s| s.h * s.v).sum::<usize>() > MOST_BLOCKS {
            return Err(Error::Damaged("more than 10 blocks in a unit"));
        }
        Ok(Self { slots, across: frame.units_across, down: frame.units_down })
    }

    /// All blocks of it.
    pub fn blocks(&self) -> Option<usize> {
        let unit = self.slots.iter().map(|s| s.h * s.v).sum();
        self.across.checked_mul(self.down)?.checked_mul(unit)
    }

    /// Reads all of it into the store. Returns the last row of the frame's units that had data.
    #[inline(always)]
    pub fn read<'a, C: Coder<'a>>(
        &self,
        coder: &mut C,
        frame: &Frame,
        store: &mut Store,
        env: &Env<'_>,
    ) -> Result<usize> {
        // Rows of units of the scan in one of the frame.
        let in_unit = match &self.slots[..] {
            [only] => frame.components[only.index].v,
            _ => 1,
        };
        let mut good = 0;
        for row in 0..self.down {
            env.look()?;
            if let [Slot { index, .. }] = self.slots[..] {
                for block in store.run(index, row, 0, self.across) {
                    if coder.has_data() {
                        good = row / in_unit;
                    }
                    if coder.begin() {
                        one(coder, frame, 0, block);
                        coder.end();
                    }
                }
                if coder.is_done() && row + 1 < self.down {
                    return Ok(self.leave(coder, good, in_unit));
                }
                continue;
            }
            for column in 0..self.across {
                if coder.has_data() {
                    good = row / in_unit;
                }
                if !coder.begin() {
                    continue;
                }
                for (slot, &Slot { index, h, v }) in self.slots.iter().enumerate() {
                    for y in row * v..(row + 1) * v {
                        for block in store.run(index, y, column * h, h) {
                            one(coder, frame, slot, block);
                        }
                    }
                }
                coder.end();
            }
            if coder.is_done() && row + 1 < self.down {
                return Ok(self.leave(coder, good, in_unit));
            }
        }
        Ok(good)
    }

    /// Nothing can come any more, and there are rows left: what [`read`](Self::read) would return.
    fn leave<'a, C: Coder<'a>>(&self, coder: &C, good: usize, in_unit: usize) -> usize {
        // A bad arithmetic code is no end of data to libjpeg.
        if coder.has_data() { (self.down - 1) / in_unit } else { good }
    }
}

#[inline(always)]
fn one<'a, C: Coder<'a>>(coder: &mut C, frame: &Frame, slot: usize, block: &mut [u8; BLOCK]) {
    if frame.progressive {
        coder.part(slot, Block(block));
    } else {
        let mut coefficients = rows(block);
        coder.whole(slot, &mut coefficients);
        Block(block).store(&coefficients);
    }
}
