//! Huffman tables. Follows `jpeg_make_d_derived_tbl` and `jpeg_huff_decode` of `jdhuff.c`.

use crate::bits::{Bits, extend};
use crate::error::{Error, Result};

/// A table as a file defines it.
#[derive(Clone, Copy)]
pub struct Spec {
    /// How many codes there are of each length from 1 to 16 bits.
    pub counts: [u8; 16],
    /// In the order of their codes.
    pub symbols: [u8; 256],
}

/// Bits that are looked up at once.
const LOOK: u32 = 10;

/// An entry of the look-up table:
///
/// | bits | what |
/// |---|---|
/// | 0 to 5 | length of the code; of its further bits, too, where they are within [`LOOK`] |
/// | 6 | whether they are, or there are none and a value all the same: `value` holds it |
/// | 8 to 11 | zeros before the value |
/// | 16 to 31 | the value, or how many further bits there are |
///
/// A zero stands for a longer code, or for none.
#[derive(Clone, Copy)]
struct Entry(u32);

impl Entry {
    fn new(len: u32, whole: bool, run: u32, value: i32) -> Self {
        Self(len | u32::from(whole) << 6 | run << 8 | (value as u32) << 16)
    }
}

/// What comes next in a block.
#[derive(Clone, Copy)]
pub enum Next {
    /// So many zeros, then this value, after so many bits.
    Value { run: usize, value: i32 },
    /// Such a run without a value: the end of a block, or of a band, where it is not 15.
    Run(u32),
}

/// A table as it is decoded with: codes of up to [`LOOK`] bits are looked up at once.
pub struct Table {
    look: [Entry; 1 << LOOK],
    /// Length and symbol by the next bits, without the symbol's further bits.
    short: [(u8, u8); 1 << LOOK],
    /// The last code of each length; -1 where there is none.
    last: [i32; 18],
    /// What to add to a code of each length for the place of its symbol.
    offset: [i32; 17],
    symbols: [u8; 256],
}

impl Table {
    /// For AC coefficients: a symbol's high half is a run of zeros.
    pub fn ac(spec: &Spec) -> Result<Box<Self>> {
        Self::new(spec, |symbol| (u32::from(symbol >> 4), u32::from(symbol & 15)))
    }

    /// For DC coefficients: a symbol is a number of bits, 15 at most.
    pub fn dc(spec: &Spec) -> Result<Box<Self>> {
        let table = Self::new(spec, |symbol| (0, u32::from(symbol & 15)))?;
        let count: usize = spec.counts.iter().map(|&n| usize::from(n)).sum();
        if spec.symbols[..count].iter().any(|&symbol| symbol > 15) {
            return Err(Error::Damaged("Huffman table for DC coefficients has a symbol above 15"));
        }
        Ok(table)
    }

    fn new(spec: &Spec, split: impl Fn(u8) -> (u32, u32)) -> Result<Box<Self>> {
        const BAD: Error = Error::Damaged("Huffman table is not one");
        let mut table = Box::new(Self {
            look: [Entry(0); 1 << LOOK],
            short: [(0, 0); 1 << LOOK],
            last: [-1; 18],
            offset: [0; 17],
            symbols: spec.symbols,
        });
        table.last[17] = i32::MAX;
        let (mut code, mut place) = (0u32, 0usize);
        for len in 1..=16u32 {
            let count = u32::from(spec.counts[len as usize - 1]);
            if place + count as usize > 256 {
                return Err(BAD);
            }
            if count > 0 {
                table.offset[len as usize] = place as i32 - code as i32;
                table.last[len as usize] = (code + count) as i32 - 1;
                // All ones is no code. The rule begins with the first length that has codes.
                if code + count >= 1 << len {
                    return Err(BAD);
                }
            }
            for _ in 0..count {
                if len <= LOOK {
                    table.enter(code, len, spec.symbols[place], split(spec.symbols[place]));
                }
                code += 1;
                place += 1;
            }
            code <<= 1;
        }
        Ok(table)
    }

    fn enter(&mut self, code: u32, len: u32, symbol: u8, (run, size): (u32, u32)) {
        let free = LOOK - len;
        let first = code << free;
        for below in 0..1 << free {
            self.short[(first + below) as usize] = (len as u8, symbol);
            self.look[(first + below) as usize] = if size > 0 && size <= free {
                let value = extend((below >> (free - size)) as i32, size);
                Entry::new(len + size, true, run, value)
            } else {
                Entry::new(len, false, run, size as i32)
            };
        }
    }

    /// The next symbol. 32 bits are there.
    #[inline(always)]
    pub fn next(&self, bits: &mut Bits) -> Next {
        let Entry(entry) = self.look[bits.peek(LOOK) as usize];
        let len = entry & 63;
        bits.last = len;
        if entry & 64 != 0 {
            bits.skip(len);
            return Next::Value { run: (entry >> 8 & 15) as usize, value: entry as i32 >> 16 };
        }
        let (run, size) = if len > 0 {
            bits.skip(len);
            (entry >> 8 & 15, entry >> 16)
        } else {
            let symbol = self.long(bits);
            (u32::from(symbol >> 4), u32::from(symbol & 15))
        };
        if size == 0 {
            return Next::Run(run);
        }
        bits.last += size;
        Next::Value { run: run as usize, value: bits.value(size) }
    }

    /// The next symbol, its further bits not taken: its run, or number of bits, and its size. 17 bits are there.
    #[inline(always)]
    pub fn symbol(&self, bits: &mut Bits) -> (u32, u32) {
        let code = bits.peek(LOOK) as usize;
        let len = u32::from(self.short[code].0);
        let symbol = if len > 0 {
            bits.skip(len);
            self.short[code].1
        } else {
            self.long(bits)
        };
        (u32::from(symbol >> 4), u32::from(symbol & 15))
    }

    /// A DC difference. 32 bits are there.
    #[inline(always)]
    pub fn difference(&self, bits: &mut Bits) -> i32 {
        match self.next(bits) {
            Next::Value { value, .. } => value,
            Next::Run(_) => 0,
        }
    }

    /// A code of more than [`LOOK`] bits, or none: then 17 bits are gone and it is taken for a zero.
    #[inline(never)]
    fn long(&self, bits: &mut Bits) -> u8 {
        let mut len = LOOK + 1;
        while len <= 16 && bits.peek(len) as i32 > self.last[len as usize] {
            len += 1;
        }
        let code = bits.take(len) as i32;
        bits.last = len;
        if len > 16 {
            bits.bad_code = true;
            return 0;
        }
        let place = code + self.offset[len as usize];
        self.symbols.get(place as usize).copied().unwrap_or(0)
    }
}

/// The tables of section K.3 of T.81, which files of motion JPEG leave out: DC, then AC, of luma and chroma.
pub fn standard(chroma: bool) -> (Spec, Spec) {
    let mut ac = Spec { counts: AC_COUNTS[usize::from(chroma)], symbols: [0; 256] };
    ac.symbols[..162].copy_from_slice(&AC_SYMBOLS[usize::from(chroma)]);
    let mut dc = Spec { counts: DC_COUNTS[usize::from(chroma)], symbols: [0; 256] };
    (0..12).for_each(|i| dc.symbols[usize::from(i)] = i);
    (dc, ac)
}

const DC_COUNTS: [[u8; 16]; 2] =
    [[0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0], [0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0]];
const AC_COUNTS: [[u8; 16]; 2] =
    [[0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 0x7d], [0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 0x77]];
#[rustfmt::skip]
const AC_SYMBOLS: [[u8; 162]; 2] = [
    [
        0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61, 0x07,
        0x22, 0x71, 0x14, 0x32, 0x81, 0x91, 0xa1, 0x08, 0x23, 0x42, 0xb1, 0xc1, 0x15, 0x52, 0xd1, 0xf0,
        0x24, 0x33, 0x62, 0x72, 0x82, 0x09, 0x0a, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x25, 0x26, 0x27, 0x28,
        0x29, 0x2a, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49,
        0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69,
        0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89,
        0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7,
        0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3, 0xc4, 0xc5,
        0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda, 0xe1, 0xe2,
        0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8,
        0xf9, 0xfa,
    ],
    [
        0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07, 0x61, 0x71,
        0x13, 0x22, 0x32, 0x81, 0x08, 0x14, 0x42, 0x91, 0xa1, 0xb1, 0xc1, 0x09, 0x23, 0x33, 0x52, 0xf0,
        0x15, 0x62, 0x72, 0xd1, 0x0a, 0x16, 0x24, 0x34, 0xe1, 0x25, 0xf1, 0x17, 0x18, 0x19, 0x1a, 0x26,
        0x27, 0x28, 0x29, 0x2a, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48,
        0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68,
        0x69, 0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87,
        0x88, 0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3, 0xa4, 0xa5,
        0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3,
        0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda,
        0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8,
        0xf9, 0xfa,
    ],
];
