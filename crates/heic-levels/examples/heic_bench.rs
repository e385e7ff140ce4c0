//! Times the decoding of each file given: `heic_bench 5 a.heic`, the best of five. Of a sequence it is the time of one picture.

use std::hash::{DefaultHasher, Hasher};
use std::time::{Duration, Instant};

use heic_levels::{Decoder, Env, Sequence};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let times: usize = arguments.next().unwrap().parse().unwrap();
    for path in arguments {
        let bytes = std::fs::read(&path).unwrap();
        let (best, hash) = (0..times).map(|_| once(&bytes)).min().unwrap();
        println!("{path}: {best:?}, levels {hash:016x}");
    }
}

/// The time of a picture, and what tells whether its levels are still the same.
fn once(bytes: &[u8]) -> (Duration, u64) {
    let mut sequence = Sequence::new(bytes).unwrap();
    let pictures = sequence.as_ref().map_or(1, |sequence| sequence.durations().len() as u32);
    let mut hasher = DefaultHasher::new();
    let mut taken = Duration::ZERO;
    for _ in 0..pictures {
        let started = Instant::now();
        let pixels = match &mut sequence {
            Some(sequence) => sequence.next(&Env::default()),
            None => Decoder::new(bytes).and_then(|decoder| decoder.decode(&Env::default())),
        };
        taken += started.elapsed();
        hasher.write(&pixels.unwrap());
    }
    (taken / pictures, hasher.finish())
}
