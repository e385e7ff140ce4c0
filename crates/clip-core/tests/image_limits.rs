//! Limits hold before anything large is allocated: measured by an allocator that notes the largest request.

#[path = "common/allocator.rs"]
mod allocator;
#[path = "common/images.rs"]
mod images;

use clip_core::ErrorKind::{self, InvalidImage, LimitExceeded, Unsupported};
use clip_core::Result;
use clip_core::image::{Limits, Rgb8, decode};
use images::{case, index, refusal};

/// Decodes, and says how large the largest allocation was.
fn measured(bytes: &[u8], limits: &Limits) -> (Result<Rgb8>, usize) {
    let (result, memory) = allocator::measured(|| decode(bytes, limits));
    (result, memory.largest)
}

/// Refused, and without allocating more than the file's length and a little.
fn refused_early(what: &str, bytes: &[u8], kinds: &[ErrorKind]) {
    let (result, largest) = measured(bytes, &Limits::default());
    let kind = refusal(what, result);
    assert!(kinds.contains(&kind), "{what}: {kind:?}");
    assert!(largest <= bytes.len() + (1 << 20), "{what}: allocated {largest} bytes to refuse {}", bytes.len());
}

#[test]
fn every_image_at_its_limits() {
    for case in index().cases {
        let bytes = case.bytes();
        let picture = decode(&bytes, &Limits::default()).unwrap();
        let area = u64::from(picture.width) * u64::from(picture.height);
        let exact = Limits { max_bytes: bytes.len(), max_pixels: area };
        assert!(decode(&bytes, &exact).unwrap() == picture, "{}", case.file);
        let pixels = Limits { max_pixels: area - 1, ..exact };
        let (result, largest) = measured(&bytes, &pixels);
        assert_eq!(refusal(&case.file, result), LimitExceeded, "{}", case.file);
        assert!(largest <= bytes.len() + (1 << 20), "{}: allocated {largest} bytes", case.file);
        let (result, largest) = measured(&bytes, &Limits { max_bytes: bytes.len() - 1, ..exact });
        assert_eq!(refusal(&case.file, result), LimitExceeded, "{}", case.file);
        assert!(largest <= 4096, "{}: allocated {largest} bytes", case.file);
    }
}

fn crc32(bytes: &[u8]) -> u32 {
    let bit = |c: u32| if c & 1 == 1 { c >> 1 ^ 0xedb8_8320 } else { c >> 1 };
    !bytes.iter().fold(!0, |crc, b| (0..8).fold(crc ^ u32::from(*b), |c, _| bit(c)))
}

/// A PNG with another size in its header, and a checksum that agrees.
fn resized_png(mut png: Vec<u8>, width: u32, height: u32) -> Vec<u8> {
    png[16..20].copy_from_slice(&width.to_be_bytes());
    png[20..24].copy_from_slice(&height.to_be_bytes());
    let crc = crc32(&png[12..29]);
    png[29..33].copy_from_slice(&crc.to_be_bytes());
    png
}

#[test]
fn huge_png() {
    let small = case("rgb_8.png").bytes();
    refused_early("30000 x 30000", &resized_png(small.clone(), 30_000, 30_000), &[LimitExceeded]);
    refused_early("largest", &resized_png(small.clone(), i32::MAX as u32, i32::MAX as u32), &[LimitExceeded]);
    refused_early("no width", &resized_png(small.clone(), 0, 10), &[InvalidImage]);
    // as large as allowed, but the data are missing: nothing larger than the result may have been allocated
    let (result, largest) = measured(&resized_png(small, 9000, 9000), &Limits::default());
    assert_eq!(refusal("9000 x 9000", result), InvalidImage);
    assert!(largest <= 3 * 9000 * 9000);
}

/// 80 MB of zeros, deflated: whether the header owns up to them or not, they cost no more than the picture.
#[test]
fn png_bomb() {
    let mut bomb = Vec::new();
    let mut encoder = png::Encoder::new(&mut bomb, 25_600, 25_000);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::One);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&vec![0; 3200 * 25_000]).unwrap();
    writer.finish().unwrap();
    refused_early("bomb", &bomb, &[LimitExceeded]);
    let (_, largest) = measured(&resized_png(bomb.clone(), 10, 10), &Limits::default());
    assert!(largest <= bomb.len() + (8 << 20), "allocated {largest} bytes for 10 x 10 pixels");
}

fn patched(file: &str, at: usize, new: &[u8]) -> Vec<u8> {
    let mut bytes = case(file).bytes();
    bytes[at..at + new.len()].copy_from_slice(new);
    bytes
}

#[test]
fn huge_jpeg() {
    for file in ["baseline_420.jpg", "progressive_444.jpg", "cmyk.jpg", "grey.jpg"] {
        let bytes = case(file).bytes();
        let frame = (0..bytes.len()).find(|&i| matches!(bytes[i..], [0xff, 0xc0 | 0xc2, 0, _, 8, ..])).unwrap();
        refused_early(file, &patched(file, frame + 5, &[0xff; 4]), &[LimitExceeded]);
        refused_early(file, &patched(file, frame + 5, &[0; 2]), &[InvalidImage]);
    }
}

#[test]
fn huge_gif() {
    refused_early("screen", &patched("plain.gif", 6, &[0xff; 4]), &[LimitExceeded]);
    let bytes = case("plain.gif").bytes();
    let frame = 13 + 768;
    assert_eq!(bytes[frame], b',');
    refused_early("frame", &patched("plain.gif", frame + 5, &[0xff; 4]), &[LimitExceeded]);
    refused_early("frame far right", &patched("plain.gif", frame + 1, &[0xff; 4]), &[LimitExceeded]);
    refused_early("frame without width", &patched("plain.gif", frame + 5, &[0; 2]), &[InvalidImage]);
}

#[test]
fn huge_bmp() {
    let size = |width: u32, height: u32| [width.to_le_bytes(), height.to_le_bytes()].concat();
    for (width, height) in
        [(65_536, 65_536), (u32::MAX, 1 << 24), (u32::MAX, u32::MAX), (1 << 31, 1 << 31), (1, 1 << 31)]
    {
        refused_early(
            &format!("{width} x {height}"),
            &patched("rgb_24.bmp", 18, &size(width, height)),
            &[LimitExceeded],
        );
    }
    for (width, height) in [(0, 5), (5, 0), (9000, 9000)] {
        refused_early(
            &format!("{width} x {height}"),
            &patched("rgb_24.bmp", 18, &size(width, height)),
            &[InvalidImage],
        );
        // run lengths too: what they claim is not allocated before it is there
        let (result, largest) = measured(&patched("rle_8.bmp", 18, &size(width, height)), &Limits::default());
        assert!(largest <= 4 * 9000 * 9000, "{width} x {height}: allocated {largest} bytes");
        assert!(result.is_err() || width == 9000);
    }
    refused_early("offset", &patched("rgb_24.bmp", 10, &[0xff; 4]), &[InvalidImage]);
    refused_early("header size", &patched("rgb_24.bmp", 14, &[0xff; 4]), &[InvalidImage]);
    refused_early("palette", &patched("palette_8.bmp", 46, &[0xff; 4]), &[InvalidImage]);
    refused_early("bits", &patched("rgb_24.bmp", 28, &[0xff; 2]), &[InvalidImage]);
}

#[test]
fn huge_webp() {
    let extended = case("lossless_alpha.webp").bytes();
    let animated = "animated.webp";
    assert_eq!(&case(animated).bytes()[12..16], b"VP8X");
    refused_early("canvas", &patched(animated, 24, &[0xff; 6]), &[LimitExceeded]);
    // 16384 x 16384, in the 28 bits after the signature
    assert_eq!(&extended[12..16], b"VP8L");
    refused_early("VP8L", &patched("lossless_alpha.webp", 21, &[0xff, 0xff, 0xff, 0x1f]), &[LimitExceeded]);
    assert_eq!(&case("lossy.webp").bytes()[12..16], b"VP8 ");
    refused_early("VP8", &patched("lossy.webp", 26, &[0xff; 4]), &[LimitExceeded]);
    refused_early("container", &patched("lossy.webp", 4, &[0xff; 4]), &[InvalidImage]);
    refused_early("chunk", &patched("lossy.webp", 16, &[0xff; 4]), &[InvalidImage]);
}

/// A little-endian TIFF of the tags alone: number, type (3 is short, 4 long), count, value.
fn tiff(changes: &[(u16, u16, u32, u32)]) -> Vec<u8> {
    let mut tags = vec![
        (256, 4, 1, 16),
        (257, 4, 1, 16),
        (258, 3, 1, 8),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
        (273, 4, 1, 8),
        (277, 3, 1, 1),
        (278, 4, 1, 16),
        (279, 4, 1, 256),
    ];
    for change in changes {
        tags.retain(|t| t.0 != change.0);
        tags.push(*change);
    }
    tags.sort_unstable();
    let mut bytes = b"II\x2a\0\x08\x01\0\0".to_vec();
    bytes.extend(0..=255);
    bytes.extend((tags.len() as u16).to_le_bytes());
    for (tag, kind, count, value) in tags {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(kind.to_le_bytes());
        bytes.extend(count.to_le_bytes());
        bytes.extend(value.to_le_bytes());
    }
    bytes.extend([0; 4]);
    bytes
}

#[test]
fn absurd_tiff() {
    let picture = decode(&tiff(&[]), &Limits::default()).unwrap();
    assert_eq!((picture.width, picture.height, picture.pixels[3 * 17]), (16, 16, 17));
    let refused = [InvalidImage, LimitExceeded, Unsupported];
    for side in [30_000, 1 << 20, i32::MAX as u32] {
        refused_early("size", &tiff(&[(256, 4, 1, side), (257, 4, 1, side), (278, 4, 1, side)]), &[LimitExceeded]);
    }
    refused_early("largest size", &tiff(&[(256, 4, 1, u32::MAX), (257, 4, 1, u32::MAX)]), &refused);
    refused_early("no width", &tiff(&[(256, 4, 1, 0)]), &[InvalidImage]);
    for value in [0xffff_ffff, 0xffff_fff0, 0x8000_0000, 10_000] {
        refused_early("strip offset", &tiff(&[(273, 4, 1, value)]), &refused);
        refused_early("strip offsets", &tiff(&[(273, 4, value, 8)]), &refused);
        refused_early("bits", &tiff(&[(258, 3, value, 8)]), &refused);
        refused_early("samples", &tiff(&[(277, 4, 1, value)]), &refused);
        refused_early(
            "tiles",
            &tiff(&[(259, 3, 1, 5), (322, 4, 1, value), (323, 4, 1, value), (324, 4, 1, 8), (325, 4, 1, 256)]),
            &refused,
        );
        refused_early("one tile of many", &tiff(&[(256, 4, 1, 9000), (322, 4, 1, 16), (323, 4, 1, value)]), &refused);
    }
    refused_early("rows per strip", &tiff(&[(278, 4, 1, 1)]), &refused);
    refused_early("no rows per strip", &tiff(&[(278, 4, 1, 0)]), &refused);
    for at in [0, 4, 7, 263, 10_000, u32::MAX] {
        let mut bytes = tiff(&[]);
        bytes[4..8].copy_from_slice(&at.to_le_bytes());
        refused_early("directory", &bytes, &refused);
    }
    let mut bytes = tiff(&[]);
    bytes[264..266].copy_from_slice(&[0xff; 2]);
    refused_early("entries", &bytes, &refused);
}
