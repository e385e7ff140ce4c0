//! Writes a picture's levels, for the scripts beside the tests: `jxl_levels FILE.jxl OUT.rgb`. Prints width, height, kind, orientation,
//! milliseconds, and the bytes that were told before.

use std::time::Instant;

use jxl_levels::{Decoder, Env, Levels};

fn main() {
    let [file, out] = [1, 2].map(|i| std::env::args().nth(i).expect("FILE.jxl OUT.rgb"));
    let bytes = std::fs::read(file).expect("a file");
    let begin = Instant::now();
    let decoder = Decoder::new(&bytes).expect("a header");
    let picture = decoder.decode(&Env::default()).expect("a picture");
    let took = begin.elapsed();
    let (kind, levels) = match picture.levels {
        Levels::Rgb(levels) => ("rgb", levels),
        Levels::Grey16(levels) => ("grey16", levels),
    };
    let (width, height, orientation) = (decoder.width(), decoder.height(), decoder.orientation());
    println!("{width} {height} {kind} {orientation} {} {}", took.as_millis(), decoder.needs());
    std::fs::write(out, levels).expect("written");
}
