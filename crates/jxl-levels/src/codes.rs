//! Entropy codes (ISO/IEC 18181-1, annex C), and how large their tables are. A code of a prefix for each of 32,768 symbols takes ten bytes of a
//! file, and a hundred thousand of memory. So the symbols are counted before a library makes tables of them.

use jxl_bitstream::{Bitstream, U};
use jxl_coding::{Decoder, read_clusters};

use crate::error::{Error, Result};

/// Bytes of the tables of one code at most: encoders need less than a tenth.
const MOST: usize = 16 << 20;
/// Bytes of the tables that a code may have without being seen.
pub const LARGEST: usize = 256 * (FIRST + 128 * FIRST) * 2 * 4;
/// Contexts of one code. Encoders have some thousands; a node of a tree for each 32 samples is more.
const MOST_CONTEXTS: usize = 1 << 22;
/// Bytes of an entry of a table, and of the vector that grows to its double.
const ENTRY: usize = 4 * 3;
/// Entries of a table that has no codes longer than eight bits.
const FIRST: usize = 256;

/// The code, and bytes that its tables take in `jxl`.
pub fn read(bits: &mut Bitstream, contexts: usize) -> Result<(Decoder, usize)> {
    let bytes = needs(bits, contexts)?;
    // It fits, as it is less than the most.
    Ok((Decoder::parse(bits, contexts as u32)?, bytes))
}

/// Bytes of the tables of the code that comes next.
pub fn needs(bits: &Bitstream, contexts: usize) -> Result<usize> {
    if contexts > MOST_CONTEXTS {
        return Err(Error::TooMuch("too many contexts of its codes"));
    }
    let mut bits = bits.clone();
    let copies = bits.read_bool()?;
    if copies {
        bits.read_u32(224, 512, 4096, 8 + U(15))?;
        bits.read_u32(3, 4, 5 + U(2), 9 + U(8))?;
        skip_integers(&mut bits, 8)?;
    }
    let contexts = contexts + usize::from(copies);
    let (clusters, _) = read_clusters(&mut bits, contexts as u32)?;
    let by_prefix = bits.read_bool()?;
    let log_symbols = if by_prefix { 15 } else { bits.read_bits(2)? + 5 };
    for _ in 0..clusters {
        skip_integers(&mut bits, log_symbols)?;
    }
    let mut entries = 0;
    for _ in 0..clusters {
        entries += if by_prefix { prefixes(symbols(&mut bits)?) } else { 2 << log_symbols };
    }
    let bytes = entries * ENTRY;
    if bytes > MOST {
        return Err(Error::TooMuch("the tables of its codes are too large"));
    }
    Ok(bytes + 2 * contexts)
}

/// How many symbols a code of prefixes has.
fn symbols(bits: &mut Bitstream) -> Result<usize> {
    if !bits.read_bool()? {
        return Ok(1);
    }
    let len = bits.read_bits(4)?;
    Ok(1 + (1 << len) + bits.read_bits(len as usize)? as usize)
}

/// Entries at most. A second table of 128 has eight symbols at least.
fn prefixes(symbols: usize) -> usize {
    FIRST + symbols.saturating_mul(16).min(128 * FIRST)
}

/// How numbers follow from symbols, of which nothing is needed here.
fn skip_integers(bits: &mut Bitstream, log_symbols: u32) -> Result<()> {
    let ceil_log2 = |n: u32| (n + 1).next_power_of_two().trailing_zeros() as usize;
    let split = bits.read_bits(ceil_log2(log_symbols))?;
    if split != log_symbols {
        let high = bits.read_bits(ceil_log2(split))?;
        let rest = split.checked_sub(high).ok_or_else(|| Error::Damaged("a code of numbers".to_owned()))?;
        bits.read_bits(ceil_log2(rest))?;
    }
    Ok(())
}
