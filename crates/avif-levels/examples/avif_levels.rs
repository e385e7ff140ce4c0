//! Reads names of AVIF files from standard input. Writes for each one its size, its turn and its levels as stored, three bytes a
//! pixel, or an error: what `tests/golden/sweep.py` compares.

use std::io::{self, BufRead, Write};

use avif_levels::{Decoder, Env, Result};

/// Pixels; larger pictures are not tried.
const MOST: usize = 100_000_000;

fn decode(bytes: &[u8]) -> Result<(Decoder<'_>, Vec<u8>)> {
    let decoder = Decoder::new(bytes)?;
    if decoder.width().saturating_mul(decoder.height()) > MOST {
        return Err(avif_levels::Error::TooMuch("picture is too large"));
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
                writeln!(out, "{} {} {}", decoder.width(), decoder.height(), decoder.turn().unwrap_or(1))?;
                out.write_all(&pixels)?;
            }
            Err(error) => writeln!(out, "error {error}")?,
        }
        out.flush()?;
    }
    Ok(())
}
