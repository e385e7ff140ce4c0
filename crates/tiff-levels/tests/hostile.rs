//! Files that lie about themselves: an error, no panic, and no more memory or work than the picture is worth.

mod common;

use std::cell::Cell;
use std::io::Write;

use common::*;
use flate2::{Compression, write::ZlibEncoder};
use tiff_levels::{Decoder, Env, Error};

fn deflated(data: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

/// One file of each way through the decoder.
fn files() -> Vec<(&'static str, File)> {
    let noise: Vec<u8> = (0..3000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let grey = || File::new(20, 30, 1, 1);
    let rgb = || File::new(20, 30, 2, 3);
    let fax = || File::new(20, 30, 0, 1).tag(BITS, &[1]).chunks(&[&noise[..100]]);
    let lzw = weezl::encode::Encoder::with_tiff_size_switch(weezl::BitOrder::Msb, 8).encode(&noise).unwrap();
    let packed: Vec<u8> = noise.chunks(100).flat_map(|run| [&[99][..], run].concat()).collect();
    let jpeg = |name: &str| {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../jpeg-levels/tests/golden");
        std::fs::read(folder.join(name).with_extension("jpg")).unwrap()
    };
    let stream = jpeg("00039_pillow_12x19_q75_progressiveFalse_optimizeFalse_L");
    let chroma = jpeg("00053_pillow_58x57_q50_subsampling2_progressiveFalse_optimizeTrue_RGB");
    vec![
        ("raw", grey().chunks(&[&noise[..600]])),
        ("tiles", rgb().tag(TILE_WIDTH, &[16]).tag(TILE_HEIGHT, &[32]).chunks(&[&noise[..1536], &noise[..1536]])),
        ("planes", rgb().tag(PLANES, &[2]).chunks(&[&noise[..600], &noise[600..1200], &noise[1200..1800]])),
        ("palette", File::new(20, 30, 3, 1).tag(320, &[77; 30]).chunks(&[&noise[..600]])),
        ("lzw", rgb().tag(COMPRESSION, &[5]).tag(317, &[2]).chunks(&[&lzw])),
        ("deflate", rgb().tag(COMPRESSION, &[8]).chunks(&[&deflated(&noise)])),
        ("packbits", rgb().tag(COMPRESSION, &[32773]).chunks(&[&packed])),
        ("fax 2", fax().tag(COMPRESSION, &[2])),
        ("fax 3", fax().tag(COMPRESSION, &[3]).tag(292, &[1])),
        ("fax 4", fax().tag(COMPRESSION, &[4])),
        ("chroma", File::new(20, 30, 6, 3).tag(530, &[2, 2]).chunks(&[&noise[..900]])),
        ("lab", File::new(20, 30, 8, 3).chunks(&[&noise[..1800]])),
        ("jpeg", File::new(12, 19, 1, 1).tag(COMPRESSION, &[7]).chunks(&[&stream])),
        ("old jpeg", File::new(58, 57, 6, 3).tag(COMPRESSION, &[6]).chunks(&[&chroma])),
    ]
}

/// Decodes with no more memory at a time than the header asks for.
fn within_needs(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    within(bytes, false)
}

/// `sum`: all pieces of memory together are no more.
fn within(bytes: &[u8], sum: bool) -> Result<Vec<u8>, Error> {
    let decoder = Decoder::new(bytes)?;
    if decoder.width().saturating_mul(decoder.height()) > 1 << 20 {
        return Err(Error::TooMuch("picture is too large"));
    }
    let needs = decoder.needs(&Env::default())?;
    if needs > 64 << 20 {
        return Err(Error::OutOfMemory(needs));
    }
    let left = Cell::new(needs);
    let zeroed = |len: usize| {
        let rest = left.get().checked_sub(len);
        assert!(rest.is_some(), "{len} bytes of {needs}, {} left", left.get());
        if sum {
            left.set(rest?);
        }
        Some(vec![0; len])
    };
    let looks = Cell::new(0usize);
    let go_on = || {
        looks.set(looks.get() + 1);
        looks.get() < 1_000_000
    };
    let pixels = decoder.decode(&Env { zeroed: &zeroed, go_on: &go_on })?;
    assert_eq!(pixels.len(), 3 * decoder.width() * decoder.height());
    Ok(pixels)
}

#[test]
fn memory_is_what_the_header_tells() {
    for (name, file) in files() {
        let pixels = within(&file.build(), true);
        assert!(pixels.is_ok() || name.starts_with("fax"), "{name}: {pixels:?}");
    }
}

#[test]
fn every_look_can_end_the_work() {
    for (name, file) in files() {
        let bytes = file.build();
        let decoder = Decoder::new(&bytes).unwrap();
        let none = |_: usize| None;
        let refused = decoder.decode(&Env { zeroed: &none, ..Env::default() });
        assert!(matches!(refused, Err(Error::OutOfMemory(_))), "{name}: {refused:?}");
        let count = Cell::new(0);
        let counted = || {
            count.set(count.get() + 1);
            true
        };
        let whole = decoder.decode(&Env { go_on: &counted, ..Env::default() });
        assert!(count.get() > 0, "{name}");
        for last in 0..count.get() {
            let left = Cell::new(last);
            let go_on = || left.replace(left.get() - 1) > 0;
            let stopped = decoder.decode(&Env { go_on: &go_on, ..Env::default() });
            assert!(stopped == Err(Error::Stopped) || whole.is_err(), "{name} after {last} looks");
        }
    }
}

/// Cut off anywhere: an error, or the same picture where what is lost is not needed.
#[test]
fn cut_files() {
    for (name, file) in files() {
        let bytes = file.build();
        // The last bytes are the place of the next directory, which nobody looks at.
        for end in 0..bytes.len() - 8 {
            assert!(within_needs(&bytes[..end]).is_err(), "{name} without its directory");
        }
        let whole = within_needs(&bytes);
        let strip = file.lengths();
        if strip.len() == 1 && !matches!(name, "raw" | "palette" | "chroma" | "lab") {
            for length in 1..strip[0] {
                let cut = within_needs(&file.clone().tag(LENGTHS, &[length]).build());
                assert!(cut.is_err() || cut == whole, "{name} of {length} bytes");
            }
        }
        if name == "raw" {
            let first = (bytes.len() - 599) as u64;
            assert_eq!(within_needs(&file.clone().tag(OFFSETS, &[first]).build()), Err(Error::Truncated));
        }
    }
}

/// Bytes changed at random, most of them in the directory.
#[test]
fn damaged_files() {
    let mut state = 1u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for (_, file) in files() {
        let bytes = file.build();
        for _ in 0..500 {
            let mut other = bytes.clone();
            for _ in 0..1 + random(4) {
                let place =
                    if random(3) > 0 { other.len() - 1 - random(200.min(other.len())) } else { random(other.len()) };
                other[place] = [0, 1, 0xff, 0x7f, 0x80, random(256) as u8][random(6)];
            }
            _ = within_needs(&other);
        }
    }
}

#[test]
fn strips_that_lie_over_each_other() {
    // A million rows of one pixel, whose strips are all the whole file of empty deflate blocks.
    let rows = 1 << 17;
    let mut empty = vec![0x78, 0x01];
    empty.resize(1 << 20, 0);
    for block in empty[2..].chunks_exact_mut(5) {
        block.copy_from_slice(&[0, 0, 0, 0xff, 0xff]);
    }
    let mut file = File::new(1, rows, 1, 1).tag(ROWS, &[1]).tag(COMPRESSION, &[8]);
    let place = file.put(&empty);
    let file = file.tag(OFFSETS, &vec![place; rows as usize]).tag(LENGTHS, &vec![1 << 20; rows as usize]);
    assert_eq!(file.decode(), Err(Error::Truncated), "none has a byte");
    // The same with a byte at the end of each.
    let mut file = File::new(1, rows, 1, 1).tag(ROWS, &[1]).tag(COMPRESSION, &[8]);
    let end = empty.len() - empty.len() % 5 - 8;
    empty.truncate(end - (end - 2) % 5);
    empty.extend([1, 1, 0, 0xfe, 0xff, 7]);
    let place = file.put(&empty);
    let file = file.tag(OFFSETS, &vec![place; rows as usize]).tag(LENGTHS, &vec![empty.len() as u64; rows as usize]);
    assert!(matches!(file.decode(), Err(Error::TooMuch(_))));
}

/// Billions of strips of which one is there: it is looked at once.
#[test]
fn strips_that_are_not_there() {
    let looks = Cell::new(0);
    let go_on = || {
        looks.set(looks.get() + 1);
        true
    };
    for compression in [6, 7] {
        let file = File::new(101, 1, 1, 1).chunks(&[&[9; 24]]).tag(257, &[0xf700_004f]);
        let bytes = file.tag(COMPRESSION, &[compression]).tag(278, &[79]).build();
        let decoder = Decoder::new(&bytes).unwrap();
        assert_eq!(decoder.height(), 0xf700_004f);
        let told = decoder.needs(&Env { go_on: &go_on, ..Env::default() });
        assert!(looks.get() < 100, "{compression}: {told:?} after {} looks", looks.get());
    }
}

#[test]
fn absurd_sizes() {
    let grey = |tags: &[(u16, u64)]| {
        let file = File::new(16, 16, 1, 1).chunks(&[&[1; 256]]);
        tags.iter().fold(file, |file, &(tag, value)| file.tag(tag, &[value])).build()
    };
    assert!(within_needs(&grey(&[])).is_ok());
    for value in [0, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff] {
        for compression in [1, 5, 7, 4] {
            let with = |tags: &[(u16, u64)]| within_needs(&grey(&[tags, &[(COMPRESSION, compression)]].concat()));
            assert!(with(&[(WIDTH, value)]).is_err());
            assert!(with(&[(HEIGHT, value)]).is_err());
            assert!(with(&[(OFFSETS, value)]).is_err() || value == 0);
            assert!(with(&[(SAMPLES, value)]).is_err());
            assert!(
                with(&[(TILE_WIDTH, value), (TILE_HEIGHT, value), (TILE_OFFSETS, 8), (OFFSETS, 8)]).is_err()
                    || compression == 1
            );
        }
    }
    // One row of a tile that is wide, but not absurd.
    let wide = File::new(1, 1, 1, 1).tag(TILE_WIDTH, &[512]).tag(TILE_HEIGHT, &[512]);
    assert_eq!(wide.chunks(&[&[9; 512 * 512]]).grey(), [9]);
}
