//! Files that are not all there, as far as they can be decoded.

mod common;

use common::*;
use tiff_levels::{Decoder, Env, Error, Options, Picture, Unsupported};

fn with_gaps(file: &[u8]) -> Result<Picture, Error> {
    Decoder::new(file)?.decode_with(&Env::default(), Options { gaps: true, ..Options::default() })
}

/// The grey levels of a picture that has gaps.
#[track_caller]
fn levels(file: &[u8]) -> Vec<u8> {
    assert!(decode(file).is_err(), "it is whole");
    let picture = with_gaps(file).unwrap();
    assert!(picture.incomplete);
    picture.pixels.as_chunks::<3>().0.iter().map(|pixel| pixel[0]).collect()
}

#[test]
fn rows_that_are_there_of_a_file_that_ends() {
    let whole = File::new(2, 3, 1, 1).tag(ROWS, &[1]).chunks(&[&[1, 2], &[3, 4], &[5, 6]]);
    let picture = with_gaps(&whole.build()).unwrap();
    assert!(!picture.incomplete);
    assert_eq!(picture.pixels, whole.decode().unwrap());
    let beyond = whole.clone().tag(OFFSETS, &[8, 1 << 20, 12]);
    assert_eq!(levels(&beyond.build()), [1, 2, 0, 0, 5, 6]);
    // One strip that sticks out of the file, as the directory may stand before it.
    let mut file = File::new(1, 400, 1, 1).chunks(&[&[9]]);
    let place = file.put(&[7; 4]);
    let file = file.tag(OFFSETS, &[place]).build();
    let rows = levels(&file);
    assert!(rows.starts_with(&[7, 7, 7, 7]) && rows.ends_with(&[0; 100]), "{rows:?}");
}

#[test]
fn strips_and_tiles_that_can_be_decoded() {
    // Literal runs of PackBits, the second one cut.
    let (first, cut, last): (&[u8], &[u8], &[u8]) = (&[1, 10, 20], &[1, 30], &[1, 50, 60]);
    let packed = File::new(2, 3, 1, 1).tag(ROWS, &[1]).tag(COMPRESSION, &[32773]).chunks(&[first, cut, last]);
    let rows = levels(&packed.build());
    assert_eq!((&rows[..2], &rows[4..]), (&[10, 20][..], &[50, 60][..]));
    assert!(rows[2..4] == [30, 0] || rows[2..4] == [0, 0], "{rows:?}");
    // Of the plane that is missing there is nothing, not the one of the strip before.
    let planes = File::new(1, 2, 2, 3).tag(ROWS, &[1]).tag(PLANES, &[2]).tag(COMPRESSION, &[32773]);
    let runs: Vec<[u8; 2]> = (1..=6).map(|level| [0, level]).collect();
    let runs: Vec<&[u8]> = runs.iter().map(<[u8; 2]>::as_slice).collect();
    let planes = planes.chunks(&runs).tag(OFFSETS, &[8, 10, 12, 14, 16, 1 << 20]);
    assert!(planes.decode().is_err());
    let picture = with_gaps(&planes.build()).unwrap();
    assert!(picture.incomplete);
    assert_eq!(picture.pixels, [1, 3, 5, 2, 4, 0]);
}

#[test]
fn what_is_refused_for_another_reason_stays_so() {
    let file = File::new(2, 2, 1, 1).tag(COMPRESSION, &[34712]).chunks(&[&[1, 2, 3, 4]]).build();
    assert_eq!(with_gaps(&file).unwrap_err(), Error::Unsupported(Unsupported::Compression(34712)));
    let file = File::new(2, 2, 1, 1).chunks(&[&[1, 2, 3, 4]]).build();
    let stopped = Env { go_on: &|| false, ..Env::default() };
    let gaps = Options { gaps: true, ..Options::default() };
    assert_eq!(Decoder::new(&file).unwrap().decode_with(&stopped, gaps).unwrap_err(), Error::Stopped);
}
