//! The image pipeline against Pillow and transformers, picture by picture.

#[path = "common/images.rs"]
mod images;

use std::collections::BTreeMap;

use clip_core::ErrorKind;
use clip_core::image::{Format, Limits, Rgb8, decode, normalize, preprocess, sniff};
use clip_core::spec::ResizeRule;
use images::{Case, index, read, refusal};
use serde::Deserialize;

/// How far a picture is from the reference's, in levels.
struct Difference {
    max: u8,
    /// What 99.9 % of the levels do not exceed.
    p999: u8,
    mean: f64,
}

impl Difference {
    fn of(given: &[u8], expected: &[u8]) -> Self {
        assert_eq!(given.len(), expected.len());
        let mut all: Vec<u8> = given.iter().zip(expected).map(|(a, b)| a.abs_diff(*b)).collect();
        all.sort_unstable();
        let mean = all.iter().map(|&d| f64::from(d)).sum::<f64>() / all.len() as f64;
        Self { max: all[all.len() - 1], p999: all[all.len() * 999 / 1000], mean }
    }
}

fn measure(case: &Case) -> Difference {
    let picture = decode(&case.bytes(), &Limits::default()).unwrap_or_else(|e| panic!("{}: {e}", case.file));
    let square = preprocess(&picture, &case.spec()).unwrap();
    assert_eq!((square.width, square.height), (case.size, case.size), "{}", case.file);
    Difference::of(&square.pixels, &case.expected())
}

/// Measures the cases, prints the worst figures per format and fails with all that `within` refuses.
fn compare(within: impl Fn(&Difference) -> bool) {
    #[derive(Default)]
    struct Group {
        images: usize,
        exact: usize,
        max: u8,
        p999: u8,
        mean: f64,
    }

    let (mut groups, mut failures) = (BTreeMap::<&str, Group>::new(), Vec::new());
    for case in &index().cases {
        let off = measure(case);
        let group = groups.entry(sniff(&case.bytes()).unwrap().name()).or_default();
        group.images += 1;
        group.exact += usize::from(off.max == 0);
        group.max = group.max.max(off.max);
        group.p999 = group.p999.max(off.p999);
        group.mean = group.mean.max(off.mean);
        let figures = format!("max {}, 99.9 % within {}, mean {:.4}", off.max, off.p999, off.mean);
        if off.max > 0 {
            println!("{} ({}): {figures}", case.file, case.note);
        }
        if !within(&off) {
            failures.push(format!("{} ({}): {figures}", case.file, case.note));
        }
    }
    assert!(!groups.is_empty());
    for (format, g) in groups {
        println!(
            "{format}: {} images, {} exact; worst max {}, 99.9 % within {}, mean {:.4}",
            g.images, g.exact, g.max, g.p999, g.mean
        );
    }
    assert!(failures.is_empty(), "too far from the reference:\n{}", failures.join("\n"));
}

#[test]
fn pictures_are_within_one_level() {
    compare(|off| off.max <= 1);
}

#[test]
fn every_format_is_covered() {
    let cases = index().cases;
    assert!(cases.len() >= 24, "{} images", cases.len());
    let formats: Vec<Format> = cases.iter().map(|c| sniff(&c.bytes()).unwrap()).collect();
    // Those of others are with their decoders and in tests of their own: `image_avif.rs`, `image_jxl.rs`, `image_others.rs`.
    let here = ["JPEG", "PNG", "WebP", "GIF", "BMP", "TIFF", "HEIC"];
    for format in Format::all().filter(|format| here.contains(&format.name())) {
        let images = formats.iter().filter(|f| **f == format).count();
        assert!(images >= 8, "{images} images of format {}", format.name());
    }
}

/// The comparison can fail: a picture one pixel off, or with its colours exchanged, is not within the bounds.
#[test]
fn a_wrong_pipeline_would_be_noticed() {
    for file in ["baseline_420.jpg", "rgb_8.png", "lossy.webp"] {
        let case = images::case(file);
        let expected = case.expected();
        let mut shifted = expected.clone();
        shifted.rotate_left(3);
        let swapped: Vec<u8> = expected.as_chunks::<3>().0.iter().flat_map(|&[r, g, b]| [b, g, r]).collect();
        for wrong in [shifted, swapped] {
            let off = Difference::of(&wrong, &expected);
            assert!(off.mean > 0.5 && off.p999 > 4 && off.max > 1, "{file}: mean {:.3}", off.mean);
        }
    }
}

/// What Pillow reads and this does not is refused by name, with advice.
#[test]
fn other_formats_are_refused_by_name() {
    let refused = index().refused;
    assert!(!refused.is_empty());
    for image in refused {
        let result = decode(&read(&image.file), &Limits::default());
        assert_eq!(refusal(&image.note, result), ErrorKind::Unsupported, "{}", image.note);
    }
}

#[test]
fn normalisation_is_the_references() {
    #[derive(Deserialize)]
    struct Golden {
        rescale: f64,
        mean: [f32; 3],
        std: [f32; 3],
        channels: [Vec<f32>; 3],
    }

    let goldens: Vec<Golden> = serde_json::from_slice(&read("normalize.json")).unwrap();
    assert!(goldens.len() >= 2);
    for golden in goldens {
        let levels = Rgb8 { width: 16, height: 16, pixels: (0..=255).flat_map(|level| [level; 3]).collect() };
        let mut spec = images::spec(ResizeRule::ShortestEdge(16), 16);
        (spec.rescale, spec.mean, spec.std) = (golden.rescale, golden.mean, golden.std);
        let mut values = vec![f32::NAN; 3 * 256];
        normalize(&levels, &spec, &mut values);
        for (channel, expected) in values.chunks_exact(256).zip(&golden.channels) {
            assert_eq!(expected.len(), 256);
            for (level, (given, expected)) in channel.iter().zip(expected).enumerate() {
                assert!((given - expected).abs() <= 1e-6, "level {level}: {given}, not {expected}");
            }
        }
    }
}
