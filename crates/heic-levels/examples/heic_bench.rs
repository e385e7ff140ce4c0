//! Times the decoding of each file given: `bench 5 a.heic`, the best of five.

use heic_levels::{Decoder, Env};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let times: usize = arguments.next().unwrap().parse().unwrap();
    for path in arguments {
        let bytes = std::fs::read(&path).unwrap();
        let best = (0..times).map(|_| {
            let started = std::time::Instant::now();
            Decoder::new(&bytes).unwrap().decode(&Env::default()).unwrap();
            started.elapsed()
        });
        println!("{path}: {:?}", best.min().unwrap());
    }
}
