//! Fax: modified Huffman, group 3 in one and two dimensions, group 4. Follows libtiff's `tif_fax3.h`, whose ways through damaged
//! lines are the reference's.
//!
//! A line is a list of runs, the first of them white. A row's runs and those of the row before are what two-dimensional codes
//! speak of.

use jpeg_levels::Env;

use super::fax_codes::{BLACK_BITS, Entry, MODE_BITS, Meaning, WHITE_BITS, tables};
use crate::compression::Coding;
use crate::error::{Error, Result, look};

/// Numbers of runs that a row of so many pixels may have.
pub fn most_runs(width: usize) -> usize {
    2 * (width + 1).next_multiple_of(32)
}

/// Rows of bits, of which those of black runs are set. `reversed`: the first pixel of a byte is in its lowest bit.
pub fn decode(
    coding: Coding,
    data: &[u8],
    reversed: bool,
    width: usize,
    rows: impl Iterator<Item = impl AsMut<[u8]>>,
    env: &Env<'_>,
) -> Result<()> {
    let most = most_runs(width);
    let runs = || {
        let mut runs: Vec<u32> = Vec::new();
        runs.try_reserve_exact(most).map_err(|_| Error::OutOfMemory(4 * most))?;
        runs.resize(most, 0);
        Ok::<_, Error>(runs)
    };
    let bits = Bits { data, reversed, pos: 0, value: 0, count: 0, padding: 0 };
    let (current, mut above) = (runs()?, runs()?);
    above[0] = width as u32;
    let mut lines = Lines {
        bits,
        width: width as i64,
        current,
        above,
        filled: 0,
        a0: 0,
        run: 0,
        ended: false,
        no_ends: false,
        over: false,
    };
    let mut ended = false;
    for (y, mut row) in rows.enumerate() {
        if y.is_multiple_of(64) {
            look(env)?;
        }
        let row = row.as_mut();
        row.fill(0);
        if !ended {
            ended = lines.line(coding, y)?;
            if !ended {
                lines.paint(row);
            }
            lines.next();
        }
    }
    Ok(())
}

/// Where a line's codes end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Line,
    Data,
}

/// What comes where a run should.
enum Colour {
    Run,
    EndOfLine,
    Unknown,
    NoData,
}

struct Lines<'a> {
    bits: Bits<'a>,
    width: i64,
    /// The runs of this row, of which so many are known, and of the row before.
    current: Vec<u32>,
    above: Vec<u32>,
    filled: usize,
    /// The column that is reached, and how much of it belongs to a run that is not complete.
    a0: i64,
    run: i64,
    /// The zeros of an end-of-line code were read, not the one that ends it.
    ended: bool,
    /// There are no end-of-line codes in these data.
    no_ends: bool,
    /// Two of them in a row, which end a page: rows that are left out below are white.
    over: bool,
}

impl Lines<'_> {
    /// The runs of the next row. True where the data's own end comes instead.
    fn line(&mut self, coding: Coding, y: usize) -> Result<bool> {
        let end = match coding {
            Coding::Rle { pairs } => {
                self.begin()?;
                let end = self.one_dimension()?;
                self.bits.align(pairs);
                end
            }
            Coding::Group3 { two_dimensions } => loop {
                self.begin()?;
                if !self.no_ends {
                    match self.synchronise() {
                        Some(true) => {}
                        Some(false) if y == 0 => continue,
                        Some(false) | None => break End::Data,
                    }
                }
                if !two_dimensions {
                    break self.one_dimension()?;
                }
                let Some(()) = self.bits.need(1) else { break End::Data };
                let one = self.bits.value & 1 == 1;
                self.bits.skip(1);
                break if one { self.one_dimension()? } else { self.two_dimensions()? };
            },
            Coding::Group4 => {
                self.begin()?;
                let end = self.two_dimensions()?;
                if end == End::Line && self.ended {
                    // The end of the block. Rows that are left out below it are white; those that were cut off are not.
                    return if y > 0 && self.bits.padding == 0 { Ok(true) } else { Err(Error::Truncated) };
                }
                end
            }
        };
        if end == End::Data { Err(Error::Truncated) } else { Ok(false) }
    }

    /// libtiff goes on with zeros where the data end, which are white rows. Such a picture is cut off.
    fn begin(&mut self) -> Result<()> {
        (self.filled, self.a0, self.run) = (0, 0, 0);
        if self.bits.is_at_end() && !self.over { Err(Error::Truncated) } else { Ok(()) }
    }

    fn next(&mut self) {
        if let Some(end) = self.current.get_mut(self.filled) {
            *end = 0;
        }
        std::mem::swap(&mut self.current, &mut self.above);
    }

    /// To behind an end-of-line code. `Some(false)` where there is none in all the data: they are read again without.
    fn synchronise(&mut self) -> Option<bool> {
        if !self.ended {
            loop {
                self.bits.need(11)?;
                if self.bits.value & 0x7ff == 0 {
                    break;
                }
                self.bits.skip(1);
            }
        }
        loop {
            if self.bits.need(8).is_none() {
                self.no_ends = true;
                self.ended = false;
                self.bits = Bits { pos: 0, value: 0, count: 0, padding: 0, ..self.bits };
                return Some(false);
            }
            if self.bits.value & 0xff != 0 {
                break;
            }
            self.bits.skip(8);
        }
        self.bits.skip(self.bits.value.trailing_zeros() + 1);
        self.ended = false;
        Some(true)
    }

    fn push(&mut self, pixels: i64) -> Result<()> {
        let slot = self.current.get_mut(self.filled).ok_or(Error::Damaged("a fax line has too many runs"))?;
        *slot = (self.run + pixels) as u32;
        self.filled += 1;
        self.a0 += pixels;
        self.run = 0;
        Ok(())
    }

    /// The runs end where the row does.
    fn clean(&mut self) -> Result<()> {
        if self.run != 0 {
            self.push(0)?;
        }
        if self.a0 == self.width {
            return Ok(());
        }
        while self.a0 > self.width && self.filled > 0 {
            self.filled -= 1;
            self.a0 -= i64::from(self.current[self.filled]);
        }
        if self.a0 < self.width {
            self.a0 = self.a0.max(0);
            if !self.filled.is_multiple_of(2) {
                self.push(0)?;
            }
            self.push(self.width - self.a0)
        } else if self.a0 > self.width {
            self.push(self.width)?;
            self.push(0)
        } else {
            Ok(())
        }
    }

    /// A run of a colour.
    fn colour(&mut self, black: bool) -> Result<Colour> {
        loop {
            let entry = if black {
                self.bits.entry(&tables().black, BLACK_BITS)
            } else {
                self.bits.entry(&tables().white, WHITE_BITS)
            };
            let Some(Entry { meaning, pixels, .. }) = entry else { return Ok(Colour::NoData) };
            match meaning {
                Meaning::Run => {
                    self.push(pixels.into())?;
                    return Ok(Colour::Run);
                }
                Meaning::Part => {
                    self.a0 += i64::from(pixels);
                    self.run += i64::from(pixels);
                }
                Meaning::EndOfLine => return Ok(Colour::EndOfLine),
                _ => return Ok(Colour::Unknown),
            }
        }
    }

    fn one_dimension(&mut self) -> Result<End> {
        let mut end = End::Line;
        'line: loop {
            for black in [false, true] {
                match self.colour(black)? {
                    Colour::Run if self.a0 < self.width => continue,
                    Colour::Run | Colour::Unknown => {}
                    Colour::EndOfLine => {
                        self.ended = true;
                        self.over |= self.a0 == 0 && !self.no_ends && !self.bits.is_at_end();
                    }
                    Colour::NoData => end = End::Data,
                }
                break 'line;
            }
            if let [.., 0, 0] = self.current[..self.filled] {
                self.filled -= 2;
            }
        }
        self.clean()?;
        Ok(end)
    }

    fn two_dimensions(&mut self) -> Result<End> {
        let end = self.changes()?;
        self.clean()?;
        Ok(end)
    }

    fn changes(&mut self) -> Result<End> {
        // The next change above, and the place of the run behind it.
        let mut b1 = i64::from(self.above[0]);
        let mut next = 1;
        while self.a0 < self.width {
            let Some(Entry { meaning, pixels, .. }) = self.bits.entry(&tables().modes, MODE_BITS) else {
                return Ok(End::Data);
            };
            let pixels = i64::from(pixels);
            if matches!(meaning, Meaning::Pass | Meaning::Right | Meaning::Left) {
                self.catch_up(&mut b1, &mut next)?;
            }
            match meaning {
                Meaning::Pass => {
                    b1 += self.above(&mut next)?;
                    self.run += b1 - self.a0;
                    self.a0 = b1;
                    b1 += self.above(&mut next)?;
                }
                Meaning::Horizontal => {
                    let black = !self.filled.is_multiple_of(2);
                    for black in [black, !black] {
                        match self.colour(black)? {
                            Colour::Run => {}
                            Colour::NoData => return Ok(End::Data),
                            Colour::EndOfLine | Colour::Unknown => return Ok(End::Line),
                        }
                    }
                    self.catch_up(&mut b1, &mut next)?;
                }
                Meaning::Right => {
                    self.push(b1 - self.a0 + pixels)?;
                    b1 += self.above(&mut next)?;
                }
                Meaning::Left => {
                    if b1 < self.a0 + pixels {
                        return Ok(End::Line);
                    }
                    self.push(b1 - self.a0 - pixels)?;
                    next = usize::checked_sub(next, 1).ok_or(Error::Damaged("a fax line has too many changes"))?;
                    b1 -= i64::from(self.above[next] as i32);
                }
                Meaning::EndOfLine | Meaning::Extension => {
                    let slot = self.current.get_mut(self.filled);
                    *slot.ok_or(Error::Damaged("a fax line has too many runs"))? = (self.width - self.a0) as u32;
                    self.filled += 1;
                    if meaning == Meaning::EndOfLine {
                        if self.bits.need(4).is_none() {
                            return Ok(End::Data);
                        }
                        self.bits.skip(4);
                        self.ended = true;
                    }
                    return Ok(End::Line);
                }
                Meaning::Nothing | Meaning::Run | Meaning::Part => return Ok(End::Line),
            }
        }
        if self.run != 0 {
            if self.run + self.a0 < self.width {
                if self.bits.need(1).is_none() {
                    return Ok(End::Data);
                }
                if self.bits.value & 1 == 0 {
                    return Ok(End::Line);
                }
                self.bits.skip(1);
            }
            self.push(0)?;
        }
        Ok(End::Line)
    }

    fn above(&self, next: &mut usize) -> Result<i64> {
        let run = self.above.get(*next).ok_or(Error::Damaged("a fax line has too many changes"))?;
        *next += 1;
        Ok(i64::from(*run as i32))
    }

    /// The change above is to the right of this row's column, and of the same colour.
    fn catch_up(&self, b1: &mut i64, next: &mut usize) -> Result<()> {
        while self.filled != 0 && *b1 <= self.a0 && *b1 < self.width {
            *b1 += self.above(next)? + self.above(next)?;
        }
        Ok(())
    }

    /// Sets the bits of black runs, and cuts runs off where the row ends.
    fn paint(&mut self, row: &mut [u8]) {
        let width = self.width as usize;
        let (mut x, mut black) = (0, false);
        for run in &mut self.current[..self.filled] {
            *run = (*run as usize).min(width - x) as u32;
            let end = x + *run as usize;
            if black && end > x {
                let (first, last) = (x / 8, (end - 1) / 8);
                let (left, right) = (0xff >> (x % 8), 0xffu8 << (7 - (end - 1) % 8));
                if first == last {
                    row[first] |= left & right;
                } else {
                    row[first] |= left;
                    row[first + 1..last].fill(0xff);
                    row[last] |= right;
                }
            }
            (x, black) = (end, !black);
        }
    }
}

/// Bits that come next, the first of them lowest. Behind the last byte come zeros, as many as one code needs.
#[derive(Clone, Copy)]
struct Bits<'a> {
    data: &'a [u8],
    reversed: bool,
    pos: usize,
    value: u32,
    count: u32,
    /// So many of them, the last ones, are those zeros.
    padding: u32,
}

impl Bits<'_> {
    fn need(&mut self, count: u32) -> Option<()> {
        while self.count < count {
            match self.data.get(self.pos) {
                Some(&byte) => {
                    let byte = if self.reversed { byte } else { byte.reverse_bits() };
                    self.value |= u32::from(byte) << self.count;
                    self.count += 8;
                    self.pos += 1;
                }
                None if self.count == 0 => return None,
                None => {
                    self.padding += count - self.count;
                    self.count = count;
                }
            }
        }
        Some(())
    }

    fn skip(&mut self, count: u32) {
        self.value >>= count;
        self.count -= count;
        self.padding = self.padding.min(self.count);
    }

    fn is_at_end(&self) -> bool {
        self.pos >= self.data.len() && self.count == self.padding
    }

    fn entry(&mut self, table: &[Entry], bits: u32) -> Option<Entry> {
        self.need(bits)?;
        let entry = table[(self.value & ((1 << bits) - 1)) as usize];
        self.skip(entry.bits.into());
        Some(entry)
    }

    fn align(&mut self, pairs: bool) {
        self.skip(self.count % if pairs { 16 } else { 8 });
        if pairs && self.count == 0 && !self.pos.is_multiple_of(2) {
            self.pos += 1;
        }
    }
}
