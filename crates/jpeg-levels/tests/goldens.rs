//! Files of every kind, and Pillow's levels of them. `golden/make_goldens.py` makes both.

use std::cell::Cell;
use std::path::Path;

use jpeg_levels::{Decoder, Env, Error, Output, Picture, portable};

struct Golden {
    name: String,
    bytes: Vec<u8>,
    /// Size and hash; `None` where Pillow refuses the file.
    expected: Option<(usize, usize, u64)>,
    truncated: bool,
}

fn goldens() -> Vec<Golden> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let table = std::fs::read_to_string(folder.join("expected.tsv")).unwrap();
    let golden = |line: &str| {
        let fields: Vec<&str> = line.split('\t').collect();
        let expected = (fields.len() > 2).then(|| {
            let hash = u64::from_str_radix(fields[3], 16).unwrap();
            (fields[1].parse().unwrap(), fields[2].parse().unwrap(), hash)
        });
        let bytes = std::fs::read(folder.join(fields[0]).with_extension("jpg")).unwrap();
        Golden { name: fields[0].to_owned(), bytes, expected, truncated: fields.len() > 4 }
    };
    table.lines().filter(|line| !line.starts_with('#')).map(golden).collect()
}

fn decode(bytes: &[u8]) -> Result<Picture, Error> {
    Decoder::new(bytes)?.decode(Output::Rgb, &Env::default())
}

/// FNV-1a.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

#[test]
fn levels_are_those_of_pillow() {
    let goldens = goldens();
    assert!(goldens.len() > 200);
    let mut wrong = Vec::new();
    for golden in goldens {
        let given = decode(&golden.bytes);
        let ok = match (&given, golden.expected) {
            (Ok(p), Some(expected)) => {
                (p.width, p.height, hash(&p.pixels)) == expected && p.warnings.truncated == golden.truncated
            }
            (Ok(p), None) => p.warnings.truncated,
            (Err(_), expected) => expected.is_none(),
        };
        if !ok {
            wrong.push(format!("{}: {:?}", golden.name, given.map(|p| (p.width, p.height, p.warnings))));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn vectors_change_nothing() {
    for golden in goldens() {
        let with = decode(&golden.bytes);
        portable(true);
        let without = decode(&golden.bytes);
        portable(false);
        assert!(with == without, "{}", golden.name);
    }
}

#[test]
fn rows_are_the_picture() {
    for golden in goldens() {
        for output in [Output::Stored, Output::Native, Output::Rgb] {
            let (Ok(whole), Ok(by_rows)) = (Decoder::new(&golden.bytes), Decoder::new(&golden.bytes)) else { continue };
            let mut rows = Vec::new();
            let (width, channels) = (whole.width(), output.channels(whole.colour()));
            let result = by_rows.decode_rows(output, &Env::default(), &mut |first, bytes| {
                assert_eq!(rows.len(), first * width * channels);
                rows.extend_from_slice(bytes);
                Ok(())
            });
            let expected = whole.decode(output, &Env::default());
            assert_eq!(result.as_ref().err(), expected.as_ref().err(), "{}", golden.name);
            if let Ok(expected) = expected {
                assert!(rows == expected.pixels, "{} {output:?}", golden.name);
            }
        }
    }
}

#[test]
fn memory_is_what_was_said_before() {
    for golden in goldens() {
        let Ok(decoder) = Decoder::new(&golden.bytes) else { continue };
        let (needs, taken) = (decoder.needs(Output::Rgb), Cell::new(0));
        let zeroed = |len| {
            taken.set(taken.get() + len);
            Some(vec![0; len])
        };
        _ = decoder.decode(Output::Rgb, &Env { zeroed: &zeroed, go_on: &|| true });
        assert!(taken.get() <= needs, "{}: {} of {needs}", golden.name, taken.get());
    }
}

#[test]
fn work_ends_when_told() {
    for golden in goldens().iter().filter(|g| g.expected.is_some_and(|(_, height, _)| height > 16)) {
        let looks = Cell::new(0);
        let go_on = || {
            looks.set(looks.get() + 1);
            looks.get() < 2
        };
        let env = Env { go_on: &go_on, ..Env::default() };
        let result = Decoder::new(&golden.bytes).unwrap().decode(Output::Rgb, &env);
        if looks.get() > 1 {
            assert_eq!(result, Err(Error::Stopped), "{}", golden.name);
            assert_eq!(looks.get(), 2);
        }
    }
}

#[test]
fn refused_memory_is_an_error() {
    let golden = goldens().into_iter().find(|g| g.expected.is_some()).unwrap();
    let env = Env { zeroed: &|_| None, go_on: &|| true };
    let result = Decoder::new(&golden.bytes).unwrap().decode(Output::Rgb, &env);
    assert!(matches!(result, Err(Error::OutOfMemory(_))));
}

#[test]
fn kinds_that_are_not_read_have_names() {
    let error = |name: &str| {
        let golden = goldens().into_iter().find(|g| g.name == format!("special_{name}")).unwrap();
        decode(&golden.bytes).unwrap_err().to_string()
    };
    assert_eq!(error("bits_12"), "12 bits per sample, expected 8");
    assert_eq!(error("lossless"), "lossless coding");
    assert_eq!(error("hierarchical"), "hierarchical coding");
    assert_eq!(error("height_0"), "its height follows its first scan");
    assert_eq!(error("sampling_3_to_2"), "fractional sampling factors");
}

/// Damage of all kinds: no panic, and no picture of another size than its header tells.
#[test]
fn damage_is_survived() {
    let mut state = 1u64;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize % below
    };
    for golden in goldens() {
        for _ in 0..20 {
            let mut bytes = golden.bytes.clone();
            match random(4) {
                0 => bytes.truncate(random(bytes.len())),
                1 => {
                    let at = random(bytes.len());
                    bytes.drain(at..(at + 1 + random(20)).min(golden.bytes.len()));
                }
                _ => {
                    for _ in 0..=random(3) {
                        let at = random(bytes.len());
                        bytes[at] = random(256) as u8;
                    }
                }
            }
            let Ok(decoder) = Decoder::new(&bytes) else { continue };
            if decoder.width() * decoder.height() > 1 << 20 {
                continue;
            }
            let size = 3 * decoder.width() * decoder.height();
            if let Ok(picture) = decoder.decode(Output::Rgb, &Env::default()) {
                assert_eq!(picture.pixels.len(), size);
            }
        }
    }
}

/// Time goes with the file and the picture: scans that bring nothing may not repeat without an end.
#[test]
fn scans_without_end_are_refused() {
    let bytes = goldens().into_iter().find(|g| g.name == "script_prog_1x1_1x1_1x1").unwrap().bytes;
    let last = bytes.windows(2).rposition(|w| w == [0xff, 0xda]).unwrap();
    let scan = &bytes[last..bytes.len() - 2];
    let repeated = |times: usize| [&bytes[..last], &scan.repeat(times), &[0xff, 0xd9]].concat();
    assert_eq!(decode(&repeated(9)), decode(&bytes));
    assert_eq!(decode(&repeated(601)), Err(Error::TooManyScans));
}
