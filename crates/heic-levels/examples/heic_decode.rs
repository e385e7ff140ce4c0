//! Writes the RGB pixels of each file given beside it: `heic_decode a.heic` makes `a.heic.rgb`, after its width and height.

use heic_levels::{Decoder, Env};

fn main() {
    for path in std::env::args().skip(1) {
        let bytes = std::fs::read(&path).unwrap();
        let started = std::time::Instant::now();
        let result = Decoder::new(&bytes).and_then(|decoder| {
            let pixels = decoder.decode(&Env::default())?;
            Ok((decoder.width(), decoder.height(), decoder.needs()?, pixels))
        });
        match result {
            Ok((width, height, needs, pixels)) => {
                println!("{path}: {width} x {height}, {:?}, needs {needs} bytes", started.elapsed());
                let sides = [width as u32, height as u32].map(u32::to_le_bytes).concat();
                std::fs::write(format!("{path}.rgb"), [sides, pixels].concat()).unwrap();
            }
            Err(error) => println!("{path}: {error:?}"),
        }
    }
}
