//! The codes of ITU-T T.4 and T.6, as tables to look up the bits that come next.

use std::sync::OnceLock;

/// Of white runs: 0 to 63 pixels, then the multiples of 64 up to 1728.
const WHITE: &str = "\
    00110101 000111 0111 1000 1011 1100 1110 1111 10011 10100 00111 01000 001000 000011 110100 110101 101010 101011 \
    0100111 0001100 0001000 0010111 0000011 0000100 0101000 0101011 0010011 0100100 0011000 00000010 00000011 00011010 \
    00011011 00010010 00010011 00010100 00010101 00010110 00010111 00101000 00101001 00101010 00101011 00101100 00101101 \
    00000100 00000101 00001010 00001011 01010010 01010011 01010100 01010101 00100100 00100101 01011000 01011001 01011010 \
    01011011 01001010 01001011 00110010 00110011 00110100 11011 10010 010111 0110111 00110110 00110111 01100100 01100101 \
    01101000 01100111 011001100 011001101 011010010 011010011 011010100 011010101 011010110 011010111 011011000 \
    011011001 011011010 011011011 010011000 010011001 010011010 011000 010011011";

/// Of black ones.
const BLACK: &str = "\
    0000110111 010 11 10 011 0011 0010 00011 000101 000100 0000100 0000101 0000111 00000100 00000111 000011000 \
    0000010111 0000011000 0000001000 00001100111 00001101000 00001101100 00000110111 00000101000 00000010111 00000011000 \
    000011001010 000011001011 000011001100 000011001101 000001101000 000001101001 000001101010 000001101011 000011010010 \
    000011010011 000011010100 000011010101 000011010110 000011010111 000001101100 000001101101 000011011010 000011011011 \
    000001010100 000001010101 000001010110 000001010111 000001100100 000001100101 000001010010 000001010011 000000100100 \
    000000110111 000000111000 000000100111 000000101000 000001011000 000001011001 000000101011 000000101100 000001011010 \
    000001100110 000001100111 0000001111 000011001000 000011001001 000001011011 000000110011 000000110100 000000110101 \
    0000001101100 0000001101101 0000001001010 0000001001011 0000001001100 0000001001101 0000001110010 0000001110011 \
    0000001110100 0000001110101 0000001110110 0000001110111 0000001010010 0000001010011 0000001010100 0000001010101 \
    0000001011010 0000001011011 0000001100100 0000001100101";

/// Of both: the multiples of 64 from 1792 up to 2560.
const LONG: &str = "\
    00000001000 00000001100 00000001101 000000010010 000000010011 000000010100 000000010101 000000010110 000000010111 \
    000000011100 000000011101 000000011110 000000011111";

/// What the bits that come next mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// No code.
    Nothing,
    /// A run that ends in a pixel of the other colour.
    Run,
    /// A part of a run.
    Part,
    EndOfLine,
    Pass,
    Horizontal,
    /// The change lies so many pixels to the right of the one above.
    Right,
    Left,
    /// Uncompressed data and the like.
    Extension,
}

/// What a code stands for.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// A run, a mode, or neither.
    pub meaning: Meaning,
    /// Bits of the code.
    pub bits: u8,
    /// Pixels.
    pub pixels: u16,
}

/// By the next bits, the first of them lowest.
pub struct Tables {
    /// Runs of white, by [`WHITE_BITS`].
    pub white: Vec<Entry>,
    /// Runs of black, by [`BLACK_BITS`].
    pub black: Vec<Entry>,
    /// Modes of two-dimensional coding, by [`MODE_BITS`].
    pub modes: Vec<Entry>,
}

/// Bits that runs of white are looked up by: those of the longest code.
pub const WHITE_BITS: u32 = 12;
/// Bits that runs of black are looked up by: those of the longest code.
pub const BLACK_BITS: u32 = 13;
/// Bits that modes are looked up by.
pub const MODE_BITS: u32 = 7;

/// Made once in a process.
pub fn tables() -> &'static Tables {
    static TABLES: OnceLock<Tables> = OnceLock::new();
    TABLES.get_or_init(|| Tables { white: runs(WHITE, WHITE_BITS), black: runs(BLACK, BLACK_BITS), modes: modes() })
}

fn runs(codes: &str, bits: u32) -> Vec<Entry> {
    let mut table = empty(bits);
    let lengths = (0..64).chain((64..=1728).step_by(64));
    let long = (1792..=2560).step_by(64);
    for (code, pixels) in codes.split(' ').zip(lengths).chain(LONG.split(' ').zip(long)) {
        let meaning = if pixels < 64 { Meaning::Run } else { Meaning::Part };
        fill(&mut table, code, meaning, pixels);
    }
    fill(&mut table, "00000000000", Meaning::EndOfLine, 0);
    table
}

fn modes() -> Vec<Entry> {
    let mut table = empty(MODE_BITS);
    let codes = [
        ("0001", Meaning::Pass, 0),
        ("001", Meaning::Horizontal, 0),
        ("1", Meaning::Right, 0),
        ("011", Meaning::Right, 1),
        ("000011", Meaning::Right, 2),
        ("0000011", Meaning::Right, 3),
        ("010", Meaning::Left, 1),
        ("000010", Meaning::Left, 2),
        ("0000010", Meaning::Left, 3),
        ("0000001", Meaning::Extension, 0),
        ("0000000", Meaning::EndOfLine, 0),
    ];
    codes.into_iter().for_each(|(code, meaning, pixels)| fill(&mut table, code, meaning, pixels));
    table
}

fn empty(bits: u32) -> Vec<Entry> {
    vec![Entry { meaning: Meaning::Nothing, bits: 0, pixels: 0 }; 1 << bits]
}

/// Every entry whose lowest bits are the code.
fn fill(table: &mut [Entry], code: &str, meaning: Meaning, pixels: u16) {
    let first = code.bytes().rev().fold(0, |value, bit| 2 * value + usize::from(bit == b'1'));
    for entry in table.iter_mut().skip(first).step_by(1 << code.len()) {
        *entry = Entry { meaning, bits: code.len() as u8, pixels };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No code begins another, and every run has one.
    #[test]
    fn codes_are_prefix_free_and_complete() {
        for (codes, bits) in [(WHITE, WHITE_BITS), (BLACK, BLACK_BITS)] {
            let all: Vec<&str> = codes.split(' ').chain(LONG.split(' ')).chain(["00000000000"]).collect();
            assert_eq!(all.len(), 64 + 27 + 13 + 1);
            for a in &all {
                assert!(a.len() <= bits as usize);
                assert_eq!(all.iter().filter(|b| b.starts_with(a)).count(), 1, "{a}");
            }
        }
    }

    #[test]
    fn the_first_bit_is_the_lowest() {
        let entry = tables().white[0b01_1101];
        assert_eq!((entry.meaning, entry.bits, entry.pixels), (Meaning::Run, 4, 4));
        let entry = tables().modes[0b000_0110];
        assert_eq!((entry.meaning, entry.bits, entry.pixels), (Meaning::Right, 3, 1));
    }
}
