//! Huffman coding. Follows `jdhuff.c`; what progressive scans have beside is in [`crate::progressive`].

use crate::bits::Bits;
use crate::block::Block;
use crate::coder::{Band, Coder, Restarts};
use crate::error::{Error, Result};
use crate::huffman::{Next, Spec, Table};
use crate::input::Input;
use crate::markers::{NATURAL, Reader, ScanHeader};
use crate::progressive::{ac_first, ac_refine, dc_first, dc_refine};

/// The Huffman coder of one scan, sequential or progressive.
pub struct Huffman<'a> {
    input: Input<'a>,
    /// Of the segment that is read.
    pub bits: Bits<'a>,
    restarts: Restarts,
    /// The segment has ended before its blocks.
    out_of_data: bool,
    corrupt: bool,
    truncated: bool,
    lost: bool,
    /// Of each slot, the DC coefficient before.
    pub last: [i32; 4],
    /// Of each slot, its tables' places among `dc` and `ac`.
    slots: [(usize, usize); 4],
    dc: Vec<Box<Table>>,
    ac: Vec<Box<Table>>,
    /// The scan's part of each block.
    pub band: Band,
    /// Blocks to come without new coefficients.
    pub end_run: u32,
}

const MISSING: Error = Error::Damaged("Huffman table is missing");

impl<'a> Coder<'a> for Huffman<'a> {
    fn new(reader: &Reader<'a>, scan: &ScanHeader) -> Result<Self> {
        let progressive = reader.frame.as_ref().is_some_and(|f| f.progressive);
        let band = if progressive { Band::new(scan)? } else { Band { first: 0, last: 63, low: 0, refines: false } };
        let mut this = Self {
            input: reader.input,
            bits: Bits::new(&reader.input),
            restarts: Restarts::new(reader.tables.restart_interval),
            out_of_data: false,
            corrupt: false,
            truncated: false,
            lost: false,
            last: [0; 4],
            slots: [(0, 0); 4],
            dc: Vec::new(),
            ac: Vec::new(),
            band,
            end_run: 0,
        };
        let (mut dc, mut ac) = ([None; 16], [None; 16]);
        for (slot, component) in this.slots.iter_mut().zip(&scan.components) {
            if band.first == 0 && !band.refines {
                slot.0 = place(&mut dc, component.dc, &reader.tables.dc, &mut this.dc, Table::dc)?;
            }
            if band.last > 0 {
                slot.1 = place(&mut ac, component.ac, &reader.tables.ac, &mut this.ac, Table::ac)?;
            }
        }
        Ok(this)
    }

    #[inline(always)]
    fn begin(&mut self) -> bool {
        if self.restarts.is_due() {
            self.restart();
        }
        !self.out_of_data
    }

    #[inline(always)]
    fn whole(&mut self, slot: usize, block: &mut [i16; 64]) -> u8 {
        let slot = slot & 3;
        let (dc, ac) = self.slots[slot];
        let (Some(dc), Some(ac)) = (self.dc.get(dc), self.ac.get(ac)) else { return 0 };
        let mut bits = self.bits;
        bits.refill();
        self.last[slot] = self.last[slot].wrapping_add(dc.difference(&mut bits));
        block[0] = self.last[slot] as i16;
        let (mut k, mut reached) = (1, 0);
        while k < 64 {
            bits.refill();
            match ac.next(&mut bits) {
                Next::Value { run, value } => {
                    k += run;
                    block[usize::from(NATURAL[k & 127] & 63)] = value as i16;
                    reached = k;
                    k += 1;
                }
                Next::Run(15) => k += 16,
                Next::Run(_) => break,
            }
        }
        self.bits = bits;
        reached.min(63) as u8
    }

    #[inline(always)]
    fn part(&mut self, slot: usize, block: Block<'_>) {
        match (self.band.first == 0, self.band.refines) {
            (true, false) => {
                if let Some(table) = self.dc.get(self.slots[slot & 3].0) {
                    dc_first(&mut self.bits, table, &mut self.last[slot & 3], self.band.low, block);
                }
            }
            (true, true) => dc_refine(&mut self.bits, self.band.low, block),
            (false, refines) => {
                let Some(table) = self.ac.first() else { return };
                if refines {
                    ac_refine(&mut self.bits, table, self.band, &mut self.end_run, block);
                } else {
                    ac_first(&mut self.bits, table, self.band, &mut self.end_run, block);
                }
            }
        }
    }

    #[inline(always)]
    fn end(&mut self) {
        if self.bits.is_made_up() {
            self.end_of_segment();
        }
    }

    fn has_data(&self) -> bool {
        !self.out_of_data
    }

    fn is_done(&self) -> bool {
        self.out_of_data && self.restarts.interval == 0
    }

    fn leave(mut self, reader: &mut Reader<'a>) {
        self.bits.leave(&mut self.input);
        reader.input = self.input;
        reader.warnings.corrupt |= self.corrupt || self.bits.bad_code;
        reader.warnings.truncated |= self.truncated;
        reader.warnings.lost |= self.lost;
    }
}

impl Huffman<'_> {
    #[cold]
    fn end_of_segment(&mut self) {
        self.truncated |= self.bits.starved();
        if self.bits.overrun() {
            self.out_of_data = true;
            self.corrupt = true;
            self.lost = true;
        }
    }

    #[cold]
    fn restart(&mut self) {
        let bad_code = self.bits.bad_code;
        self.bits.leave(&mut self.input);
        self.corrupt |= !self.restarts.pass(&mut self.input) || bad_code;
        self.truncated |= self.input.ended;
        self.last = [0; 4];
        self.end_run = 0;
        // Right before another marker the segment is an empty one.
        if self.input.marker == 0 {
            self.out_of_data = false;
        }
        self.bits = Bits::new(&self.input);
    }
}

/// Where among `tables` the table of this number is, which is made at its first use.
fn place(
    places: &mut [Option<usize>; 16],
    number: u8,
    specs: &[Option<Box<Spec>>; 4],
    tables: &mut Vec<Box<Table>>,
    new: impl Fn(&Spec) -> Result<Box<Table>>,
) -> Result<usize> {
    let place = &mut places[usize::from(number & 15)];
    if let Some(place) = *place {
        return Ok(place);
    }
    let spec = specs.get(usize::from(number)).and_then(Option::as_deref).ok_or(MISSING)?;
    tables.push(new(spec)?);
    Ok(*place.insert(tables.len() - 1))
}
