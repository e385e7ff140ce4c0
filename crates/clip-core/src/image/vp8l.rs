//! How large the tables of a lossless WebP's codes are. A picture may have 65,536 groups of codes, and each takes 20 KB of sixty bytes. The
//! decoder makes them all before it looks at a pixel, so they are counted first. After RFC 9649, sections 4 to 6.

use super::reader::u8_at;
use crate::guarded::look;

/// Lengths of codes, in the order that they are coded in.
const ORDER: [usize; 19] = [17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
/// Symbols of the five codes of a group: green and lengths of copies, red, blue, opacity, distances of copies.
const SYMBOLS: [usize; 5] = [256 + 24, 256, 256, 256, 40];
const LONGEST: usize = 15;
/// A code's longest entry in the decoder's table. Longer ones are in a tree.
const IN_TABLE: usize = 10;
/// Bytes of a group without its tables, in a vector that grows to its double.
const GROUP: usize = 3 * 5 * 64;

/// Bytes of the tables of a bitstream that begins with its size, as far as it can be read.
pub(super) fn needs(data: &[u8]) -> usize {
    tables(data, |reader| {
        let (width, height) = (reader.bits.read(14)? + 1, reader.bits.read(14)? + 1);
        let _opacity_and_version = reader.bits.read(4)?;
        reader.picture(width, height)
    })
}

/// The same of a chunk of opacity (`ALPH`), whose size is the frame's.
pub(super) fn opacity_needs(chunk: &[u8], (width, height): (u32, u32)) -> usize {
    const LOSSLESS: u8 = 1;
    if u8_at(chunk, 0).is_none_or(|flags| flags & 3 != LOSSLESS) {
        return 0;
    }
    tables(chunk, |reader| reader.picture(width, height))
}

/// Bytes that were found when `read` ends, or cannot go on. A byte comes before the bits of both.
fn tables<'a>(data: &'a [u8], read: impl FnOnce(&mut Reader<'a>) -> Option<()>) -> usize {
    let mut reader = Reader { bits: Bits { data, at: 8 }, bytes: 0 };
    let _ends_early = read(&mut reader);
    reader.bytes
}

struct Reader<'a> {
    bits: Bits<'a>,
    /// Of tables that were found.
    bytes: usize,
}

impl Reader<'_> {
    /// Up to the pixels. `None` where it ends, or is damaged, before.
    fn picture(&mut self, mut width: u32, height: u32) -> Option<()> {
        let mut before = 0_u32;
        while self.bits.flag()? {
            let transform = self.bits.read(2)?;
            // Once each, or a file of few bytes would be read for as long as it likes.
            if before >> transform & 1 == 1 {
                return None;
            }
            before |= 1 << transform;
            match transform {
                // Predictors, and colours that follow from green: one for each block.
                0 | 1 => {
                    let size = self.bits.read(3)? + 2;
                    self.small(blocks(width, size), blocks(height, size))?;
                }
                2 => {}
                // A palette: several pixels share one where it is small.
                _ => {
                    let colors = self.bits.read(8)? + 1;
                    self.small(colors, 1)?;
                    let shared = [2, 4, 16].iter().filter(|most| colors <= **most).count();
                    width = blocks(width, shared as u32);
                }
            }
        }
        let cache = self.cache()?;
        let mut groups = 1;
        if self.bits.flag()? {
            let size = self.bits.read(3)? + 2;
            groups = self.small(blocks(width, size), blocks(height, size))? + 1;
        }
        for _ in 0..groups {
            look();
            self.bytes = self.bytes.saturating_add(GROUP);
            for symbols in with_cache(cache) {
                self.bytes = self.bytes.saturating_add(self.bits.code(symbols)?.needs());
            }
        }
        Some(())
    }

    /// Bits of the number of colours that pixels are taken from.
    fn cache(&mut self) -> Option<u32> {
        if self.bits.flag()? { self.bits.read(4).filter(|bits| (1..=11).contains(bits)) } else { Some(0) }
    }

    /// An image with one group of codes. Gives the largest number of red and green together.
    fn small(&mut self, width: u32, height: u32) -> Option<u32> {
        let cache = self.cache()?;
        let mut tables = Vec::new();
        for symbols in with_cache(cache) {
            tables.push(self.bits.code(symbols)?.table()?);
        }
        let [greens, reds, blues, opacities, distances] = tables.as_slice() else { return None };
        let bits = &mut self.bits;
        let (mut left, mut largest, mut turns) = (width as usize * height as usize, 0, 0_u16);
        while left > 0 {
            if turns == 0 {
                look();
            }
            turns = turns.wrapping_add(1);
            let at = bits.at;
            match bits.symbol(greens)? {
                green @ ..256 => {
                    largest = largest.max(bits.symbol(reds)? << 8 | green);
                    bits.symbol(blues)?;
                    bits.symbol(opacities)?;
                    left -= 1;
                }
                length @ ..280 => {
                    let length = bits.prefixed(length - 256)?;
                    let distance = bits.symbol(distances)?;
                    bits.prefixed(distance)?;
                    left = left.checked_sub(length as usize)?;
                }
                // One of the colours before.
                _ => left -= 1,
            }
            // What takes no bits comes again until the end.
            if bits.at == at {
                break;
            }
        }
        Some(largest)
    }
}

fn blocks(side: u32, size: u32) -> u32 {
    side.div_ceil(1 << size)
}

fn with_cache(bits: u32) -> [usize; 5] {
    let mut symbols = SYMBOLS;
    if bits > 0 {
        symbols[0] += 1 << bits;
    }
    symbols
}

/// A symbol that takes no bits, two that take one, or the lengths of the codes of all.
enum Code {
    One(u32),
    Two(u32, u32),
    Lengths(Vec<u8>),
}

impl Code {
    /// Bytes of its table and tree in the decoder.
    fn needs(&self) -> usize {
        let Self::Lengths(lengths) = self else { return 3 * 16 + 2 * 4 };
        let longest = lengths.iter().max().map_or(0, |longest| usize::from(*longest));
        let in_tree = lengths.iter().filter(|length| usize::from(**length) > IN_TABLE).count();
        (4 << longest.min(IN_TABLE)) + in_tree * 4 * 16 + 64
    }

    fn table(&self) -> Option<Table> {
        match self {
            Self::One(symbol) => Some(Table { entries: vec![(*symbol as u16, 0)], longest: 0 }),
            Self::Two(first, second) => {
                Some(Table { entries: vec![(*first as u16, 1), (*second as u16, 1)], longest: 1 })
            }
            Self::Lengths(lengths) => Table::new(lengths),
        }
    }
}

/// Symbols and the lengths of their codes, by the bits that come next.
struct Table {
    entries: Vec<(u16, u8)>,
    longest: u32,
}

impl Table {
    /// `None` where the codes are not whole.
    fn new(lengths: &[u8]) -> Option<Self> {
        let longest = u32::from(*lengths.iter().max()?);
        let mut used = lengths.iter().enumerate().filter(|(_, length)| **length > 0);
        if let (Some((symbol, _)), None) = (used.next(), used.next()) {
            return Some(Self { entries: vec![(symbol as u16, 0)], longest: 0 });
        }
        let mut entries = vec![(0, 0); 1 << longest];
        let mut code = 0_u32;
        for length in 1..=longest {
            for (symbol, _) in lengths.iter().enumerate().filter(|(_, own)| u32::from(**own) == length) {
                let first = code.reverse_bits().checked_shr(32 - length)? as usize;
                for entry in entries.iter_mut().skip(first).step_by(1 << length) {
                    *entry = (symbol as u16, length as u8);
                }
                code += 1;
            }
            if code > 1 << length {
                return None;
            }
            code <<= 1;
        }
        (code == 2 << longest).then_some(Self { entries, longest })
    }
}

/// Bits, the lowest of a byte first.
struct Bits<'a> {
    data: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    /// At most 24, and zeros behind the end.
    fn peek(&self, count: u32) -> u32 {
        let byte = |i: usize| self.data.get(self.at / 8 + i).map_or(0, |byte| u32::from(*byte));
        let word = byte(0) | byte(1) << 8 | byte(2) << 16 | byte(3) << 24;
        word >> (self.at % 8) & ((1 << count) - 1)
    }

    fn skip(&mut self, count: u32) -> Option<()> {
        self.at += count as usize;
        (self.at <= 8 * self.data.len()).then_some(())
    }

    fn read(&mut self, count: u32) -> Option<u32> {
        let value = self.peek(count);
        self.skip(count)?;
        Some(value)
    }

    fn flag(&mut self) -> Option<bool> {
        self.read(1).map(|bit| bit == 1)
    }

    fn symbol(&mut self, table: &Table) -> Option<u32> {
        let (symbol, length) = *table.entries.get(self.peek(table.longest) as usize)?;
        self.skip(length.into())?;
        Some(symbol.into())
    }

    /// A length or distance of a copy: its symbol, and bits behind it.
    fn prefixed(&mut self, symbol: u32) -> Option<u32> {
        if symbol < 4 {
            return Some(symbol + 1);
        }
        let count = (symbol - 2) >> 1;
        Some(((2 + (symbol & 1)) << count) + self.read(count)? + 1)
    }

    fn code(&mut self, symbols: usize) -> Option<Code> {
        if self.flag()? {
            let is_two = self.flag()?;
            let len = if self.flag()? { 8 } else { 1 };
            let first = self.read(len)?;
            let second = if is_two { self.read(8)? } else { 0 };
            let is_there = (first.max(second) as usize) < symbols;
            return is_there.then_some(if is_two { Code::Two(first, second) } else { Code::One(first) });
        }
        let mut of_lengths = [0; ORDER.len()];
        let count = 4 + self.read(4)? as usize;
        for place in ORDER.get(..count)? {
            *of_lengths.get_mut(*place)? = self.read(3)? as u8;
        }
        self.lengths(&Table::new(&of_lengths)?, symbols).map(Code::Lengths)
    }

    fn lengths(&mut self, table: &Table, symbols: usize) -> Option<Vec<u8>> {
        let mut left = symbols;
        if self.flag()? {
            let count = 2 + 2 * self.read(3)?;
            left = 2 + self.read(count)? as usize;
        }
        let mut lengths = Vec::with_capacity(symbols);
        let mut last = 8;
        while lengths.len() < symbols && left > 0 {
            left -= 1;
            let (length, count) = match self.symbol(table)? {
                length @ ..16 => {
                    last = if length > 0 { length as u8 } else { last };
                    (length as u8, 1)
                }
                16 => (last, 3 + self.read(2)?),
                17 => (0, 3 + self.read(3)?),
                _ => (0, 11 + self.read(7)?),
            };
            lengths.resize(lengths.len() + count as usize, length);
        }
        if lengths.len() > symbols {
            return None;
        }
        lengths.resize(symbols, 0);
        lengths.iter().all(|length| usize::from(*length) <= LONGEST).then_some(lengths)
    }
}
