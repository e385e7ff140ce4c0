//! Levels beside those of Pillow with pillow-jxl-plugin: `golden/make_goldens.py` makes the files.

use std::fs;
use std::path::Path;

use jxl_levels::{Decoder, Env, Levels};

struct Golden {
    name: String,
    width: usize,
    height: usize,
    grey: bool,
    how: String,
    bytes: Vec<u8>,
    expected: Vec<u8>,
}

fn goldens() -> Vec<Golden> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let manifest = fs::read_to_string(directory.join("manifest.txt")).unwrap();
    let golden = |line: &str| {
        let [name, width, height, kind, how] = line.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let read = |ending: &str| fs::read(directory.join(format!("{name}.{ending}"))).unwrap();
        Golden {
            name: name.to_owned(),
            width: width.parse().unwrap(),
            height: height.parse().unwrap(),
            grey: kind == "grey16",
            how: how.to_owned(),
            bytes: read("jxl"),
            expected: read("raw"),
        }
    };
    manifest.lines().map(golden).collect()
}

/// Upright, by the orientation of the codestream, or else of EXIF data of Pillow's plain form.
fn turned(decoder: &Decoder, pixels: &[u8]) -> (usize, usize, Vec<u8>) {
    let (width, height) = (decoder.width(), decoder.height());
    // Tag, type and count of the entry.
    let is_entry = |bytes: &&[u8]| bytes[..9] == [1, 0x12, 0, 3, 0, 0, 0, 1, 0];
    let from_exif = || Some(decoder.exif()?.windows(10).find(is_entry)?[9]);
    let orientation = if decoder.orientation() == 1 { from_exif().unwrap_or(1) } else { decoder.orientation() };
    let (across, down) = if orientation > 4 { (height, width) } else { (width, height) };
    let mut out = Vec::new();
    for y in 0..down {
        for x in 0..across {
            let (x, y) = match orientation {
                2 => (width - 1 - x, y),
                3 => (width - 1 - x, height - 1 - y),
                4 => (x, height - 1 - y),
                5 => (y, x),
                6 => (y, height - 1 - x),
                7 => (width - 1 - y, height - 1 - x),
                8 => (width - 1 - y, x),
                _ => (x, y),
            };
            out.extend(&pixels[3 * (y * width + x)..][..3]);
        }
    }
    (across, down, out)
}

#[test]
fn levels_are_the_references() {
    let mut report = Vec::new();
    let mut bad = Vec::new();
    for golden in goldens() {
        let decoder = Decoder::new(&golden.bytes).unwrap();
        let picture = decoder.decode(&Env::default()).unwrap_or_else(|e| panic!("{}: {e}", golden.name));
        assert!(!picture.is_cut, "{}", golden.name);
        let differences: Vec<u32> = match (&picture.levels, golden.grey) {
            (Levels::Grey16(levels), true) => {
                assert_eq!(levels.len(), golden.expected.len());
                let number = |pair: &[u8; 2]| u32::from(u16::from_le_bytes(*pair));
                let expected = golden.expected.as_chunks::<2>().0.iter().map(number);
                let given = levels.as_chunks::<2>().0.iter().map(|pair| u32::from(u16::from_ne_bytes(*pair)));
                given.zip(expected).map(|(a, b)| a.abs_diff(b)).collect()
            }
            (Levels::Rgb(levels), false) => {
                let (width, height, levels) = turned(&decoder, levels);
                assert_eq!((width, height), (golden.width, golden.height), "{}", golden.name);
                assert_eq!(levels.len(), golden.expected.len());
                levels.iter().zip(&golden.expected).map(|(a, b)| u32::from(a.abs_diff(*b))).collect()
            }
            _ => panic!("{}: another kind of picture", golden.name),
        };
        let most = differences.iter().copied().max().unwrap_or(0);
        let mean = f64::from(differences.iter().sum::<u32>()) / differences.len() as f64;
        report.push(format!("{} {}: mean {mean:.4}, at most {most}", golden.name, golden.how));
        let is_good = match golden.how.as_str() {
            "same" => most == 0,
            "near" => most <= 1 && mean < 0.02,
            // What libjxl makes of the coefficients, not of the JPEG that they are of.
            "jpeg" => mean < 2.0,
            how => panic!("{how}"),
        };
        if !is_good {
            bad.push(golden.name);
        }
    }
    assert!(report.len() >= 40);
    assert!(bad.is_empty(), "{bad:?} of\n{}", report.join("\n"));
}

/// What the header tells before anything is decoded.
#[test]
fn headers() {
    for golden in goldens() {
        let decoder = Decoder::new(&golden.bytes).unwrap();
        assert!(decoder.width() * decoder.height() * 3 >= golden.expected.len() / 2, "{}", golden.name);
        assert!(decoder.needs() >= golden.expected.len(), "{}", golden.name);
    }
    assert_eq!(Decoder::new(b"GIF89a").unwrap_err(), jxl_levels::Error::NotJxl);
    assert_eq!(Decoder::new(b"\xff\x0a").unwrap_err(), jxl_levels::Error::Truncated);
}
