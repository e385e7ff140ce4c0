//! PackBits: a count and as many bytes, or a count and one byte to repeat.

use jpeg_levels::Env;

use super::PIECE;
use crate::error::{Error, Result, look};

/// Fills `out`. Data that end before it is full are an error, what follows does not matter.
pub fn decode(mut coded: &[u8], mut out: &mut [u8], env: &Env<'_>) -> Result<()> {
    let mut steps = 0usize;
    while !out.is_empty() {
        if steps.is_multiple_of(PIECE / 16) {
            look(env)?;
        }
        steps += 1;
        let (&count, rest) = coded.split_first().ok_or(Error::Truncated)?;
        // A run over the end is cut off there, as by libtiff.
        (coded, out) = match count {
            128 => (rest, out),
            0..128 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(count) + 1).ok_or(Error::Truncated)?;
                let (to, left) = out.split_at_mut(bytes.len().min(out.len()));
                to.copy_from_slice(&bytes[..to.len()]);
                (rest, left)
            }
            129.. => {
                let (&byte, rest) = rest.split_first().ok_or(Error::Truncated)?;
                let (to, left) = out.split_at_mut((257 - usize::from(count)).min(out.len()));
                to.fill(byte);
                (rest, left)
            }
        };
    }
    Ok(())
}
