//! Fax, of codes that are written out here.

mod common;

use common::*;
use tiff_levels::Error;

const W: u8 = 255;
const B: u8 = 0;
const EOL: &str = "000000000001";
/// Four white pixels and four black ones.
const HALVES: &str = "1011 011";
const ROWS_OF_HALVES: [u8; 16] = [W, W, W, W, B, B, B, B, W, W, W, W, B, B, B, B];

fn fax(compression: u64, height: u64, data: &[u8]) -> File {
    File::new(8, height, 0, 1).tag(BITS, &[1]).tag(COMPRESSION, &[compression]).chunks(&[data])
}

#[test]
fn modified_huffman() {
    // Rows that are shorter than a code and end the data are misread by libtiff, and here: so there is more.
    let data = [bits(HALVES), bits(HALVES), vec![0; 2]].concat();
    assert_eq!(fax(2, 2, &data).grey(), ROWS_OF_HALVES);
    assert_eq!(fax(2, 2, &turned(&data)).tag(FILL_ORDER, &[2]).grey(), ROWS_OF_HALVES);
    assert_eq!(fax(32771, 1, &bits(HALVES)).grey(), ROWS_OF_HALVES[..8]);
    // 64 + 8 white ones, and 8 black ones, of a row of 80.
    let file = fax(2, 1, &bits("11011 10011 000101")).tag(WIDTH, &[80]);
    assert_eq!(file.grey(), [vec![W; 72], vec![B; 8]].concat());
    assert_eq!(fax(2, 4, &bits(&HALVES.repeat(2))).decode(), Err(Error::Truncated));
}

#[test]
fn group_3() {
    let data = bits(&format!("{EOL} {HALVES} {EOL} {HALVES} {EOL}"));
    assert_eq!(fax(3, 2, &data).grey(), ROWS_OF_HALVES);
    // Zeros before the code fill up a byte.
    let data = bits(&format!("{EOL} {HALVES} 00000 {EOL} {HALVES}"));
    assert_eq!(fax(3, 2, &data).tag(292, &[4]).grey(), ROWS_OF_HALVES);
    // Without any, as some write it.
    assert_eq!(fax(3, 2, &bits(&format!("{HALVES} {HALVES} 0"))).grey(), ROWS_OF_HALVES);
    // One row by itself, one by its differences to it: none.
    let data = bits(&format!("{EOL} 1 {HALVES} {EOL} 0 1 1 {EOL}"));
    assert_eq!(fax(3, 2, &data).tag(292, &[1]).grey(), ROWS_OF_HALVES);
    // Rows may be left out below two ends of a line.
    let data = bits(&format!("{EOL} {HALVES} {EOL} {HALVES} {EOL} {EOL} {EOL}"));
    assert_eq!(fax(3, 3, &data).grey(), [&ROWS_OF_HALVES[..], &[W; 8]].concat());
    let data = bits(&format!("{EOL} {HALVES} {EOL} {HALVES}"));
    assert_eq!(fax(3, 30, &data).decode(), Err(Error::Truncated));
}

#[test]
fn group_4() {
    // Horizontal, then the same again; one pixel to the right; to the left; all white, by the two changes that are passed.
    let rows = format!("001 {HALVES} 1 1 011 1 010 1 0001");
    let expected =
        [ROWS_OF_HALVES.to_vec(), vec![W, W, W, W, W, B, B, B], vec![W, W, W, W, B, B, B, B], vec![W; 8]].concat();
    let ended = bits(&format!("{rows} {EOL} {EOL}"));
    assert_eq!(fax(4, 5, &ended).grey(), expected);
    assert_eq!(fax(4, 5, &turned(&ended)).tag(FILL_ORDER, &[2]).grey(), expected);
    // White rows may be left out at the end of the block, but not cut off.
    assert_eq!(fax(4, 6, &ended).grey(), [expected.clone(), vec![W; 8]].concat());
    assert_eq!(fax(4, 60, &bits(&rows)).decode(), Err(Error::Truncated));
    // White is zero or is not.
    let inverted: Vec<u8> = expected.iter().map(|level| 255 - level).collect();
    assert_eq!(fax(4, 5, &ended).tag(COLOURS, &[1]).grey(), inverted);
}

/// As libtiff has it.
#[test]
fn a_bad_line_is_white_from_there() {
    assert_eq!(fax(2, 1, &bits("1011 00000000111")).grey(), [W; 8]);
    // A run of seven where five are left is none.
    assert_eq!(fax(2, 1, &bits("1000 00011 0000")).grey(), [W; 8]);
}

#[test]
fn only_bits_are_faxed() {
    let file = fax(4, 1, &[0]).tag(BITS, &[8]);
    assert!(matches!(file.decode(), Err(Error::Unsupported(_))));
}
