//! What samples become, of files that are written here.

mod common;

use common::*;
use tiff_levels::{Error, Unsupported};

#[test]
fn bits_of_either_order() {
    let file = |bits: u64, data: &[u8]| File::new(3, 2, 1, 1).tag(BITS, &[bits]).chunks(&[data]);
    for (bits, data, levels) in [
        (1, [0b1010_0000, 0b0110_0000].as_slice(), [255, 0, 255, 0, 255, 255]),
        (2, &[0b1100_1000, 0b0001_1000], [255, 0, 170, 0, 85, 170]),
        (4, &[0xf0, 0x80, 0x12, 0x30], [255, 0, 136, 17, 34, 51]),
        (8, &[1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6]),
    ] {
        assert_eq!(file(bits, data).grey(), levels, "{bits} bits");
        assert_eq!(file(bits, &turned(data)).tag(FILL_ORDER, &[2]).grey(), levels, "{bits} bits, turned");
        let inverted = levels.map(|level: u8| 255 - level);
        assert_eq!(file(bits, data).tag(COLOURS, &[0]).grey(), inverted, "{bits} bits, white is zero");
        // One literal run of PackBits.
        let packed = [&[data.len() as u8 - 1][..], data].concat();
        let packed = file(bits, &turned(&packed)).tag(COMPRESSION, &[32773]).tag(FILL_ORDER, &[2]);
        assert_eq!(packed.grey(), levels, "{bits} bits, packed and turned");
    }
}

#[test]
fn palettes_of_any_size() {
    // Reds, greens, blues; the high bytes count. Index 2 is not defined.
    let map = [0x0100, 0x02ff, 0x0300, 0x04ff, 0x0500, 0x06ff];
    let file = File::new(3, 1, 3, 1).tag(320, &map).chunks(&[&[0, 1, 2]]);
    assert_eq!(file.decode().unwrap(), [1, 3, 5, 2, 4, 6, 0, 0, 0]);
    let file = File::new(3, 1, 3, 1).tag(320, &map).tag(BITS, &[1]).chunks(&[&[0b0100_0000]]);
    assert_eq!(file.decode().unwrap(), [1, 3, 5, 2, 4, 6, 1, 3, 5]);
    let file = File::new(3, 1, 3, 1).chunks(&[&[0, 1, 2]]);
    assert_eq!(file.decode(), Err(Error::Damaged("no colour map")));
}

#[test]
fn wide_grey_is_clipped() {
    let file = File::new(4, 1, 1, 1).tag(BITS, &[12]).chunks(&[&[0x00, 0x10, 0x02, 0x10, 0x00, 0xff]]);
    assert_eq!(file.grey(), [1, 2, 255, 255]);
    let numbers = |numbers: &[i64], bytes: usize, big: bool| -> Vec<u8> {
        let bytes_of =
            |n: &i64| if big { n.to_be_bytes()[8 - bytes..].to_vec() } else { n.to_le_bytes()[..bytes].to_vec() };
        numbers.iter().flat_map(bytes_of).collect()
    };
    for big_endian in [false, true] {
        for (bits, format, levels) in
            [(16, 1, [7, 255, 255, 255]), (16, 2, [7, 255, 0, 0]), (32, 1, [7, 255, 0, 0]), (32, 2, [7, 255, 0, 0])]
        {
            let data = numbers(&[7, 300, -1, -300], bits as usize / 8, big_endian);
            let mut file = File::new(4, 1, 1, 1).tag(BITS, &[bits]).tag(339, &[format]).chunks(&[&data]);
            file.big_endian = big_endian;
            assert_eq!(file.grey(), levels, "{bits} bits of format {format}, {big_endian}");
        }
        let floats = [-1.0f32, 7.9, 1e9, f32::NAN];
        let data: Vec<u8> =
            floats.iter().flat_map(|f| if big_endian { f.to_be_bytes() } else { f.to_le_bytes() }).collect();
        let mut file = File::new(4, 1, 1, 1).tag(BITS, &[32]).tag(339, &[3]).chunks(&[&data]);
        file.big_endian = big_endian;
        assert_eq!(file.grey(), [0, 7, 255, 0]);
    }
}

#[test]
fn planes_in_strips_and_tiles() {
    for (bytes, big_endian) in [(1, false), (2, false), (2, true)] {
        // A plane of 2 × 3; the low bytes of 16 bits are noise.
        let plane = |first: u8, size: usize| -> Vec<u8> {
            let sample = |i: usize| match (bytes, big_endian) {
                (1, _) => vec![first + i as u8],
                (_, true) => vec![first + i as u8, 0x77],
                (_, false) => vec![0x77, first + i as u8],
            };
            (0..size).flat_map(sample).collect()
        };
        let expected: Vec<u8> = (0..6).flat_map(|i| [10 + i, 20 + i, 30 + i]).collect();
        let new = || {
            let mut file = File::new(2, 3, 2, 3).tag(BITS, &[8 * bytes, 8 * bytes, 8 * bytes]).tag(PLANES, &[2]);
            file.big_endian = big_endian;
            file
        };
        let strips = [plane(10, 6), plane(20, 6), plane(30, 6)];
        let strips: Vec<&[u8]> = strips.iter().map(Vec::as_slice).collect();
        assert_eq!(new().chunks(&strips).decode().unwrap(), expected);
        // The same in tiles of 16 × 2.
        let wide = 16 * bytes as usize;
        let row = 2 * bytes as usize;
        let tiles: Vec<Vec<u8>> = strips
            .iter()
            .flat_map(|plane| {
                let tile = |rows: &[u8]| {
                    let mut tile = vec![0xee; 2 * wide];
                    for (to, from) in tile.chunks_mut(wide).zip(rows.chunks(row)) {
                        to[..row].copy_from_slice(from);
                    }
                    tile
                };
                [tile(&plane[..2 * row]), tile(&plane[2 * row..])]
            })
            .collect();
        let tiles: Vec<&[u8]> = tiles.iter().map(Vec::as_slice).collect();
        let file = new().tag(TILE_WIDTH, &[16]).tag(TILE_HEIGHT, &[2]).chunks(&tiles);
        assert_eq!(file.decode().unwrap(), expected);
    }
}

#[test]
fn alpha_that_was_multiplied_is_divided_away() {
    let pixel = [[50, 100, 200, 128], [50, 100, 200, 0], [50, 100, 200, 255]].concat();
    let file = |kind: u64| File::new(3, 1, 2, 4).tag(338, &[kind]).chunks(&[&pixel]);
    assert_eq!(file(1).decode().unwrap(), [99, 199, 255, 0, 0, 0, 50, 100, 200]);
    assert_eq!(file(2).decode().unwrap(), [50, 100, 200].repeat(3));
    assert_eq!(file(0).decode().unwrap(), [50, 100, 200].repeat(3));
}

#[test]
fn chroma_is_shared_by_a_block() {
    // 3 × 3 in blocks of 2 × 2: four of luma, Cb, Cr.
    let blocks: Vec<u8> = [[1, 2, 3, 4], [5, 0, 6, 0], [7, 8, 0, 0], [9, 0, 0, 0]]
        .iter()
        .flat_map(|luma| luma.iter().map(|y| 10 * y).chain([128, 128]).collect::<Vec<u8>>())
        .collect();
    let file = File::new(3, 3, 6, 3).tag(530, &[2, 2]);
    let expected = [10, 20, 50, 30, 40, 60, 70, 80, 90];
    assert_eq!(file.clone().chunks(&[&blocks]).grey(), expected);
    let packed = [&[blocks.len() as u8 - 1][..], &blocks].concat();
    let packed_file = file.tag(COMPRESSION, &[32773]);
    assert_eq!(packed_file.clone().chunks(&[&packed]).grey(), expected);
    // Red chroma at its end: 1.402 × 127.
    let mut red = packed.clone();
    red[6] = 255;
    let pixels = packed_file.chunks(&[&red]).decode().unwrap();
    assert_eq!(pixels[..3], [10 + 178, 0, 10]);
    assert_eq!(pixels[6..9], [50; 3], "the next block has its own");
}

#[test]
fn big_and_little_and_wrong_headers() {
    for (big, big_endian) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut file = File::new(2, 1, 2, 3);
        (file.big, file.big_endian) = (big, big_endian);
        assert_eq!(file.chunks(&[&[1, 2, 3, 4, 5, 6]]).decode().unwrap(), [1, 2, 3, 4, 5, 6]);
    }
    let mut bytes = File::new(2, 1, 2, 3).chunks(&[&[1, 2, 3, 4, 5, 6]]).build();
    bytes[2..4].swap(0, 1);
    assert_eq!(decode(&bytes).unwrap(), [1, 2, 3, 4, 5, 6]);
    bytes[2] = 1;
    assert_eq!(decode(&bytes), Err(Error::NotTiff));
}

#[test]
fn what_is_not_read_is_named() {
    let grey = File::new(1, 1, 1, 1).chunks(&[&[0; 64]]);
    let rgb = File::new(1, 1, 2, 3).chunks(&[&[0; 64]]);
    for (file, message) in [
        (grey.clone().tag(COMPRESSION, &[50001]), "compression 50001 (WebP)"),
        (grey.clone().tag(COMPRESSION, &[12345]), "compression 12345"),
        (grey.clone().tag(COLOURS, &[32803]), "colours 32803 (colour filter array)"),
        (grey.clone().tag(BITS, &[10]), "10 bits per sample of grey"),
        (grey.clone().tag(BITS, &[64]).tag(339, &[3]), "64 bits per sample of grey"),
        (grey.clone().tag(BITS, &[32]).tag(COLOURS, &[0]), "more than 8 bits per sample where white is zero"),
        (grey.clone().tag(COMPRESSION, &[5]).tag(317, &[4]), "predictor 4 of 8 bits per sample"),
        (rgb.clone().tag(BITS, &[32, 32, 32]).tag(339, &[3, 3, 3]), "floating-point samples of RGB"),
        (rgb.clone().tag(BITS, &[8, 8, 4]), "samples of different kinds in a pixel"),
        (rgb.clone().tag(SAMPLES, &[2]), "2 samples per pixel of RGB"),
        (rgb.clone().tag(COLOURS, &[6]).tag(530, &[3, 1]), "chroma subsampling of 3 x 1"),
    ] {
        match file.decode() {
            Err(Error::Unsupported(what)) => assert_eq!(what.to_string(), message),
            other => panic!("{message}: {other:?}"),
        }
    }
    let planes = rgb.tag(COLOURS, &[6]).tag(PLANES, &[2]).tag(COMPRESSION, &[8]);
    assert_eq!(planes.decode(), Err(Error::Unsupported(Unsupported::SubsampledPlanes)));
}
