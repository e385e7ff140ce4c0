//! Trees that choose how the pixels of a modular image are predicted and coded (ISO/IEC 18181-1, annex H.4).

use jpeg_levels::Env;
use jxl_bitstream::Bitstream;
use jxl_coding::Decoder;

use crate::codes;
use crate::error::{Error, Result, look};

/// Nodes that are read between two looks.
const LOOK: usize = 1 << 12;
/// Bytes of a node as the tree grows, and of the copies that are made of it for a channel.
const NODE: usize = 4 * 16 + 3 * 16 + 2 * 28 + 2 * 8;

/// Reads a tree and the codes of its leaves, and adds to `bytes` what they take at most.
pub fn read(bytes: &mut usize, most: usize, bits: &mut Bitstream, env: &Env<'_>) -> Result<()> {
    let mut count = 0;
    let read = nodes(&mut count, most, bits, env);
    *bytes = bytes.saturating_add(needs(count));
    read?;
    let (_, tables) = codes::read(bits, count.div_ceil(2))?;
    *bytes = bytes.saturating_add(tables);
    Ok(())
}

/// Bytes of a tree of so many nodes.
pub fn needs(nodes: usize) -> usize {
    nodes.saturating_mul(NODE)
}

/// Each node is a leaf or has two others below it.
fn nodes(count: &mut usize, most: usize, bits: &mut Bitstream, env: &Env<'_>) -> Result<()> {
    let (mut coded, _) = codes::read(bits, 6)?;
    coded.begin(bits)?;
    let mut left = 1_usize;
    while left > 0 {
        if count.is_multiple_of(LOOK) {
            look(env)?;
        }
        if *count > most {
            return Err(Error::TooMuch("the tree of its pixels is too large"));
        }
        *count += 1;
        left -= 1;
        if node(&mut coded, bits)? {
            left += 2;
        }
    }
    Ok(coded.finalize()?)
}

/// Whether there are others below it.
fn node(coded: &mut Decoder, bits: &mut Bitstream) -> Result<bool> {
    let mut next = |context| coded.read_varint(bits, context);
    if next(1)? > 0 {
        next(0)?;
        return Ok(true);
    }
    for context in 2..6 {
        next(context)?;
    }
    Ok(false)
}
