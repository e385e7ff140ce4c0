//! Deflate, in zlib's wrapping.

use flate2::{Decompress, FlushDecompress, Status};
use jpeg_levels::Env;

use super::{Step, fill};
use crate::error::{Error, Result};

/// Fills `out`. Data that end before it is full are an error, what follows does not matter.
pub fn decode(coded: &[u8], out: &mut [u8], env: &Env<'_>) -> Result<()> {
    let mut decoder = Decompress::new(true);
    fill(coded, out, env, |from, to| {
        let before = (decoder.total_in(), decoder.total_out());
        let status = decoder.decompress(from, to, FlushDecompress::None);
        let status = status.map_err(|_| Error::Damaged("invalid deflate data"))?;
        Ok(Step {
            read: (decoder.total_in() - before.0) as usize,
            written: (decoder.total_out() - before.1) as usize,
            ended: matches!(status, Status::StreamEnd),
        })
    })
}
