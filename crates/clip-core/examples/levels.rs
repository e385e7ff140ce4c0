//! Writes the RGB levels of many images, for `bench/corpora.py` to compare.
//!
//! Reads paths, one a line. For each it writes a line `WIDTH HEIGHT` and the levels, or a line `error KIND MESSAGE`.

use std::error::Error;
use std::io::{self, BufRead, Write};

use clip_core::image::{Limits, decode};

/// Twice its `MAX_IMAGE_PIXELS`: Pillow reads as many, with a warning.
const MOST: u64 = 2 * 89_478_485;

fn main() -> Result<(), Box<dyn Error>> {
    let limits = Limits { max_pixels: MOST, ..Limits::default() };
    let mut out = io::BufWriter::new(io::stdout().lock());
    for path in io::stdin().lock().lines() {
        match decode(&std::fs::read(path?)?, &limits) {
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
