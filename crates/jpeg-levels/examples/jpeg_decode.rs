//! A JPEG file's levels on standard output, row by row, as Pillow's `convert("RGB")` has them; with `--native` as libjpeg gives them.
//! With `--time N` the shortest of N times instead, in milliseconds. With `--list` reads names from standard input, and
//! writes for each one its size and levels, or an error: what `tests/golden/sweep.py` compares; with `--list 2`, 4 or 8 those of a
//! picture so much smaller. `--time N DIVISOR` times that.

use std::io::{self, BufRead, Write};
use std::time::Instant;

use jpeg_levels::{Decoder, Env, Output, Picture, Reduction, Result};

fn decode(bytes: &[u8], output: Output) -> Result<Picture> {
    Decoder::new(bytes)?.decode(output, &Env::default())
}

/// Smaller by 2, 4 or 8; in full for any other divisor.
fn reduced(bytes: &[u8], divisor: &str) -> Result<Picture> {
    let decoder = Decoder::new(bytes)?;
    let decoder = match Reduction::ALL.into_iter().find(|to| to.divisor().to_string() == divisor) {
        Some(to) => decoder.reduced(to)?,
        None => decoder,
    };
    decoder.decode(Output::Rgb, &Env::default())
}

fn main() -> io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let out = &mut io::stdout().lock();
    match &args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--list", divisor] => {
            for name in io::stdin().lock().lines() {
                match reduced(&std::fs::read(name?)?, divisor) {
                    Ok(p) => {
                        let w = p.warnings;
                        writeln!(
                            out,
                            "{} {} {} {} {} {} {}",
                            p.width, p.height, p.channels, w.truncated, w.corrupt, w.lost, w.incomplete
                        )?;
                        out.write_all(&p.pixels)?;
                    }
                    Err(error) => writeln!(out, "error {error}")?,
                }
                out.flush()?;
            }
        }
        ["--time", rounds, divisor, name] => {
            let bytes = std::fs::read(name)?;
            let rounds = rounds.parse().unwrap_or(5);
            let mut best = f64::INFINITY;
            for _ in 0..rounds {
                let start = Instant::now();
                reduced(&bytes, divisor).map_err(io::Error::other)?;
                best = best.min(start.elapsed().as_secs_f64() * 1e3);
            }
            writeln!(out, "{best:.2}")?;
        }
        ["--native", name] => {
            out.write_all(&decode(&std::fs::read(name)?, Output::Native).map_err(io::Error::other)?.pixels)?
        }
        [name] => out.write_all(&decode(&std::fs::read(name)?, Output::Rgb).map_err(io::Error::other)?.pixels)?,
        _ => eprintln!("usage: decode [--native | --time N DIVISOR] FILE, or decode --list DIVISOR"),
    }
    Ok(())
}
