//! Damaged files: no panic, no picture of another size, no more memory than what was said, and an end.

use std::cell::Cell;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use jxl_levels::{Decoder, Env, Error, Levels};

fn seeds() -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut files: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    // The first picture of an animation does not end with the file.
    let is_seed = |name: &str| name.ends_with(".jxl") && name != "animation.jxl";
    files.retain(|path| is_seed(path.file_name().unwrap().to_str().unwrap()));
    files.sort();
    files.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// xorshift64*.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }
}

fn damage(seed: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=random.below(3) {
        let at = random.below(bytes.len());
        match random.below(5) {
            0 | 1 => bytes[at] ^= 1 << random.below(8),
            2 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
            3 => bytes.truncate(at.max(2)),
            _ => {
                let len = random.below(8).min(bytes.len() - at);
                let from = random.below(bytes.len() - len + 1);
                bytes.copy_within(from..from + len, at);
            }
        }
    }
    bytes
}

/// `JXL_MUTATIONS` says how many; each seed has its share.
#[test]
fn mutations() {
    const LARGEST: usize = 1 << 20;
    let count: usize = std::env::var("JXL_MUTATIONS").map_or(2000, |count| count.parse().unwrap());
    let seeds = seeds();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut pictures, mut errors, mut panics) = (0, 0, 0);
    for i in 0..count {
        let bytes = damage(&seeds[i % seeds.len()], &mut random);
        let Ok(decoder) = Decoder::new(&bytes) else {
            errors += 1;
            continue;
        };
        let area = decoder.width().saturating_mul(decoder.height());
        if area > LARGEST {
            continue;
        }
        let looks = Cell::new(0);
        let go_on = || {
            looks.set(looks.get() + 1);
            true
        };
        let env = Env { go_on: &go_on, ..Env::default() };
        let begin = Instant::now();
        let decoded = catch_unwind(AssertUnwindSafe(|| decoder.decode(&env)));
        assert!(begin.elapsed() < Duration::from_secs(20), "{bytes:?}");
        match decoded {
            Ok(Ok(picture)) => {
                let len = match picture.levels {
                    Levels::Rgb(levels) => levels.len() / 3,
                    Levels::Grey16(levels) => levels.len() / 2,
                };
                assert_eq!(len, area);
                assert!(looks.get() > 0);
                pictures += 1;
            }
            Ok(Err(_)) => errors += 1,
            // Of the `jxl` crate, which asserts: nothing is wrong with what is thrown away.
            Err(_) => panics += 1,
        }
    }
    println!("{pictures} pictures, {errors} errors, {panics} panics");
    assert!(pictures > 0 && errors > 0 && panics * 1000 <= count);
}

/// What there is of a picture: pixels of the right number, and the mark.
#[test]
fn incomplete_pictures() {
    let mut marked = 0;
    for seed in seeds() {
        for part in 4..8 {
            let Ok(decoder) = Decoder::new(&seed[..seed.len() * part / 8]) else { continue };
            let decoded = catch_unwind(AssertUnwindSafe(|| decoder.decode_incomplete(&Env::default())));
            if let Ok(Ok(picture)) = decoded {
                marked += usize::from(picture.is_cut);
            }
        }
    }
    assert!(marked >= 10, "{marked}");
}

#[test]
fn a_cut_file_is_truncated() {
    for seed in seeds() {
        for part in 1..8 {
            let bytes = &seed[..seed.len() * part / 8];
            let result = Decoder::new(bytes).and_then(|decoder| decoder.decode(&Env::default()));
            // The last bytes of some are another frame's, or metadata.
            if part < 4 {
                assert!(matches!(result, Err(Error::Truncated | Error::NotJxl | Error::Damaged(_))), "{result:?}");
            }
        }
    }
}

#[test]
fn the_environment_counts() {
    let seed = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/lossy-85.jxl")).unwrap();
    let decoder = Decoder::new(&seed).unwrap();
    let stop = Env { go_on: &|| false, ..Env::default() };
    assert_eq!(decoder.decode(&stop), Err(Error::Stopped));
    let none = Env { zeroed: &|_| None, ..Env::default() };
    assert!(matches!(decoder.decode(&none), Err(Error::OutOfMemory(_))));
}

/// Two parsers that took its size for different ones told different memory.
#[test]
fn a_preview_is_refused() {
    // 256 x 256; more than the usual, among it a preview whose width is 16 ninths of its height.
    let bytes = [0xff, 0x0a, 0x7f, 0x84, 0x3a, 0x2c, 0x00, 0xc0, 0x04, 0x00, 0x00, 0x00, 0x00];
    let unsupported = Decoder::new(&bytes).map(|_| ()).unwrap_err();
    assert_eq!(unsupported, Error::Unsupported("a preview before the picture"));
}

/// A few bytes that say a large picture cost a header.
#[test]
fn a_large_header_alone() {
    // 2^18 x 2^18, by ratio 1: not small, selector 3.
    let bytes = [0xff, 0x0a, 0b1111_1110, 0xff, 0xff, 0x3f, 0b0000_0010, 0, 0, 0, 0, 0];
    if let Ok(decoder) = Decoder::new(&bytes) {
        let refused = Env { zeroed: &|_| None, ..Env::default() };
        assert!(decoder.decode(&refused).is_err());
    }
}
