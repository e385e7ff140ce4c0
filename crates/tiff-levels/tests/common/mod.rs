//! Writes TIFF files: tags as they are given, and data in front of them.
#![allow(dead_code)] // no test needs all of it

use tiff_levels::{Decoder, Env, Result};

pub const WIDTH: u16 = 256;
pub const HEIGHT: u16 = 257;
pub const BITS: u16 = 258;
pub const COMPRESSION: u16 = 259;
pub const COLOURS: u16 = 262;
pub const FILL_ORDER: u16 = 266;
pub const OFFSETS: u16 = 273;
pub const SAMPLES: u16 = 277;
pub const ROWS: u16 = 278;
pub const LENGTHS: u16 = 279;
pub const PLANES: u16 = 284;
pub const TILE_WIDTH: u16 = 322;
pub const TILE_HEIGHT: u16 = 323;
pub const TILE_OFFSETS: u16 = 324;
pub const TILE_LENGTHS: u16 = 325;

#[derive(Clone)]
pub struct File {
    pub big_endian: bool,
    pub big: bool,
    tags: Vec<(u16, Vec<u64>)>,
    bytes: Vec<(u16, Vec<u8>)>,
    /// Begins where the header ends.
    data: Vec<u8>,
}

impl File {
    /// Of one strip, not compressed, whose samples are bytes.
    pub fn new(width: u64, height: u64, colours: u64, samples: u64) -> Self {
        let tags = vec![
            (WIDTH, vec![width]),
            (HEIGHT, vec![height]),
            (BITS, vec![8; samples as usize]),
            (COLOURS, vec![colours]),
            (SAMPLES, vec![samples]),
        ];
        Self { big_endian: false, big: false, tags, bytes: Vec::new(), data: Vec::new() }
    }

    pub fn tag(mut self, tag: u16, values: &[u64]) -> Self {
        self.tags.retain(|(other, _)| *other != tag);
        self.tags.push((tag, values.to_vec()));
        self
    }

    /// A tag whose type is UNDEFINED.
    pub fn bytes(mut self, tag: u16, bytes: &[u8]) -> Self {
        self.bytes.push((tag, bytes.to_vec()));
        self
    }

    pub fn head(&self) -> usize {
        if self.big { 16 } else { 8 }
    }

    /// Strips, or tiles where there is a tile's width.
    pub fn chunks(mut self, chunks: &[&[u8]]) -> Self {
        let mut places = Vec::new();
        for chunk in chunks {
            places.push((self.head() + self.data.len()) as u64);
            self.data.extend_from_slice(chunk);
        }
        let lengths: Vec<u64> = chunks.iter().map(|chunk| chunk.len() as u64).collect();
        let tiled = self.tags.iter().any(|(tag, _)| *tag == TILE_WIDTH);
        let (offsets, counts) = if tiled { (TILE_OFFSETS, TILE_LENGTHS) } else { (OFFSETS, LENGTHS) };
        self.tag(offsets, &places).tag(counts, &lengths)
    }

    /// More data, and where they begin.
    pub fn put(&mut self, data: &[u8]) -> u64 {
        let place = self.head() + self.data.len();
        self.data.extend_from_slice(data);
        place as u64
    }

    pub fn lengths(&self) -> Vec<u64> {
        let tag = self.tags.iter().find(|(tag, _)| matches!(*tag, LENGTHS | TILE_LENGTHS));
        tag.map_or(Vec::new(), |(_, lengths)| lengths.clone())
    }

    fn number(&self, value: u64, bytes: usize) -> Vec<u8> {
        if self.big_endian { value.to_be_bytes()[8 - bytes..].to_vec() } else { value.to_le_bytes()[..bytes].to_vec() }
    }

    pub fn build(&self) -> Vec<u8> {
        let mut body = self.data.clone();
        let (wide, count) = if self.big { (8, 8) } else { (4, 2) };
        let mut entries: Vec<(u16, u64, u64, Vec<u8>)> = Vec::new();
        for (tag, values) in &self.tags {
            // LONG.
            let value = values.iter().flat_map(|&value| self.number(value, 4)).collect();
            entries.push((*tag, 4, values.len() as u64, value));
        }
        for (tag, bytes) in &self.bytes {
            entries.push((*tag, 7, bytes.len() as u64, bytes.clone()));
        }
        entries.sort();
        let mut directory = self.number(entries.len() as u64, count);
        for (tag, kind, values, mut value) in entries {
            if value.len() > wide {
                let place = self.head() + body.len();
                body.extend(value);
                value = self.number(place as u64, wide);
            }
            value.resize(wide, 0);
            directory.extend(self.number(tag.into(), 2));
            directory.extend(self.number(kind, 2));
            directory.extend(self.number(values, wide));
            directory.extend(value);
        }
        let mut out = if self.big_endian { b"MM".to_vec() } else { b"II".to_vec() };
        out.extend(self.number(if self.big { 43 } else { 42 }, 2));
        if self.big {
            out.extend(self.number(8, 2));
            out.extend([0; 2]);
        }
        out.extend(self.number((self.head() + body.len()) as u64, wide));
        out.extend(body);
        out.extend(directory);
        out.extend([0; 8]);
        out
    }

    pub fn decode(&self) -> Result<Vec<u8>> {
        decode(&self.build())
    }

    /// Of a grey picture, one level a pixel.
    #[track_caller]
    pub fn grey(&self) -> Vec<u8> {
        let pixels = self.decode().unwrap();
        assert!(pixels.as_chunks::<3>().0.iter().all(|[r, g, b]| r == g && g == b), "not grey");
        pixels.as_chunks::<3>().0.iter().map(|pixel| pixel[0]).collect()
    }
}

pub fn decode(bytes: &[u8]) -> Result<Vec<u8>> {
    Decoder::new(bytes)?.decode(&Env::default())
}

/// Bits as text, blanks aside, filled up with zeros.
pub fn bits(text: &str) -> Vec<u8> {
    let bits: Vec<u8> = text.bytes().filter(|b| *b != b' ').map(|b| b - b'0').collect();
    bits.chunks(8).map(|byte| byte.iter().enumerate().fold(0, |sum, (i, bit)| sum | bit << (7 - i))).collect()
}

pub fn turned(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().map(|byte| byte.reverse_bits()).collect()
}
