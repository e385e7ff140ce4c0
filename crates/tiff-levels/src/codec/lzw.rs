//! LZW, and how it was written before TIFF 6: with the lowest bit of a byte first, and longer codes one code later.

use jpeg_levels::Env;
use weezl::{BitOrder, LzwStatus, decode::Decoder};

use super::{Step, fill};
use crate::error::{Error, Result};

/// Fills `out`. Data that end before it is full are an error, what follows does not matter.
pub fn decode(coded: &[u8], out: &mut [u8], env: &Env<'_>) -> Result<()> {
    // Both begin with the code that clears the table: 256, of nine bits.
    let old = matches!(coded, [0, second, ..] if second & 1 == 1);
    let mut decoder =
        if old { Decoder::new(BitOrder::Lsb, 8) } else { Decoder::with_tiff_size_switch(BitOrder::Msb, 8) };
    fill(coded, out, env, |from, to| {
        let done = decoder.decode_bytes(from, to);
        let status = done.status.map_err(|_| Error::Damaged("invalid code in LZW data"))?;
        Ok(Step { read: done.consumed_in, written: done.consumed_out, ended: matches!(status, LzwStatus::Done) })
    })
}
