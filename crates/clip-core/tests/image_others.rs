//! JPEG 2000, PNM, TGA, ICO, QOI and DDS beside Pillow: `golden/others/make_others.py` makes the files.
#![cfg(feature = "more-formats")]

use std::fs;
use std::path::PathBuf;

use clip_core::ErrorKind;
use clip_core::image::{Grey16, Limits, ReadOptions, Truncated, decode, decode_with, estimate_hash, sniff};

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/others")
}

fn file(name: &str) -> Vec<u8> {
    fs::read(directory().join(name)).unwrap()
}

/// Name, size, and by how much levels may differ.
fn goldens() -> Vec<(String, [usize; 2], u8)> {
    let manifest = fs::read_to_string(directory().join("manifest.txt")).unwrap();
    let golden = |line: &str| {
        let [name, width, height, differ] = line.split(' ').collect::<Vec<_>>().try_into().unwrap();
        (name.to_owned(), [width, height].map(|side| side.parse().unwrap()), differ.parse().unwrap())
    };
    manifest.lines().map(golden).collect()
}

#[test]
fn levels_are_pillows() {
    let mut bad = Vec::new();
    for (name, [width, height], differ) in goldens() {
        let bytes = file(&name);
        let given = match decode(&bytes, &Limits::default()) {
            Ok(picture) => picture,
            Err(e) => {
                bad.push(format!("{name}: {e}"));
                continue;
            }
        };
        assert_eq!((given.width as usize, given.height as usize), (width, height), "{name}");
        let expected = file(&format!("{name}.raw"));
        let most = given.pixels.iter().zip(&expected).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        if most > differ {
            let count = given.pixels.iter().zip(&expected).filter(|(a, b)| a != b).count();
            bad.push(format!("{name}: by up to {most}, {count} of {}", expected.len()));
        }
    }
    assert!(bad.is_empty(), "{bad:#?}");
    assert!(goldens().len() >= 25);
}

#[test]
fn grey_of_16_bits() {
    let scale = ReadOptions { grey16: Grey16::Scale, ..ReadOptions::default() };
    let (cut, remarks) = decode_with(&file("p5-16.pgm"), ReadOptions::default()).unwrap();
    assert!(remarks.clipped && cut.pixels.contains(&255));
    let (scaled, remarks) = decode_with(&file("p5-16.pgm"), scale).unwrap();
    assert!(!remarks.clipped && scaled.pixels != cut.pixels);
}

#[test]
fn headers_of_pnm() {
    let picture = |header: &[u8]| [header, &[7; 64]].concat();
    // A comment ends no number.
    for header in [&b"P5\n1#\n2 3\n255\n"[..], b"P5\n0000000000012 3\n255\n", b"P5\n12\x0b3\n255\n"] {
        let bytes = picture(header);
        assert_eq!(decode(&bytes, &Limits::default()).unwrap().width, 12);
        assert!(estimate_hash(&bytes, &Limits::default()).bytes > 0);
    }
    for header in [
        "P5\n12 3\n0\n",
        "P5\n12 3\n65536\n",
        "P5\n-1 3\n255\n",
        "P5\n1e1 3\n255\n",
        "Pf\n12 3\ninf\n",
        "P5\n0 3\n255\n",
    ] {
        let e = decode(&picture(header.as_bytes()), &Limits::default()).unwrap_err();
        assert_eq!(e.kind, ErrorKind::InvalidImage, "{header}: {e}");
    }
    for text in ["P2\n2 1\n9\n7 10\n", "P2\n2 1\n9\n7 x\n", "P1\n2 1\n1 2\n", "P2\n2 1\n9\n7 00000000000000000001\n"] {
        let e = decode(text.as_bytes(), &Limits::default()).unwrap_err();
        assert_eq!(e.kind, ErrorKind::InvalidImage, "{text}: {e}");
    }
}

#[test]
fn floats_of_pfm() {
    let scale = ReadOptions { grey16: Grey16::Scale, ..ReadOptions::default() };
    let (cut, remarks) = decode_with(&file("little.pfm"), ReadOptions::default()).unwrap();
    assert!(remarks.clipped);
    let (scaled, remarks) = decode_with(&file("little.pfm"), scale).unwrap();
    assert!(!remarks.clipped && scaled.pixels != cut.pixels && scaled.pixels.contains(&255));
}

/// Any PNG may be in an ICO, and what it takes is known before.
#[test]
fn png_in_ico() {
    let png = fs::read(directory().join("../images/rgb_8.png")).unwrap();
    let entry = [&[0, 0, 0, 0, 1, 0, 24, 0][..], &(png.len() as u32).to_le_bytes(), &22u32.to_le_bytes()].concat();
    let bytes = [b"\0\0\x01\0\x01\0", &entry[..], &png].concat();
    assert_eq!(decode(&bytes, &Limits::default()).unwrap(), decode(&png, &Limits::default()).unwrap());
    for bytes in [bytes, file("bmp.ico"), file("png.ico")] {
        assert!(estimate_hash(&bytes, &Limits::default()).bytes > 0);
    }
}

/// A TGA has no mark: nothing else may be taken for one.
#[test]
fn what_is_no_tga() {
    for (name, ..) in goldens() {
        let format = sniff(&file(&name)).unwrap();
        assert_eq!(format.extensions().contains(&"tga"), name.ends_with(".tga"), "{name}");
    }
    let bytes = file("rgb.tga");
    for (at, value) in [(1, 2), (2, 4), (3, 1), (7, 24), (16, 23), (17, 0xc0), (12, 0)] {
        let mut other = bytes.clone();
        other[at] = value;
        if at == 12 {
            other[13] = 0;
        }
        assert!(sniff(&other).is_err(), "{at}");
    }
    assert!(sniff(&bytes[..bytes.len() / 2]).is_err());
    let mut state = 1u64;
    for _ in 0..100_000 {
        let noise: [u8; 64] = std::array::from_fn(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        });
        assert!(sniff(&noise).is_err());
    }
}

/// `OTHER_MUTATIONS` says how many files are damaged.
#[test]
fn limits_and_damage() {
    let large = b"P6\n100000 100000\n255\n";
    assert_eq!(decode(large, &Limits::default()).unwrap_err().kind, ErrorKind::LimitExceeded);
    let limits = Limits { max_pixels: 1 << 16, ..Limits::default() };
    let mut state = 7u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    let seeds: Vec<_> = goldens().iter().map(|(name, ..)| file(name)).collect();
    let count: usize = std::env::var("OTHER_MUTATIONS").map_or(1000, |count| count.parse().unwrap());
    for i in 0..count {
        let mut bytes = seeds[i % seeds.len()].clone();
        for _ in 0..=next() % 3 {
            let at = next() % bytes.len();
            match next() % 3 {
                0 => bytes[at] ^= 1 << (next() % 8),
                1 => bytes[at] = next() as u8,
                _ => bytes.truncate(at.max(4)),
            }
        }
        if let Err(e) = decode(&bytes, &limits) {
            assert_ne!(e.kind, ErrorKind::Internal, "{e}");
        }
    }
    for (name, ..) in goldens() {
        let bytes = file(&name);
        let cut = decode(&bytes[..bytes.len() / 2], &Limits::default());
        // Plain text may end anywhere in a number.
        assert!(cut.is_err(), "{name}");
    }
}

#[test]
fn dds_of_other_kinds() {
    let options = Limits::default();
    let whole = file("dxt5.dds");
    let with = |at: usize, number: u32| {
        let mut other = whole.clone();
        other[at..at + 4].copy_from_slice(&number.to_le_bytes());
        decode(&other, &options)
    };
    for (at, number, kind, message) in [
        (4, 100, ErrorKind::InvalidImage, "its header has 100 bytes"),
        (80, 0, ErrorKind::Unsupported, "pixels of the kind 0x0"),
        (84, u32::from_le_bytes(*b"DXT2"), ErrorKind::Unsupported, "pixels of the kind DXT2"),
        (80, 0x2_0000, ErrorKind::Unsupported, "grey of 32 bits"),
    ] {
        let e = with(at, number).unwrap_err();
        assert!(e.kind == kind && e.message.contains(message), "{at}: {e}");
    }
    let mut few = file("masks-565.dds");
    few[88] = 7;
    let e = decode(&few, &options).unwrap_err();
    assert!(e.kind == ErrorKind::InvalidImage && e.message.contains("pixels of 7 bits"), "{e}");
    let mut bc7 = file("dxgi-77.dds");
    bc7[128] = 98;
    let e = decode(&bc7, &options).unwrap_err();
    assert_eq!((e.kind, e.message.contains("BC7")), (ErrorKind::Unsupported, true), "{e}");
}

#[test]
fn files_that_are_cut() {
    let accept = ReadOptions { truncated: Truncated::Accept, ..ReadOptions::default() };
    for name in
        ["dxt1.dds", "masks-565.dds", "palette.dds", "grey-alpha.dds", "dxgi-83.dds", "p4.pbm", "p5-16.pgm", "p6.ppm"]
    {
        let whole = file(name);
        let (expected, _) = decode_with(&whole, ReadOptions::default()).unwrap();
        for len in 0..whole.len() {
            let e = decode_with(&whole[..len], ReadOptions::default()).unwrap_err();
            assert_eq!(e.kind, ErrorKind::InvalidImage, "{name} of {len} bytes: {e}");
        }
        // The last row is not whole.
        let (picture, remarks) = decode_with(&whole[..whole.len() - 1], accept).unwrap();
        assert!(remarks.incomplete.is_some() && picture.pixels != expected.pixels, "{name}");
        assert_eq!(picture.pixels[..3 * 19], expected.pixels[..3 * 19], "{name}");
    }
}

#[test]
fn a_colour_space_that_is_not_known() {
    let mut bytes = file("lossless.jp2");
    let at = bytes.windows(4).position(|window| window == b"colr").unwrap() + 7;
    bytes[at..at + 4].copy_from_slice(&15u32.to_be_bytes());
    let e = decode(&bytes, &Limits::default()).unwrap_err();
    assert_eq!(e.kind, ErrorKind::Unsupported, "{e}");
}

/// Rows are read in pieces.
#[test]
fn wide_rows() {
    const WIDTH: usize = 40_001;
    let byte = |i: usize| (i * 37 + i / 251) as u8;
    let data = |len: usize| (0..len).map(byte).collect::<Vec<_>>();
    let stride = WIDTH.div_ceil(8);
    let bits = [format!("P4 {WIDTH} 2\n").as_bytes(), &data(2 * stride)].concat();
    let picture = decode(&bits, &Limits::default()).unwrap();
    for (i, pixel) in picture.pixels.as_chunks::<3>().0.iter().enumerate() {
        let (x, y) = (i % WIDTH, i / WIDTH);
        let is_black = byte(y * stride + x / 8) >> (7 - x % 8) & 1 == 1;
        assert_eq!(*pixel, [if is_black { 0 } else { 255 }; 3], "{x} {y}");
    }
    let colours = [format!("P6 {WIDTH} 2 255\n").as_bytes(), &data(6 * WIDTH)].concat();
    assert_eq!(decode(&colours, &Limits::default()).unwrap().pixels, data(6 * WIDTH));
}
