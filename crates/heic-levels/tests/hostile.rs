//! Files that are not what they say: an error or a picture, no panic, and no more memory or time than the picture is worth.

use std::cell::Cell;
use std::path::Path;
use std::time::Instant;

use heic_levels::{Decoder, Env, Error, Sequence, is_heic};

fn goldens() -> Vec<Vec<u8>> {
    let goldens = files("tests/golden", "heic");
    assert!(goldens.len() >= 60);
    goldens
}

fn files(folder: &str, kind: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let paths = folder.read_dir().unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = paths.filter(|path| path.extension().is_some_and(|extension| extension == kind)).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// A generator of numbers that is always the same.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

fn mutated(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        match random.below(7) {
            0 => bytes[at] = random.below(256) as u8,
            1 => bytes[at] ^= 1 << random.below(8),
            2 => bytes[at] = [0, 1, 127, 128, 254, 255][random.below(6)],
            3 => bytes.truncate(at.max(16)),
            4 => drop(bytes.drain(at..(at + 1 + random.below(8)).min(bytes.len()))),
            5 => {
                let more: Vec<u8> = (0..1 + random.below(8)).map(|_| random.below(256) as u8).collect();
                bytes.splice(at..at, more);
            }
            _ => {
                let end = (at + 4).min(bytes.len());
                bytes[at..end].fill(if random.below(2) == 0 { 255 } else { 0 });
            }
        }
        bytes.resize(bytes.len().max(16), 0);
    }
    bytes
}

/// Most mutations are within the boxes, where they are seen at once, or within the coded data.
#[test]
fn mutations() {
    const MOST: usize = 1 << 22;
    let count: usize = std::env::var("MUTATIONS").map_or(3000, |count| count.parse().unwrap());
    let seed = std::env::var("SEED").map_or(88172645463325252, |seed| seed.parse().unwrap());
    let (goldens, mut random) = (goldens(), Random(seed));
    let (mut decoded, mut slowest) = (0, 0);
    for i in 0..count {
        let bytes = mutated(&goldens[i % goldens.len()], &mut random);
        let largest = Cell::new(0);
        let zeroed = |len: usize| {
            largest.set(len);
            (len <= MOST).then(|| vec![0; len])
        };
        let started = Instant::now();
        is_heic(&bytes);
        if let Ok(decoder) = Decoder::new(&bytes)
            && let Ok(needs) = decoder.needs()
            && needs <= MOST
        {
            let (width, height) = (decoder.width(), decoder.height());
            if let Ok(pixels) = decoder.decode(&Env { zeroed: &zeroed, go_on: &|| true }) {
                assert_eq!(pixels.len(), 3 * width * height);
                decoded += 1;
            }
            assert!(largest.get() <= needs);
        }
        slowest = slowest.max(started.elapsed().as_micros());
    }
    println!("{count} mutations, {decoded} decoded, the slowest took {slowest} us");
    assert!(decoded * 20 > count, "{decoded} of {count}");
}

#[test]
fn mutated_sequences() {
    let (files, mut random) = (files("tests/sequences", "heics"), Random(88172645463325252));
    let (mut shown, mut whole) = (0, 0);
    let count: usize = std::env::var("MUTATIONS").map_or(600, |count| count.parse().unwrap());
    for i in 0..count {
        let bytes = mutated(&files[i % files.len()], &mut random);
        let Ok(Some(mut sequence)) = Sequence::new(&bytes) else { continue };
        if sequence.needs().is_ok_and(|needs| needs <= 1 << 22) {
            let pictures = sequence.durations().len();
            assert!(pictures <= bytes.len());
            let size = 3 * sequence.width() * sequence.height();
            let given = (0..pictures).map_while(|_| sequence.next(&Env::default()).ok());
            let given = given.inspect(|pixels| assert_eq!(pixels.len(), size)).count();
            shown += given;
            whole += usize::from(given == pictures);
        }
    }
    println!("{count} mutations, {whole} decoded to their ends, {shown} pictures");
    assert!(whole * 20 > count && whole < count, "{whole} of {count}");
}

#[test]
fn files_cut_anywhere() {
    for (i, bytes) in goldens().iter().enumerate().step_by(9) {
        let whole = Decoder::new(bytes).unwrap().decode(&Env::default()).unwrap();
        for len in (0..bytes.len()).step_by(7) {
            if let Ok(decoder) = Decoder::new(&bytes[..len]) {
                // Of a grid, tiles that are not seen may be cut off.
                let result = decoder.decode(&Env::default());
                let fits = result.as_ref().map_or_else(|error| *error == Error::Truncated, |pixels| *pixels == whole);
                assert!(fits, "{i}, {len} of {}", bytes.len());
            }
        }
    }
}

#[test]
fn whoever_is_asked_ends_the_work() {
    for bytes in goldens().iter().step_by(7) {
        let decoder = Decoder::new(bytes).unwrap();
        assert_eq!(decoder.decode(&Env { go_on: &|| false, ..Env::default() }), Err(Error::Stopped));
        let none = Env { zeroed: &|_| None, ..Env::default() };
        // Of an overlay the canvas is taken first.
        let sizes = [(decoder.width(), decoder.height()), decoder.stored()].map(|(width, height)| 3 * width * height);
        let refused = decoder.decode(&none);
        assert!(matches!(refused, Err(Error::OutOfMemory(len)) if sizes.contains(&len)), "{refused:?}");
    }
}

#[test]
fn overlays_of_what_is_none() {
    let is_overlay = |bytes: &&Vec<u8>| bytes.windows(4).any(|kind| kind == b"iovl");
    let (files, mut count) = (goldens(), 0);
    for bytes in files.iter().filter(is_overlay) {
        let place = |kind: &[u8]| bytes.windows(4).position(|found| found == kind).unwrap() + 4;
        let (made_of, canvas) = (place(b"dimg"), place(b"idat") + 10);
        let with = |at: usize, more: &[u8]| {
            let mut bytes = bytes.clone();
            bytes[at..at + more.len()].copy_from_slice(more);
            Decoder::new(&bytes).and_then(|decoder| decoder.needs()).err()
        };
        let own: [u8; 2] = bytes[made_of..made_of + 2].try_into().unwrap();
        assert_eq!(with(made_of, &own), None);
        assert!(matches!(with(made_of + 4, &own), Some(Error::Unsupported(_))), "of itself");
        assert!(matches!(with(made_of + 4, &[3, 231]), Some(Error::Damaged(_))), "of nothing");
        assert!(with(made_of + 2, &[0, 200]).is_some(), "of more than there are");
        assert!(matches!(with(canvas, &[0; 8]), Some(Error::Damaged(_))), "no size");
        assert!(matches!(with(canvas, &[255; 8]), Some(Error::Damaged(_))), "another size");
        count += 1;
    }
    assert!(count >= 10, "{count} overlays");
}

#[test]
fn what_is_no_heic() {
    assert!(goldens().iter().all(|bytes| is_heic(bytes)));
    for bytes in [&b""[..], b"\xff\xd8\xff", b"\0\0\0\x18ftypavif\0\0\0\0", b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif"] {
        assert!(!is_heic(bytes));
    }
    assert_eq!(Decoder::new(b"\xff\xd8\xff\xe0").unwrap_err(), Error::NotHeic);
}
