//! JPEGs that are decoded smaller, against Pillow: `golden/make_reduced.py` makes them.

#[path = "common/images.rs"]
mod images;

use std::fs;
use std::path::{Path, PathBuf};

use clip_core::image::{
    Estimate, JpegDecoding, Limits, ReadOptions, Rgb8, estimate, normalize, pixel_values, preprocess,
};
use clip_core::spec::ResizeRule;
use serde::Deserialize;

const SIDE: u32 = 64;

#[derive(Deserialize)]
struct Case {
    name: String,
    width: u32,
    height: u32,
    divisor: u32,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/reduced")
}

fn cases() -> Vec<(Case, Vec<u8>)> {
    let index: Vec<Case> = serde_json::from_slice(&fs::read(folder().join("index.json")).unwrap()).unwrap();
    let file = |case: &Case| fs::read(folder().join(format!("{}.jpg", case.name))).unwrap();
    index.into_iter().map(|case| (file(&case), case)).map(|(file, case)| (case, file)).collect()
}

fn square(name: &str) -> Vec<u8> {
    let file = fs::read(folder().join(name)).unwrap();
    let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
    let mut levels = vec![0; (3 * SIDE * SIDE) as usize];
    reader.next_frame(&mut levels).unwrap();
    levels
}

fn reduced() -> ReadOptions {
    ReadOptions { jpeg: JpegDecoding::Reduced, ..ReadOptions::default() }
}

#[test]
fn squares_are_those_of_pillow() {
    for (case, bytes) in cases() {
        for (resize, name) in [
            (ResizeRule::ShortestEdge(SIDE), format!("{}.png", case.name)),
            (ResizeRule::Squash(SIDE), format!("{}_squashed.png", case.name)),
        ] {
            let spec = images::spec(resize, SIDE);
            let expected = Rgb8 { width: SIDE, height: SIDE, pixels: square(&name) };
            let mut values = vec![0.0; 3 * (SIDE * SIDE) as usize];
            normalize(&preprocess(&expected, &spec).unwrap(), &spec, &mut values);
            assert!(pixel_values(&bytes, reduced(), &spec).unwrap().values == values, "{name}");
        }
    }
}

#[test]
fn it_is_asked_for_and_takes_less_memory() {
    let spec = images::spec(ResizeRule::ShortestEdge(SIDE), SIDE);
    for (case, bytes) in cases() {
        let full = pixel_values(&bytes, &Limits::default(), &spec).unwrap().values;
        let smaller = pixel_values(&bytes, reduced(), &spec).unwrap().values;
        assert_eq!(full == smaller, case.divisor == 1, "{}", case.name);
        let difference = full.iter().zip(&smaller).map(|(a, b)| f64::from((a - b).abs())).sum::<f64>();
        assert!(difference / (full.len() as f64) < 0.05, "{}: {difference}", case.name);

        let taken = |options: ReadOptions| {
            let Estimate { bytes, .. } = estimate(&bytes, options, &spec);
            bytes
        };
        let (all, less) = (taken(ReadOptions::default()), taken(reduced()));
        if case.divisor > 1 {
            let pixels = (3 * case.width * case.height) as usize;
            assert!(less + pixels / 2 < all, "{}: {less} of {all}", case.name);
        }
    }
}

#[test]
fn the_limit_counts_all_pixels() {
    let (case, bytes) = cases().into_iter().find(|(case, _)| case.name == "eighth").unwrap();
    let limits = Limits { max_pixels: u64::from(case.width * case.height) - 1, ..Limits::default() };
    let spec = images::spec(ResizeRule::ShortestEdge(SIDE), SIDE);
    let error = pixel_values(&bytes, ReadOptions { limits, ..reduced() }, &spec).unwrap_err();
    assert_eq!(error.kind, clip_core::ErrorKind::LimitExceeded);
}
