//! Damaged and hostile images: an error or the whole picture, never a part of one, never a panic.

#[path = "common/images.rs"]
mod images;

use clip_core::ErrorKind;
use clip_core::image::{Limits, Rgb8, decode, preprocess, sniff};
use clip_core::spec::ResizeRule;
use images::{Case, Noise, index, refusal, spec};

/// Larger than every golden image but the huge ones; keeps a mutated size from costing time.
const LIMITS: Limits = Limits { max_bytes: 64 << 20, max_pixels: 2_000_000 };

/// Lengths to cut a file at: all near its ends, where the structure is, and some between.
fn cuts(len: usize, huge: bool) -> Vec<usize> {
    let (ends, between) = if huge { (2, 4) } else { (48, 48) };
    let mut noise = Noise(len as u64 + 1);
    let mut cuts: Vec<usize> = (0..len).filter(|at| *at < ends || *at + ends >= len).collect();
    cuts.extend((0..between).map(|_| noise.below(len)));
    cuts.sort_unstable();
    cuts.dedup();
    cuts
}

#[test]
fn a_cut_image_is_an_error_or_whole() {
    let mut whole = 0;
    let cases = index().cases;
    for case in &cases {
        let bytes = case.bytes();
        let picture = decode(&bytes, &Limits::default()).unwrap();
        let mut refused = 0;
        for at in cuts(bytes.len(), case.is_huge()) {
            match decode(&bytes[..at], &Limits::default()) {
                Ok(cut) => {
                    assert!(cut == picture, "{} cut at {at} of {}: another picture", case.file, bytes.len());
                    whole += 1;
                }
                Err(e) => {
                    assert_eq!(e.kind, ErrorKind::InvalidImage, "{} cut at {at}: {e}", case.file);
                    refused += 1;
                }
            }
        }
        // what may be missing is what follows the picture: checksums, further frames, trailing bytes
        assert!(refused >= 4, "{}: {refused} of all cuts refused", case.file);
    }
    println!("{} images; {whole} cuts left the whole picture", cases.len());
}

/// A download that was cut and then closed properly looks complete from outside. A progressive one that is cut after its
/// first scan may still be a picture, of less detail; it is in the reference, too.
#[test]
fn a_jpeg_cut_inside_its_scan_is_an_error_even_with_an_end_marker() {
    let cases = index().cases;
    for case in cases.iter().filter(|c| c.file.ends_with(".jpg") && !c.is_huge()) {
        let bytes = case.bytes();
        let picture = decode(&bytes, &LIMITS).unwrap();
        let scans: Vec<usize> = memchr::memmem::find_iter(&bytes, &[0xff, 0xda]).collect();
        let (first, end) = (scans[0] + 14, bytes.len() - 2);
        let inside = (1..40).map(|i| first + (end - first) * i / 40);
        for at in inside.chain(scans[1..].iter().copied()) {
            let mut cut = bytes[..at].to_vec();
            cut.extend([0xff, 0xd9]);
            match decode(&cut, &LIMITS) {
                Ok(cut) => {
                    let off = cut.pixels.iter().zip(&picture.pixels).map(|(a, b)| u64::from(a.abs_diff(*b)));
                    let mean = off.sum::<u64>() as f64 / picture.pixels.len() as f64;
                    let detail = scans.get(1).is_some_and(|second| at >= *second);
                    assert!(mean == 0.0 || detail && mean < 16.0, "{} cut at {at}: off by {mean} levels", case.file);
                }
                Err(e) => assert_eq!(e.kind, ErrorKind::InvalidImage, "{} cut at {at}: {e}", case.file),
            }
        }
    }
}

#[test]
fn what_is_no_image_is_refused() {
    let kind = |what: &str, bytes: &[u8]| refusal(what, decode(bytes, &LIMITS));
    assert_eq!(kind("empty", b""), ErrorKind::InvalidImage);
    assert_eq!(kind("text", b"not an image, and longer than any header is"), ErrorKind::InvalidImage);
    assert_eq!(kind("zeros", &[0; 4096]), ErrorKind::InvalidImage);
    for case in index().cases.iter().filter(|c| !c.is_huge()) {
        let bytes = case.bytes();
        // bare magic numbers, and ones followed by nothing sensible
        for len in [2, 3, 4, 8, 12] {
            assert_eq!(kind(&case.file, &bytes[..len]), ErrorKind::InvalidImage, "{}", case.file);
            let mut zeros = bytes[..len].to_vec();
            zeros.resize(4096, 0);
            kind(&case.file, &zeros);
            zeros[len..].fill(0xff);
            kind(&case.file, &zeros);
        }
        let mut wrong = bytes.clone();
        wrong[0] ^= 0x20;
        assert_eq!(kind(&case.file, &wrong), ErrorKind::InvalidImage, "{}", case.file);
    }
}

/// One seeded way to damage a file.
fn mutate(bytes: &mut Vec<u8>, noise: &mut Noise) {
    let at = noise.below(bytes.len());
    // half of the damage goes where the headers are
    let near = noise.below(bytes.len().min(96));
    match noise.below(7) {
        0 => bytes[at] ^= 1 << noise.below(8),
        1 => bytes[near] ^= 1 << noise.below(8),
        2 => bytes[near] = [0, 1, 0x7f, 0x80, 0xff][noise.below(5)],
        3 => (0..8).for_each(|_| bytes[noise.below(near + 1)] = noise.next() as u8),
        4 => {
            let end = (at + 1 + noise.below(32)).min(bytes.len());
            bytes[at..end].fill([0, 0xff][noise.below(2)]);
        }
        5 => drop(bytes.drain(at..(at + 1 + noise.below(16)).min(bytes.len()))),
        _ => {
            let piece = bytes[at..(at + 1 + noise.below(16)).min(bytes.len())].to_vec();
            bytes.splice(near..near, piece);
        }
    }
}

#[test]
fn mutated_images_are_pictures_or_errors() {
    let (mut pictures, mut errors, mut panics) = (0, 0, 0);
    for (i, case) in index().cases.iter().filter(|c| !c.is_huge()).enumerate() {
        let mut noise = Noise(0x9e37_79b9_7f4a_7c15 ^ i as u64);
        let bytes = case.bytes();
        for round in 0..120 {
            let mut damaged = bytes.clone();
            for _ in 0..1 + noise.below(3) {
                mutate(&mut damaged, &mut noise);
            }
            match decode(&damaged, &LIMITS) {
                Ok(Rgb8 { width, height, pixels }) => {
                    let area = u64::from(width) * u64::from(height);
                    assert!(area > 0 && area <= LIMITS.max_pixels, "{} round {round}", case.file);
                    assert_eq!(pixels.len() as u64, 3 * area, "{} round {round}", case.file);
                    pictures += 1;
                }
                Err(e) => {
                    panics += u32::from(e.message.contains("decoder failed"));
                    refusal(&format!("{} round {round}", case.file), Err(e));
                    errors += 1;
                }
            }
        }
    }
    println!("{pictures} pictures, {errors} errors, of which {panics} were panics of a decoder that decode() caught");
    assert!(pictures > 0 && errors > 0);
}

#[test]
fn any_size_becomes_the_square() {
    let mut noise = Noise(7);
    let mut sizes =
        vec![(1, 1), (1, 2), (2, 1), (1, 9999), (9999, 1), (3, 70_000), (70_000, 3), (224, 224), (223, 225)];
    sizes.extend((0..60).map(|_| (1 + noise.below(400) as u32, 1 + noise.below(400) as u32)));
    for (width, height) in sizes {
        let level = (width + 3 * height) as u8;
        let image = Rgb8 { width, height, pixels: vec![level; 3 * (width * height) as usize] };
        for side in [1, 32, 224] {
            for rule in [ResizeRule::ShortestEdge(side), ResizeRule::Squash(side)] {
                let square = preprocess(&image, &spec(rule, side)).unwrap();
                assert_eq!((square.width, square.height), (side, side), "{width} x {height}");
                // a picture of one colour stays one: the weights of every kernel sum to one
                let all =
                    square.pixels.len() == (3 * side * side) as usize && square.pixels.iter().all(|v| *v == level);
                assert!(all, "{width} x {height} to {side}: level {level} changed");
            }
        }
    }
}

#[test]
fn a_format_is_told_by_its_content() {
    let cases = index().cases;
    for Case { file, .. } in &cases {
        let extension = file.rsplit('.').next().unwrap();
        let name = match extension {
            "jpg" => "JPEG",
            "tif" => "TIFF",
            "webp" => "WebP",
            _ => &extension.to_uppercase(),
        };
        assert_eq!(sniff(&images::read(file)).unwrap().name(), name, "{file}");
    }
}

/// EXIF data longer than a segment are split over several, as Pillow reads them.
#[test]
fn exif_data_are_put_together_again() {
    let whole = images::case("orientation_6.jpg").bytes();
    let at = memchr::memmem::find(&whole, b"Exif\0\0").unwrap() - 4;
    let body = usize::from(u16::from_be_bytes([whole[at + 2], whole[at + 3]])) - 2;
    let data = &whole[at + 10..at + 4 + body];
    let segment = |part: &[u8]| {
        let length = (part.len() + 8) as u16;
        [&[0xff, 0xe1][..], &length.to_be_bytes(), b"Exif\0\0", part].concat()
    };
    let (first, second) = data.split_at(data.len() / 2);
    let split = [&whole[..at], &segment(first), &segment(second), &whole[at + 4 + body..]].concat();
    let picture = decode(&split, &LIMITS).unwrap();
    assert_eq!((picture.width, picture.height), (42, 60));
    assert!(picture == decode(&whole, &LIMITS).unwrap());
}
