//! Reads names of TIFF files from standard input. Writes for each one its size and its levels as stored, three bytes a pixel, or an
//! error: what `tests/sweep.py` compares.

use std::io::{self, BufRead, Write};

use tiff_levels::{Decoder, Env, Result};

/// Pixels; larger pictures are not tried.
const MOST: usize = 200_000_000;

fn decode(bytes: &[u8]) -> Result<(Decoder<'_>, Vec<u8>)> {
    let decoder = Decoder::new(bytes)?;
    if decoder.width().saturating_mul(decoder.height()) > MOST {
        return Err(tiff_levels::Error::TooMuch("picture is too large"));
    }
    let pixels = decoder.decode(&Env::default())?;
    Ok((decoder, pixels))
}

fn main() -> io::Result<()> {
    let out = &mut io::stdout().lock();
    for name in io::stdin().lock().lines() {
        let bytes = std::fs::read(name?)?;
        match decode(&bytes) {
            Ok((decoder, pixels)) => {
                let (width, height, turn) = (decoder.width(), decoder.height(), decoder.orientation().unwrap_or(1));
                writeln!(out, "{width} {height} {turn}")?;
                out.write_all(&pixels)?;
            }
            Err(error) => writeln!(out, "error {error}")?,
        }
        out.flush()?;
    }
    Ok(())
}
