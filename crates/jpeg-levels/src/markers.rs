//! Segments from the start of the image on: tables, the frame header, scan headers. Follows `jdmarker.c` and
//! `consume_markers` of `jdinput.c`.

use crate::error::{Error, Result, Warnings};
use crate::frame::{Frame, Hints, Kind};
use crate::huffman::{Spec, standard};
use crate::input::{EOI, Input, SOI};

/// Where a coefficient of the zigzag order has its place in a block's rows. The last ones are for runs that lead out of the
/// block.
pub const NATURAL: [u8; 128] = {
    let mut order = [63; 128];
    let (mut i, mut x, mut y) = (0, 0, 0);
    while i < 64 {
        order[i] = 8 * y + x;
        // Up and to the right on even diagonals, down and to the left on odd ones.
        (x, y) = match ((x + y) % 2 == 0, x, y) {
            (true, 7, _) => (7, y + 1),
            (true, _, 0) => (x + 1, 0),
            (true, ..) => (x + 1, y - 1),
            (false, _, 7) => (x + 1, 7),
            (false, 0, _) => (0, y + 1),
            (false, ..) => (x - 1, y + 1),
        };
        i += 1;
    }
    order
};

/// Quantization steps, in a block's rows.
pub type Steps = [u16; 64];

/// Conditioning of arithmetic coding: bounds of DC differences, and the last of the low AC coefficients.
#[derive(Clone, Copy, Debug)]
pub struct Conditioning {
    /// Of each table, `L` and `U`.
    pub dc: [(u8, u8); 16],
    /// Of each table, `Kx`.
    pub ac: [u8; 16],
}

/// What tables the file has defined so far, each kind by its numbers.
#[derive(Clone)]
pub struct Tables {
    /// For quantization.
    pub steps: [Option<Steps>; 4],
    /// Huffman's, for DC coefficients.
    pub dc: [Option<Box<Spec>>; 4],
    /// Huffman's, for AC coefficients.
    pub ac: [Option<Box<Spec>>; 4],
    /// For arithmetic coding, with its defaults.
    pub conditioning: Conditioning,
    /// Units between restarts; 0 for none.
    pub restart_interval: u16,
}

impl Default for Tables {
    fn default() -> Self {
        Self {
            steps: [None; 4],
            dc: [const { None }; 4],
            ac: [const { None }; 4],
            conditioning: Conditioning { dc: [(0, 1); 16], ac: [5; 16] },
            restart_interval: 0,
        }
    }
}

/// A scan header.
#[derive(Clone, Debug)]
pub struct ScanHeader {
    /// In the scan's order.
    pub components: Vec<ScanComponent>,
    /// First and last coefficient.
    pub band: (u8, u8),
    /// Low bits that are not known before the scan.
    pub high: u8,
    /// Low bits that are not known after it.
    pub low: u8,
}

/// A component in a scan.
#[derive(Clone, Copy, Debug)]
pub struct ScanComponent {
    /// Its place in the frame header.
    pub index: usize,
    /// Number of its table for DC coefficients.
    pub dc: u8,
    /// Number of its table for AC coefficients.
    pub ac: u8,
}

/// What stands in a file up to the place that is read.
#[derive(Clone)]
pub struct Reader<'a> {
    /// The place that is read.
    pub input: Input<'a>,
    /// As they are at that place.
    pub tables: Tables,
    /// On colour.
    pub hints: Hints,
    /// Once its header has come.
    pub frame: Option<Frame>,
    /// Of all so far.
    pub warnings: Warnings,
}

impl<'a> Reader<'a> {
    /// From the start of the image on. [`Error::NotJpeg`] where there is none.
    pub fn new(data: &'a [u8]) -> Result<Self> {
        let mut input = Input::new(data);
        if (input.byte(), input.byte()) != (Some(0xff), Some(SOI)) {
            return Err(Error::NotJpeg);
        }
        let (tables, warnings) = Default::default();
        Ok(Self { input, tables, hints: Hints::default(), frame: None, warnings })
    }

    /// Goes on to the next scan header and over it. `None` at the end of the image.
    pub fn next_scan(&mut self) -> Result<Option<ScanHeader>> {
        loop {
            let marker = self.input.seek_marker();
            self.warnings.stray_bytes |= std::mem::take(&mut self.input.stray);
            match marker {
                EOI if self.frame.is_none() && !self.input.ended => {
                    self.start_over()?;
                    continue;
                }
                EOI if self.frame.is_none() => return Err(Error::Truncated),
                // It stays there: the end is the end.
                EOI => return Ok(None),
                _ => self.input.marker = 0,
            }
            match marker {
                SOI => return Err(Error::Damaged("a second picture begins before the first ends")),
                0xda => return self.scan_header().map(Some),
                0xc4 => self.huffman()?,
                0xcc => self.conditioning()?,
                0xc8 => return Err(Error::Damaged("unknown marker")),
                0xc0..=0xcf => {
                    let kind = Kind::new(marker)?;
                    if self.frame.is_some() {
                        return Err(Error::Damaged("more than one frame header"));
                    }
                    self.frame = Some(Frame::read(kind, self.input.segment()?)?);
                }
                0xdb => self.steps()?,
                0xdd => match self.input.segment()? {
                    Some(&[high, low]) => self.tables.restart_interval = u16::from_be_bytes([high, low]),
                    _ => return Err(Error::Damaged("restart interval is of another length than two bytes")),
                },
                0xe0 => {
                    let segment = self.input.segment()?.unwrap_or_default();
                    self.hints.jfif |= segment.len() >= 14 && segment.starts_with(b"JFIF\0");
                }
                0xee => {
                    let segment = self.input.segment()?.unwrap_or_default();
                    if let (true, Some(&transform)) = (segment.starts_with(b"Adobe"), segment.get(11)) {
                        self.hints.adobe = Some(transform);
                    }
                }
                0xe1..=0xef | 0xfe | 0xdc => _ = self.input.segment()?,
                // Markers without a segment.
                0xd0..=0xd7 | 0x01 => {}
                _ => return Err(Error::Damaged("unknown marker")),
            }
        }
    }

    /// A stream of tables alone may come before the picture's.
    fn start_over(&mut self) -> Result<()> {
        self.input.marker = 0;
        if (self.input.byte(), self.input.byte()) != (Some(0xff), Some(SOI)) {
            return Err(Error::Damaged("no picture before the end marker"));
        }
        let Tables { conditioning, restart_interval, .. } = Tables::default();
        (self.tables.conditioning, self.tables.restart_interval) = (conditioning, restart_interval);
        self.hints = Hints::default();
        Ok(())
    }

    fn scan_header(&mut self) -> Result<ScanHeader> {
        const LENGTH: Error = Error::Damaged("scan header is of another length than its components need");
        let frame = self.frame.as_ref().ok_or(Error::Damaged("scan before the frame header"))?;
        let (&count, rest) = self.input.segment()?.and_then(<[u8]>::split_first).ok_or(LENGTH)?;
        let (table, rest) = rest.split_at_checked(2 * usize::from(count)).ok_or(LENGTH)?;
        let &[first, last, bits] = rest else { return Err(LENGTH) };
        if !(1..=4).contains(&count) {
            return Err(LENGTH);
        }
        let mut components: Vec<ScanComponent> = Vec::with_capacity(4);
        for &[id, tables] in table.as_chunks().0 {
            // As libjpeg looks for it: among those from here on, since a number may occur twice.
            let from = components.len();
            let found = frame.components.iter().enumerate().skip(from).find(|(_, c)| c.id == id);
            let (index, _) = found.ok_or(Error::Damaged("scan of a component that is not there"))?;
            if components.iter().any(|c| c.index == index) {
                return Err(Error::Damaged("component occurs twice in a scan"));
            }
            components.push(ScanComponent { index, dc: tables >> 4, ac: tables & 15 });
        }
        Ok(ScanHeader { components, band: (first, last), high: bits >> 4, low: bits & 15 })
    }

    fn huffman(&mut self) -> Result<()> {
        const BAD: Error = Error::Damaged("Huffman tables are of another length than their segment");
        let mut body = self.input.segment()?.ok_or(BAD)?;
        while body.len() > 16 {
            let (&[kind, ref counts @ ..], rest) = body.split_first_chunk::<17>().ok_or(BAD)?;
            let count = counts.iter().map(|&n| usize::from(n)).sum::<usize>();
            let (given, rest) = rest.split_at_checked(count).filter(|_| count <= 256).ok_or(BAD)?;
            let mut spec = Box::new(Spec { counts: *counts, symbols: [0; 256] });
            spec.symbols[..count].copy_from_slice(given);
            let tables = if kind & 0x10 != 0 { &mut self.tables.ac } else { &mut self.tables.dc };
            let slot = tables.get_mut(usize::from(kind & !0x10));
            *slot.ok_or(Error::Damaged("number of a Huffman table is out of range"))? = Some(spec);
            body = rest;
        }
        if body.is_empty() { Ok(()) } else { Err(BAD) }
    }

    fn steps(&mut self) -> Result<()> {
        const BAD: Error = Error::Damaged("quantization tables are of another length than their segment");
        let mut body = self.input.segment()?.ok_or(BAD)?;
        while let Some((&kind, rest)) = body.split_first() {
            let wide = kind >> 4 != 0;
            let slot = self.tables.steps.get_mut(usize::from(kind & 15));
            let slot = slot.ok_or(Error::Damaged("number of a quantization table is out of range"))?;
            let (given, rest) = rest.split_at_checked(if wide { 128 } else { 64 }).ok_or(BAD)?;
            let mut steps = [0; 64];
            for (i, &place) in NATURAL[..64].iter().enumerate() {
                steps[usize::from(place)] =
                    if wide { u16::from_be_bytes([given[2 * i], given[2 * i + 1]]) } else { given[i].into() };
            }
            *slot = Some(steps);
            body = rest;
        }
        Ok(())
    }

    fn conditioning(&mut self) -> Result<()> {
        const BAD: Error = Error::Damaged("arithmetic conditioning is out of range");
        let (pairs, rest) = self.input.segment()?.ok_or(BAD)?.as_chunks();
        for &[index, value] in pairs {
            let table = usize::from(index & 15);
            match index {
                0..16 if value & 15 > value >> 4 => return Err(BAD),
                0..16 => self.tables.conditioning.dc[table] = (value & 15, value >> 4),
                16..32 => self.tables.conditioning.ac[table] = value,
                _ => return Err(BAD),
            }
        }
        if rest.is_empty() { Ok(()) } else { Err(BAD) }
    }

    /// As motion JPEG leaves them out. For sequential Huffman coding alone.
    pub fn default_tables(&mut self) {
        for (i, chroma) in [(0, false), (1, true)] {
            let (dc, ac) = standard(chroma);
            self.tables.dc[i].get_or_insert_with(|| Box::new(dc));
            self.tables.ac[i].get_or_insert_with(|| Box::new(ac));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::NATURAL;

    #[test]
    fn the_zigzag_is_figure_a_6() {
        let begin = [0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5];
        let end = [58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63];
        assert_eq!((&NATURAL[..16], &NATURAL[48..64]), (&begin[..], &end[..]));
        let mut sorted = NATURAL[..64].to_vec();
        sorted.sort();
        assert!(sorted.into_iter().eq(0..64));
    }
}
