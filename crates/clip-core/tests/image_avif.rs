//! AVIF through the engine: the goldens of `avif-levels`, turned upright as Pillow's `ImageOps.exif_transpose` does it.
#![cfg(feature = "avif")]

#[path = "common/allocator.rs"]
mod allocator;

use std::fs;
use std::path::{Path, PathBuf};

use clip_core::ErrorKind;
use clip_core::image::{Format, Limits, decode, estimate, sniff};
use clip_core::spec::{AlphaRule, Centre, ImageSpec, Orientation, ResizeFilter, ResizeRule};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../avif-levels/tests/golden").join(name)
}

const SPEC: ImageSpec = ImageSpec {
    orientation: Orientation::Exif,
    alpha: AlphaRule::Drop,
    resize: ResizeRule::ShortestEdge(32),
    filter: ResizeFilter::Bicubic,
    crop: 32,
    centre: Centre::Floor,
    rescale: 1.0 / 255.0,
    mean: [0.5; 3],
    std: [0.5; 3],
};

/// FNV-1a.
fn hash(bytes: &[u8]) -> String {
    let hash = |h: u64, &b: &u8| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3);
    format!("{:016x}", bytes.iter().fold(0xcbf2_9ce4_8422_2325, hash))
}

#[test]
fn upright_levels_are_those_of_pillow() {
    let table = fs::read_to_string(golden("expected.tsv")).unwrap();
    let mut turned = 0;
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('\t').collect();
        let bytes = fs::read(golden(&format!("{}.avif", fields[0]))).unwrap();
        assert_eq!(sniff(&bytes).unwrap(), Format::Avif, "{}", fields[0]);
        match decode(&bytes, &Limits::default()) {
            Ok(picture) => {
                assert_eq!(hash(&picture.pixels), fields[5], "{}", fields[0]);
                turned += u32::from(fields[3] != "1");
            }
            Err(error) => {
                assert_eq!(error.kind, ErrorKind::Unsupported, "{}: {error}", fields[0]);
                assert!(fields[1] == "refused" || fields[0].starts_with("12-") && fields[0].ends_with("-multiplied"));
            }
        }
    }
    assert!(turned >= 8, "{turned}");
}

#[test]
fn limits_hold() {
    let bytes = fs::read(golden("8-420-24x18-full.avif")).unwrap();
    let limits = |max_bytes, max_pixels| Limits { max_bytes, max_pixels };
    assert!(decode(&bytes, &limits(bytes.len(), 24 * 18)).is_ok());
    for limits in [limits(bytes.len() - 1, 24 * 18), limits(bytes.len(), 24 * 18 - 1)] {
        assert_eq!(decode(&bytes, &limits).unwrap_err().kind, ErrorKind::LimitExceeded);
    }
}

#[test]
fn larger_pictures_without_looks_are_decoded_on_a_thread_of_their_own() {
    let of = |name: &str| estimate(&fs::read(golden(name)).unwrap(), &Limits::default(), &SPEC);
    let (small, large, grain) = (of("grain.avif"), of("../large/flat.avif"), of("../large/grain.avif"));
    assert!(!small.deaf && !large.deaf && grain.deaf, "{small:?} {large:?} {grain:?}");
    assert_eq!(large.what, "AVIF image of 7000 x 6000 pixels");
    let pixels = 7000 * 6000;
    assert!((4 * pixels..8 * pixels).contains(&large.bytes), "{}", large.bytes);
    assert!(grain.bytes > 10 * 900 * 400, "{}", grain.bytes);
}

/// What is told is what is taken at most, and nearly that.
#[test]
fn memory_is_told() {
    // Bytes a pixel by depth and chroma.
    let expected = [("8-400", 4.5), ("8-420", 5.0), ("8-444", 8.0), ("10-420", 6.5), ("10-444", 7.5), ("12-422", 7.5)];
    for (kind, most) in expected {
        let bytes = fs::read(golden(&format!("../large/flat-{kind}.avif"))).unwrap();
        let told = estimate(&bytes, &Limits::default(), &SPEC).bytes;
        let (picture, taken) = allocator::measured(|| decode(&bytes, &Limits::default()).unwrap());
        let each = |bytes: usize| bytes as f64 / (picture.width * picture.height) as f64;
        let what = format!("{kind}: {:.2} bytes a pixel are told, {:.2} taken", each(told), each(taken.most));
        assert!(taken.most <= told && each(taken.most) <= most && told < taken.most + taken.most / 4, "{what}");
    }
}
