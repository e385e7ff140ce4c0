//! Reads the golden images of `tests/golden/images`: see `tests/golden/README.md`.

// each test file compiles this module anew and uses a part of it
#![allow(dead_code)]

use std::fs;
use std::path::{Path, PathBuf};

use clip_core::ErrorKind;
use clip_core::image::Rgb8;
use clip_core::spec::{AlphaRule, Centre, ImageSpec, Orientation, ResizeFilter, ResizeRule};
use serde::Deserialize;

#[derive(Deserialize)]
pub struct Index {
    pub cases: Vec<Case>,
    pub refused: Vec<Refused>,
}

#[derive(Deserialize)]
pub struct Case {
    pub file: String,
    pub expected: String,
    pub size: u32,
    pub resize: Resize,
    pub note: String,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resize {
    ShortestEdge,
    Squash,
}

/// An image that Pillow reads and the decoders here do not.
#[derive(Deserialize)]
pub struct Refused {
    pub file: String,
    pub note: String,
}

impl Case {
    pub fn bytes(&self) -> Vec<u8> {
        read(&self.file)
    }

    pub fn spec(&self) -> ImageSpec {
        let resize = match self.resize {
            Resize::ShortestEdge => ResizeRule::ShortestEdge(self.size),
            Resize::Squash => ResizeRule::Squash(self.size),
        };
        spec(resize, self.size)
    }

    /// The reference's picture. Read by the `png` crate itself, so that no code under test stands between.
    pub fn expected(&self) -> Vec<u8> {
        let bytes = read(&self.expected);
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let info = reader.info();
        assert_eq!((info.width, info.height), (self.size, self.size));
        assert_eq!((info.color_type, info.bit_depth), (png::ColorType::Rgb, png::BitDepth::Eight));
        let mut levels = vec![0; (3 * self.size * self.size) as usize];
        reader.next_frame(&mut levels).unwrap();
        levels
    }

    /// 4000 x 3000 pixels: too slow to decode hundreds of times.
    pub fn is_huge(&self) -> bool {
        self.file.starts_with("huge")
    }
}

pub fn spec(resize: ResizeRule, crop: u32) -> ImageSpec {
    ImageSpec {
        orientation: Orientation::Exif,
        alpha: AlphaRule::Drop,
        resize,
        filter: ResizeFilter::Bicubic,
        crop,
        centre: Centre::Floor,
        rescale: 1.0 / 255.0,
        mean: [0.48145466, 0.4578275, 0.40821073],
        std: [0.26862954, 0.261_302_6, 0.275_777_1],
    }
}

/// Of the formats that are not left out.
pub fn index() -> Index {
    let mut index: Index = serde_json::from_slice(&read("index.json")).unwrap();
    index.cases.retain(|case| cfg!(feature = "heic") || !case.file.ends_with(".heic"));
    index
}

pub fn case(file: &str) -> Case {
    index().cases.into_iter().find(|c| c.file == file).unwrap_or_else(|| panic!("no golden image {file}"))
}

pub fn read(file: &str) -> Vec<u8> {
    let path = dir().join(file);
    fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/images")
}

/// The kind of a refusal; a picture means that the test fails.
pub fn refusal(what: &str, result: clip_core::Result<Rgb8>) -> ErrorKind {
    match result {
        Ok(picture) => panic!("{what}: decoded to {} x {} pixels", picture.width, picture.height),
        Err(e) => {
            let image_error =
                matches!(e.kind, ErrorKind::InvalidImage | ErrorKind::LimitExceeded | ErrorKind::Unsupported);
            assert!(image_error, "{what}: {:?}: {e}", e.kind);
            e.kind
        }
    }
}

/// Reproducible noise; not for statistics.
pub struct Noise(pub u64);

impl Noise {
    /// xorshift64*.
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, n: usize) -> usize {
        ((self.next() >> 32) as usize) % n
    }
}
