//! Sequences of every kind, and libheif's levels of them. `sequences/make_sequences.py` makes both.

use std::path::PathBuf;

use heic_levels::{Decoder, Env, Error, Sequence, is_heic};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/sequences")
}

fn file(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(format!("{name}.heics"))).unwrap()
}

/// FNV-1a.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

fn pictures(bytes: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
    let mut sequence = Sequence::new(bytes)?.expect("a sequence");
    (0..sequence.durations().len()).map(|_| sequence.next(&Env::default())).collect()
}

#[test]
fn levels_are_those_of_libheif() {
    let table = std::fs::read_to_string(folder().join("expected.tsv")).unwrap();
    let mut count = 0;
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('\t').collect();
        let bytes = file(fields[0]);
        assert!(is_heic(&bytes), "{}", fields[0]);
        let sequence = Sequence::new(&bytes).unwrap().unwrap();
        let size = [sequence.width().to_string(), sequence.height().to_string()];
        assert_eq!(size, fields[1..3], "{}", fields[0]);
        let durations: Vec<String> = sequence.durations().iter().map(u32::to_string).collect();
        assert_eq!(durations.join(","), fields[3], "{}", fields[0]);
        let given = pictures(&bytes).unwrap();
        let hashes: Vec<String> = given.iter().map(|pixels| format!("{:016x}", hash(pixels))).collect();
        let known: Vec<&str> = fields[4].split(',').collect();
        // libheif leaves the last one out.
        assert!(known.len() + 1 >= given.len() && known.len() > 2, "{}", fields[0]);
        assert_eq!(hashes[..known.len()], known, "{}", fields[0]);
        // The first one is also the file's picture.
        assert_eq!(given[0], Decoder::new(&bytes).unwrap().decode(&Env::default()).unwrap(), "{}", fields[0]);
        count += 1;
    }
    assert!(count >= 9, "{count} sequences");
}

#[test]
fn after_the_last_one() {
    let bytes = file("intra");
    let mut sequence = Sequence::new(&bytes).unwrap().unwrap();
    for _ in 0..sequence.durations().len() {
        sequence.next(&Env::default()).unwrap();
    }
    assert_eq!(sequence.next(&Env::default()), Err(Error::Damaged("the sequence has no more pictures")));
}

/// Which of items and tracks counts is the major brand's to say.
#[test]
fn still_pictures() {
    let golden = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/00005-grey-444-10-q60-130x8-.heic");
    assert!(Sequence::new(&std::fs::read(golden).unwrap()).unwrap().is_none());
}

#[test]
fn files_cut_anywhere() {
    let bytes = file("b");
    for len in (0..bytes.len()).step_by(5) {
        match Sequence::new(&bytes[..len]) {
            Err(_) | Ok(None) => {}
            // The tables come last: without them there is nothing.
            Ok(Some(_)) => panic!("{len} of {}", bytes.len()),
        }
    }
}

/// Properties of the track's pictures count as those of items do.
#[test]
fn turned() {
    let mut bytes = file("b");
    let place = |bytes: &[u8], kind: &[u8; 4]| bytes.windows(4).rposition(|window| window == kind).unwrap() - 4;
    let entry = place(&bytes, b"hvc1");
    for kind in [b"hvc1", b"stsd", b"stbl", b"minf", b"mdia", b"trak", b"moov"] {
        let at = place(&bytes, kind);
        let size = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
        bytes[at..at + 4].copy_from_slice(&(size + 9).to_be_bytes());
    }
    let end = entry + u32::from_be_bytes(bytes[entry..entry + 4].try_into().unwrap()) as usize - 9;
    bytes.splice(end..end, *b"\0\0\0\x09irot\x02");
    let (straight, turned) = (pictures(&file("b")).unwrap(), pictures(&bytes).unwrap());
    assert_eq!(straight.len(), turned.len());
    for (straight, turned) in straight.iter().zip(&turned) {
        let back: Vec<u8> = turned.chunks(3).rev().flatten().copied().collect();
        assert!(*straight == back);
    }
}

/// A sample that the table says is larger reaches over the next one.
#[test]
fn samples_that_overlap() {
    let mut bytes = file("b");
    let table = bytes.windows(4).position(|kind| kind == b"stsz").unwrap() + 16;
    for sample in 0..9 {
        bytes[table + 4 * sample + 2] += 6;
    }
    let error = Sequence::new(&bytes).err();
    assert!(matches!(error, Some(Error::TooMuch(_) | Error::Truncated | Error::Damaged(_))), "{error:?}");
}

#[test]
fn whoever_is_asked_ends_the_work() {
    let bytes = file("b");
    let mut sequence = Sequence::new(&bytes).unwrap().unwrap();
    assert_eq!(sequence.next(&Env { go_on: &|| false, ..Env::default() }), Err(Error::Stopped));
    let mut sequence = Sequence::new(&bytes).unwrap().unwrap();
    let none = Env { zeroed: &|_| None, ..Env::default() };
    let pixels = 3 * sequence.width() * sequence.height();
    assert_eq!(sequence.next(&none), Err(Error::OutOfMemory(pixels)));
    assert!(sequence.needs().unwrap() > 3 * pixels);
}
