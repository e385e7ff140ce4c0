//! From coded picture to coded picture: their numbers, and which of them are decoded and shown (clauses 8.1.3 and 8.3.1).

use crate::error::{Error, Result};
use crate::nal::{CRA, END, IRAP, RADL, RASL, Unit, Units};
use crate::prediction_header::Kept;
use crate::sets::Sets;
use crate::slice::{Segment, peek};

/// Where a stream is.
#[derive(Clone, Debug)]
pub struct Walk {
    /// The parameter sets so far.
    pub sets: Sets,
    /// Bytes of the length before each unit.
    length_size: usize,
    /// The next picture begins a sequence, if it is one that can.
    begins: bool,
    /// Pictures that are shown before the last one with which decoding may begin lack those that they are predicted from.
    lacks: bool,
    /// The number of the last picture that others count from.
    poc: i32,
}

/// A picture, by its first slice.
#[derive(Clone, Debug)]
pub struct Head<'a> {
    /// From the first slice on.
    pub units: Units<'a>,
    /// The number of its picture parameter set.
    pub pps: usize,
    /// Its picture order count.
    pub poc: i32,
    /// What it says of other pictures.
    pub kept: Kept,
    /// It begins a sequence: none is predicted from those before it any more.
    pub begins: bool,
    /// It cannot be decoded without pictures that are not there.
    pub lacks: bool,
    /// Decoding may begin with it.
    is_start: bool,
    counted: bool,
    ends: bool,
}

/// Adds parameter sets up to the first slice, which it gives with its units and the number of its picture parameter set.
pub fn first_slice<'a>(sets: &mut Sets, data: &'a [u8], length_size: usize) -> Result<(Units<'a>, Unit<'a>, usize)> {
    let mut units = Units { rest: data, length_size: length_size.clamp(1, 4) };
    loop {
        let at = units;
        let unit = Unit::read(units.next().ok_or(Error::Truncated)??)?;
        if unit.is_slice() && unit.layer == 0 {
            // All of it: the bytes that keep start codes out may be anywhere.
            let (first, pps) = peek(&unit.payload()?, unit.kind)?;
            sets.of(pps)?;
            if !first {
                return Err(Error::Damaged("a picture begins with a later slice"));
            }
            return Ok((at, unit, pps));
        }
        sets.add_unit(&unit)?;
    }
}

impl Walk {
    /// At the beginning of a stream.
    pub fn new(sets: Sets, length_size: usize) -> Self {
        Self { sets, length_size, begins: true, lacks: true, poc: 0 }
    }

    /// The next picture. The walk is where it was, but for parameter sets, until it [passes](Self::pass).
    pub fn head<'a>(&mut self, data: &'a [u8]) -> Result<Head<'a>> {
        let (units, unit, pps) = first_slice(&mut self.sets, data, self.length_size)?;
        let kept = Segment::read(&unit.payload()?, unit.kind, &self.sets, None)?.kept;
        let is_start = IRAP.contains(&unit.kind);
        let begins = is_start && (self.begins || unit.kind != CRA);
        let poc_bits = self.sets.of(pps)?.0.poc_bits;
        let size = 1i32 << poc_bits;
        let lsb = kept.lsb as i32;
        let mut poc = lsb;
        if !begins {
            let before = self.poc & (size - 1);
            let round = match lsb - before {
                up if up > size / 2 => -size,
                down if down <= -(size / 2) => size,
                _ => 0,
            };
            poc = (self.poc - before).wrapping_add(round).wrapping_add(lsb);
        }
        let leading = RASL.contains(&unit.kind);
        let lacks = if is_start { false } else { self.begins || (leading && self.lacks) };
        let counted = unit.temporal == 0 && !leading && !RADL.contains(&unit.kind) && !unit.is_unreferenced();
        let ends = units.map_while(Result::ok).filter_map(|unit| Unit::read(unit).ok());
        let ends = ends.into_iter().any(|unit| unit.layer == 0 && END.contains(&unit.kind));
        Ok(Head { units, pps, poc, kept, begins, lacks, is_start, counted, ends })
    }

    /// Goes on behind a picture.
    pub fn pass(&mut self, head: &Head) {
        if head.is_start {
            self.lacks = head.begins;
            self.begins = false;
        }
        if head.counted && !head.lacks {
            self.poc = head.poc;
        }
        if head.ends {
            self.begins = true;
        }
    }
}
