//! Reads names of AVIF files from standard input. Writes for each one its size, its turn and its levels as stored, three bytes a
//! pixel, or an error: what `tests/golden/sweep.py` compares. With the argument `frames` it writes every picture of a sequence so,
//! and an empty line at its end.

use std::io::{self, BufRead, Write};

use avif_levels::{Decoder, Env, Result, Sequence};

/// Pixels; larger pictures are not tried.
const MOST: usize = 100_000_000;

fn bounded(width: usize, height: usize) -> Result<()> {
    let is_small = width.saturating_mul(height) <= MOST;
    is_small.then_some(()).ok_or(avif_levels::Error::TooMuch("picture is too large"))
}

fn still(bytes: &[u8], out: &mut impl Write) -> Result<io::Result<()>> {
    let decoder = Decoder::new(bytes)?;
    bounded(decoder.width(), decoder.height())?;
    let pixels = decoder.decode(&Env::default())?;
    Ok(write(out, decoder.width(), decoder.height(), decoder.turn(), &pixels))
}

fn frames(bytes: &[u8], out: &mut impl Write) -> Result<io::Result<()>> {
    let Some(mut sequence) = Sequence::new(bytes)? else { return still(bytes, out) };
    bounded(sequence.width(), sequence.height())?;
    for _ in sequence.durations()? {
        let pixels = sequence.next(&Env::default())?;
        if let Err(error) = write(out, sequence.width(), sequence.height(), sequence.turn(), &pixels) {
            return Ok(Err(error));
        }
    }
    Ok(Ok(()))
}

fn write(out: &mut impl Write, width: usize, height: usize, turn: Option<u8>, pixels: &[u8]) -> io::Result<()> {
    writeln!(out, "{width} {height} {}", turn.unwrap_or(1))?;
    out.write_all(pixels)
}

fn main() -> io::Result<()> {
    let out = &mut io::stdout().lock();
    let all = std::env::args().any(|argument| argument == "frames");
    for name in io::stdin().lock().lines() {
        let bytes = std::fs::read(name?)?;
        match if all { frames(&bytes, out) } else { still(&bytes, out) } {
            Ok(written) => written?,
            Err(error) => writeln!(out, "error {error}")?,
        }
        if all {
            writeln!(out)?;
        }
        out.flush()?;
    }
    Ok(())
}
