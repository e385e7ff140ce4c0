//! Frames of animations beside Pillow's: `golden/frames/make_frames.py` makes the files.

use std::fs;
use std::path::PathBuf;

use clip_core::ErrorKind;
use clip_core::image::{Limits, decode, frames};

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/frames")
}

fn file(name: &str) -> Vec<u8> {
    fs::read(directory().join(name)).unwrap()
}

fn levels(png: &[u8]) -> Vec<u8> {
    assert!(png.starts_with(b"\x89PNG"));
    decode(png, &Limits::default()).unwrap().pixels
}

#[test]
fn frames_are_as_pillow_shows_them() {
    let manifest = fs::read_to_string(directory().join("manifest.txt")).unwrap();
    let mut bad = Vec::new();
    for line in manifest.lines() {
        let [name, width, height, times] = line.split(' ').collect::<Vec<_>>().try_into().unwrap();
        if name.ends_with(".avif") && cfg!(not(feature = "avif")) {
            continue;
        }
        let [width, height] = [width, height].map(|side| side.parse::<usize>().unwrap());
        let expected = file(&format!("{name}.raw"));
        let given = frames(&file(name), 100, &Limits::default()).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(given.len(), times.split(',').count(), "{name}");
        for (i, (png, expected)) in given.iter().zip(expected.chunks(3 * width * height)).enumerate() {
            let differ = levels(png).iter().zip(expected).filter(|(a, b)| a != b).count();
            if differ > 0 {
                bad.push(format!("{name} {i}: {differ} of {}", expected.len()));
            }
        }
    }
    assert!(manifest.lines().count() >= 20);
    assert!(bad.is_empty(), "{bad:#?}");
}

/// By their times: 100, 200 and 300 ms.
#[test]
fn fewer_frames_are_evenly_in_time() {
    let bytes = file("keep.gif");
    let all = frames(&bytes, 3, &Limits::default()).unwrap();
    assert_eq!(frames(&bytes, 1, &Limits::default()).unwrap(), [all[2].clone()]);
    assert_eq!(frames(&bytes, 2, &Limits::default()).unwrap(), [all[1].clone(), all[2].clone()]);
}

/// Frames refer to each other, so that those between are decoded, too: 40, 50, ... 120 ms.
#[cfg(feature = "avif")]
#[test]
fn fewer_frames_of_avif() {
    let bytes = file("moving.avif");
    let all = frames(&bytes, 9, &Limits::default()).unwrap();
    assert_eq!(frames(&bytes, 2, &Limits::default()).unwrap(), [all[3].clone(), all[7].clone()]);
    for end in [40, 300, bytes.len() / 2, bytes.len() - 40] {
        let error = frames(&bytes[..end], 16, &Limits::default()).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidImage, "{end}: {error}");
    }
    let few = Limits { max_pixels: 2 * 56 * 40, ..Limits::default() };
    assert_eq!(frames(&bytes, 9, &few).unwrap_err().kind, ErrorKind::LimitExceeded);
}

/// libheif's levels, in the order in which the frames are shown. Their times are 100, 100, 1, 299, 400, 200, 400, 400 ms.
#[cfg(feature = "heic")]
#[test]
fn frames_of_heic() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../heic-levels/tests/sequences");
    let table = fs::read_to_string(folder.join("expected.tsv")).unwrap();
    let bytes = fs::read(folder.join("times.heics")).unwrap();
    let all = frames(&bytes, 16, &Limits::default()).unwrap();
    let hash = |png: &Vec<u8>| {
        let fnv = |h: u64, b: &u8| (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3);
        format!("{:016x}", levels(png).iter().fold(0xcbf2_9ce4_8422_2325, fnv))
    };
    let line = table.lines().find_map(|line| line.strip_prefix("times\t")).unwrap();
    let known: Vec<&str> = line.split('\t').nth(3).unwrap().split(',').collect();
    assert_eq!(all.len(), 8);
    // libheif leaves the last one out.
    assert_eq!(all[..7].iter().map(hash).collect::<Vec<_>>(), known);
    assert_eq!(levels(&all[0]), decode(&bytes, &Limits::default()).unwrap().pixels);
    // In the middle of halves of 1900 ms.
    assert_eq!(frames(&bytes, 2, &Limits::default()).unwrap(), [all[3].clone(), all[6].clone()]);
    let few = Limits { max_pixels: 64 * 64, ..Limits::default() };
    assert_eq!(frames(&bytes, 8, &few).unwrap_err().kind, ErrorKind::LimitExceeded);
    let needed = clip_core::image::estimate_frames(&bytes, &Limits::default()).bytes;
    // At least four pictures of 4:2:0 are kept, of 16 bits a level.
    assert!(needed > 64 * 64 * (16 + 4 * 3), "{needed}");
}

#[cfg(feature = "heic")]
#[test]
fn heic_of_which_a_part_is_missing() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../heic-levels/tests/sequences/b.heics");
    let mut bytes = fs::read(path).unwrap();
    // The data of the pictures come before their tables.
    let data = bytes.windows(4).position(|kind| kind == b"mdat").unwrap();
    bytes[data + 1200..data + 1800].fill(0xff);
    let error = frames(&bytes, 16, &Limits::default()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidImage, "{error}");
}

#[test]
fn a_still_image_is_one_frame() {
    let bytes = file("keep.gif");
    let first = frames(&bytes, 3, &Limits::default()).unwrap().swap_remove(0);
    let again = frames(&first, 16, &Limits::default()).unwrap();
    assert_eq!(again.len(), 1);
    assert_eq!(levels(&again[0]), levels(&first));
}

#[test]
fn limits_and_damage() {
    let bytes = file("over.png");
    let few = Limits { max_pixels: 24 * 18 - 1, ..Limits::default() };
    assert_eq!(frames(&bytes, 5, &few).unwrap_err().kind, ErrorKind::LimitExceeded);
    // Five frames of a size that is allowed, and more than four times that together.
    let enough_for_one = Limits { max_pixels: 24 * 18, ..Limits::default() };
    assert_eq!(frames(&bytes, 5, &enough_for_one).unwrap_err().kind, ErrorKind::LimitExceeded);
    assert_eq!(frames(&bytes, 1, &enough_for_one).unwrap().len(), 1);
    for name in ["over.png", "lossless.webp", "previous.gif"] {
        let bytes = file(name);
        for end in [30, bytes.len() / 3, bytes.len() / 2] {
            match frames(&bytes[..end], 16, &Limits::default()) {
                Ok(given) => assert!(given.len() < 6, "{name}"),
                Err(e) => assert_eq!(e.kind, ErrorKind::InvalidImage, "{name}: {e}"),
            }
        }
    }
    assert_eq!(frames(b"", 16, &Limits::default()).unwrap_err().kind, ErrorKind::InvalidImage);
}

/// xorshift.
fn next(state: &mut u64) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 16) as usize
}

/// `FRAME_MUTATIONS` says how many.
#[test]
fn mutations() {
    let count: usize = std::env::var("FRAME_MUTATIONS").map_or(1500, |count| count.parse().unwrap());
    let manifest = fs::read_to_string(directory().join("manifest.txt")).unwrap();
    let seeds: Vec<_> = manifest.lines().map(|line| file(line.split(' ').next().unwrap())).collect();
    let limits = Limits { max_pixels: 1 << 20, ..Limits::default() };
    let (mut state, mut good) = (0x1234_5678_9abc_def1, 0);
    for i in 0..count {
        let mut bytes = seeds[i % seeds.len()].clone();
        for _ in 0..=next(&mut state) % 3 {
            let at = next(&mut state) % bytes.len();
            match next(&mut state) % 3 {
                0 => bytes[at] ^= 1 << (next(&mut state) % 8),
                1 => bytes[at] = next(&mut state) as u8,
                _ => bytes.truncate(at.max(13)),
            }
        }
        match frames(&bytes, 4, &limits) {
            Ok(given) => {
                assert!(given.len() <= 4);
                good += 1;
            }
            Err(e) => assert_ne!(e.kind, ErrorKind::Internal, "{e}"),
        }
    }
    assert!(good > 0);
}
