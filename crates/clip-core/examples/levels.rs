//! Writes the RGB levels of many images, for `bench/corpora.py` to compare.
//!
//! Reads paths, one a line. For each it writes a line `WIDTH HEIGHT` and the levels, or a line `error KIND MESSAGE`.

use std::error::Error;
use std::io::{self, BufRead, Write};

use clip_core::image::{Limits, decode};

fn main() -> Result<(), Box<dyn Error>> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    for path in io::stdin().lock().lines() {
        match decode(&std::fs::read(path?)?, &Limits::default()) {
            Ok(picture) => {
                writeln!(out, "{} {}", picture.width, picture.height)?;
                out.write_all(&picture.pixels)?;
            }
            Err(e) => writeln!(out, "error {:?} {}", e.kind, e.message.replace('\n', " "))?,
        }
        out.flush()?;
    }
    Ok(())
}
