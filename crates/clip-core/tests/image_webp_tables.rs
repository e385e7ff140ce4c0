//! Lossless WebPs of many groups of codes, written bit by bit, since no encoder makes them.

#[path = "common/allocator.rs"]
mod allocator;
#[path = "common/images.rs"]
mod images;

use allocator::measured;
use clip_core::image::{Limits, decode, estimate_frames, estimate_hash, frames, size};
use images::case;

/// Bits, the lowest of a byte first.
#[derive(Clone, Default)]
struct Bits(Vec<bool>);

impl Bits {
    fn put(&mut self, count: u32, value: u32) -> &mut Self {
        self.0.extend((0..count).map(|i| value >> i & 1 == 1));
        self
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.chunks(8).map(|byte| byte.iter().rev().fold(0, |all, bit| all << 1 | u8::from(*bit))).collect()
    }

    /// A code of one symbol, without bits.
    fn one(&mut self, symbol: u32) -> &mut Self {
        self.put(1, 1).put(1, 0).put(1, 1).put(8, symbol)
    }

    /// The lengths of a code: 1 to 9 and two of 10, whose table has 1024 entries.
    fn large(&mut self) -> &mut Self {
        // Of the lengths' own codes, 1 to 6 take three bits and 7 to 10 take four.
        self.put(1, 0).put(4, 10);
        for length in [0, 0, 0, 3, 3, 3, 3, 3, 0, 3, 4, 4, 4, 4] {
            self.put(3, length);
        }
        // Eleven symbols.
        self.put(1, 1).put(3, 1).put(4, 9);
        for length in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10] {
            match length {
                7.. => {
                    let code: u32 = 0b1100 + length - 7;
                    self.put(4, code.reverse_bits() >> 28)
                }
                _ => {
                    let code: u32 = length - 1;
                    self.put(3, code.reverse_bits() >> 29)
                }
            };
        }
        self
    }

    /// The lengths of a code: 1 for the symbols 0 and 256.
    fn black_and_copy(&mut self) -> &mut Self {
        // The lengths 1 and runs of zeros take a bit each.
        self.put(1, 0).put(4, 0).put(3, 0).put(3, 1).put(3, 0).put(3, 1);
        // Four symbols: between the ones 138 zeros and 117.
        self.put(1, 1).put(3, 0).put(2, 2).put(1, 0).put(1, 1).put(7, 127).put(1, 1).put(7, 106).put(1, 0)
    }

    /// A picture of black, whose last group is all that is used.
    fn picture(&mut self, transforms: &Bits, groups: u32) -> &mut Self {
        self.0.extend(&transforms.0);
        // No more transforms, no cache, groups in blocks of 512.
        self.put(1, 0).put(1, 0).put(1, 1).put(3, 7);
        let last = groups - 1;
        self.put(1, 0).one(last & 255).one(last >> 8).one(0).one(0).one(0);
        for _ in 0..5 * last {
            self.large();
        }
        self.one(0).one(0).one(0).one(255).one(0)
    }
}

/// 1024 x 512 pixels.
const SIZE: (u32, u32) = (1024, 512);

fn lossless(before: &Bits, groups: u32) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.put(8, 0x2f).put(14, SIZE.0 - 1).put(14, SIZE.1 - 1).put(4, 0).picture(before, groups).bytes()
}

fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut chunk = [kind, &(data.len() as u32).to_le_bytes()[..], data].concat();
    chunk.resize(chunk.len().next_multiple_of(2), 0);
    chunk
}

fn file(chunks: &[Vec<u8>]) -> Vec<u8> {
    chunk(b"RIFF", &[&b"WEBP"[..], &chunks.concat()].concat())
}

/// Subtracted green, both kinds of blocks, and a palette.
fn transforms() -> Bits {
    let mut bits = Bits::default();
    bits.put(1, 1).put(2, 2);
    // Predictors 0 and 1 of two blocks of 512: a code of two symbols, without a cache.
    bits.put(1, 1).put(2, 0).put(3, 7).put(1, 0);
    bits.put(1, 1).put(1, 1).put(1, 1).put(8, 0).put(8, 1).one(0).one(0).one(0).one(0).put(2, 0b10);
    // Factors of colours: of one block, and a copy of that. There is a cache of two colours.
    bits.put(1, 1).put(2, 1).put(3, 7).put(1, 1).put(4, 1);
    bits.black_and_copy().one(0).one(0).one(0).one(1).put(2, 0b10);
    // Of 17 colours, all black.
    bits.put(1, 1).put(2, 3).put(8, 16).put(1, 0).one(0).one(0).one(0).one(255).one(0).clone()
}

fn check(bytes: &[u8], tables: usize) {
    let told = estimate_hash(bytes, &Limits::default()).bytes;
    let (picture, memory) = measured(|| decode(bytes, &Limits::default()));
    let picture = picture.unwrap();
    assert_eq!((picture.width, picture.height), SIZE);
    assert!(picture.pixels.iter().all(|level| *level == 0));
    assert!(memory.most > tables, "{} bytes, {tables} of tables", memory.most);
    assert!(memory.most <= told, "{} bytes, {told} told", memory.most);
}

const TABLES: usize = 3_000 * 5 * 4096;

#[test]
fn many_groups() {
    for transforms in [Bits::default(), transforms()] {
        check(&file(&[chunk(b"VP8L", &lossless(&transforms, 3_000))]), TABLES);
    }
    // A table that is in no file is not told.
    let told = |groups| {
        let bytes = file(&[chunk(b"VP8L", &lossless(&Bits::default(), groups))]);
        estimate_hash(&bytes, &Limits::default()).bytes
    };
    assert!(told(2) + TABLES < told(3_000) && told(3_000) < told(2) + 2 * TABLES, "{} {}", told(2), told(3_000));
}

/// Those of the picture, and of the opacity beside a lossy one.
#[test]
fn frames_with_many_groups() {
    let lossy = case("lossy.webp").bytes();
    assert_eq!(&lossy[12..16], b"VP8 ");
    let lossy_size = size(&lossy).unwrap();
    let mut opacity = Bits::default();
    opacity.put(8, 1).picture(&Bits::default(), 3_000);
    let pictures = [
        (SIZE, chunk(b"VP8L", &lossless(&transforms(), 3_000))),
        (lossy_size, [chunk(b"ALPH", &opacity.bytes()), lossy[12..].to_vec()].concat()),
    ];
    for ((width, height), picture) in pictures {
        let size = [width, height].map(|side| (side - 1).to_le_bytes());
        let size: Vec<u8> = size.iter().flat_map(|side| &side[..3]).copied().collect();
        let frame = chunk(b"ANMF", &[&[0; 6][..], &size, &[10, 0, 0, 0], &picture].concat());
        let canvas = chunk(b"VP8X", &[&[2, 0, 0, 0][..], &size].concat());
        let bytes = file(&[canvas, chunk(b"ANIM", &[0; 6]), frame.clone(), frame]);
        let told = estimate_frames(&bytes, &Limits::default()).bytes;
        let (drawn, memory) = measured(|| frames(&bytes, 2, &Limits::default()));
        assert_eq!(drawn.unwrap().len(), 2);
        assert!(memory.most > TABLES, "{}", memory.most);
        assert!(memory.most <= told, "{} bytes, {told} told", memory.most);
    }
}

/// Blocks of four for the largest sides, whose codes take no bits: sixteen million of them are not gone through for each of some
/// thousand frames, nor for each of as many transforms.
#[test]
fn blocks_without_bits() {
    let blocks = |transform: u32| {
        let mut bits = Bits::default();
        bits.put(1, 1).put(2, transform).put(3, 0).put(1, 0);
        bits.one(0).one(0).one(0).one(255).one(0).clone()
    };
    let picture = |transforms: &[u32]| {
        let mut bits = Bits::default();
        bits.put(8, 0x2f).put(14, 16_383).put(14, 16_383).put(4, 0);
        transforms.iter().for_each(|transform| bits.0.extend(blocks(*transform).0));
        bits.put(1, 0).put(1, 0).put(1, 0).one(0).one(0).one(0).one(255).one(0).bytes()
    };
    let limits = Limits { max_pixels: 1 << 28, ..Limits::default() };
    let side = &16_383u32.to_le_bytes()[..3];
    let frame = [&[0; 6], side, side, &[0; 4], &chunk(b"VP8L", &picture(&[0, 1]))[..]].concat();
    let canvas = chunk(b"VP8X", &[&[2, 0, 0, 0], side, side].concat());
    let animation = [canvas, chunk(b"ANIM", &[0; 6]), chunk(b"ANMF", &frame).repeat(20_000)];
    assert!(estimate_frames(&file(&animation), &limits).bytes > 1 << 30);
    let repeated = file(&[chunk(b"VP8L", &picture(&[0; 20_000]))]);
    assert!(estimate_hash(&repeated, &limits).bytes > 1 << 30);
}
