//! Files that lie, end early, or ask for too much.

use std::cell::Cell;
use std::path::Path;

use avif_levels::{Decoder, Env, Error, Unsupported};

fn golden(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)).unwrap()
}

fn replaced(data: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let at = data.windows(old.len()).position(|window| window == old).unwrap();
    [&data[..at], new, &data[at + old.len()..]].concat()
}

fn size(width: u32, height: u32) -> Vec<u8> {
    [&b"ispe\0\0\0\0"[..], &width.to_be_bytes(), &height.to_be_bytes()].concat()
}

fn decode(bytes: &[u8], env: &Env<'_>) -> Result<Vec<u8>, Error> {
    Decoder::new(bytes)?.decode(env)
}

#[test]
fn every_cut_is_an_error() {
    for name in ["8-420-24x18-full.avif", "grid.avif", "8-420-multiplied.avif"] {
        let whole = golden(name);
        for len in 0..whole.len() {
            assert!(decode(&whole[..len], &Env::default()).is_err(), "{name} of {len} bytes");
        }
    }
}

#[test]
fn a_frame_is_not_larger_than_the_picture() {
    let file = replaced(&golden("8-420-24x18-full.avif"), &size(24, 18), &size(24, 17));
    let taken = Cell::new(0);
    let zeroed = |len: usize| {
        taken.set(len);
        Some(vec![0; len])
    };
    let result = decode(&file, &Env { zeroed: &zeroed, go_on: &|| true });
    assert_eq!(result, Err(Error::Damaged("a frame is larger than the picture")));
    assert_eq!(taken.get(), 0);
}

#[test]
fn a_frame_is_not_smaller_than_the_picture() {
    let file = replaced(&golden("8-420-24x18-full.avif"), &size(24, 18), &size(40_000, 40_000));
    let decoder = Decoder::new(&file).unwrap();
    // The caller holds these against its limits.
    assert_eq!((decoder.width(), decoder.height()), (40_000, 40_000));
    assert!(decoder.needs().unwrap() >= 3 * 40_000 * 40_000);
    assert!(matches!(decoder.decode(&Env::default()), Err(Error::Unsupported(_))));
}

#[test]
fn grids_of_other_tiles() {
    let grid = golden("grid.avif");
    let of =
        |rows: u8, columns: u8| replaced(&grid, &[0, 0, 1, 1, 0, 128, 0, 128], &[0, 0, rows, columns, 0, 128, 0, 128]);
    assert!(decode(&of(1, 1), &Env::default()).is_ok());
    for (rows, columns) in [(0, 1), (255, 255), (0, 3), (3, 0)] {
        assert!(matches!(decode(&of(rows, columns), &Env::default()), Err(Error::Damaged(_))), "{rows} {columns}");
    }
    let sized = |width: u16, height: u16| {
        let new = [&[0, 0, 1, 1][..], &width.to_be_bytes(), &height.to_be_bytes()].concat();
        replaced(&grid, &[0, 0, 1, 1, 0, 128, 0, 128], &new)
    };
    for (width, height) in [(0, 128), (129, 128), (128, 129), (64, 128), (65_535, 65_535)] {
        assert!(matches!(decode(&sized(width, height), &Env::default()), Err(Error::Damaged(_))), "{width} {height}");
    }
}

#[test]
fn a_grid_of_the_same_tile() {
    let mut grid = golden("grid.avif");
    // The item that refers, a count, and four that it refers to.
    let at = grid.windows(4).position(|window| window == b"dimg").unwrap() + 8;
    grid.copy_within(at + 4..at + 6, at + 6);
    assert_eq!(decode(&grid, &Env::default()), Err(Error::Damaged("a grid has a tile twice")));
}

#[test]
fn tiles_much_larger_than_the_picture() {
    let larger = replaced(&golden("grid-444.avif"), &size(64, 70), &size(64, 40_000));
    assert!(matches!(Decoder::new(&larger), Err(Error::TooMuch(_))));
}

#[test]
fn essential_properties_that_are_unknown() {
    let file = golden("clap.avif");
    assert!(decode(&file, &Env::default()).is_ok());
    let unknown = replaced(&file, b"clap", b"clop");
    assert_eq!(decode(&unknown, &Env::default()), Err(Error::Unsupported(Unsupported::Property(*b"clop"))));
}

#[test]
fn the_caller_ends_it() {
    for name in ["8-420-24x18-full.avif", "grid.avif"] {
        let file = golden(name);
        let asked = Cell::new(0);
        let count = || {
            asked.set(asked.get() + 1);
            true
        };
        decode(&file, &Env { go_on: &count, ..Env::default() }).unwrap();
        for stop in 0..asked.get() {
            let asked = Cell::new(0);
            let go_on = || asked.replace(asked.get() + 1) < stop;
            let result = decode(&file, &Env { go_on: &go_on, ..Env::default() });
            assert_eq!(result, Err(Error::Stopped), "{name} at {stop}");
        }
    }
}

#[test]
fn memory_that_is_refused() {
    let zeroed = |_: usize| None;
    for name in ["8-420-24x18-full.avif", "grid.avif"] {
        let result = decode(&golden(name), &Env { zeroed: &zeroed, ..Env::default() });
        assert!(matches!(result, Err(Error::OutOfMemory(_))), "{name}: {result:?}");
    }
}

#[test]
fn headers_again_and_again() {
    let still = golden("8-444-lossless.avif");
    let at = still.windows(4).position(|window| window == b"mdat").unwrap() + 4;
    let (front, data) = still.split_at(at);
    let start = data.iter().position(|&byte| byte == 0x0a).unwrap();
    let unit = &data[start..][..2 + usize::from(data[start + 1])];
    let mut many: Vec<u8> = unit.iter().copied().cycle().take(data.len() / unit.len() * unit.len()).collect();
    assert!(many.len() / unit.len() > 64);
    // Padding that goes to the end.
    many.resize(data.len(), 0x78);
    assert!(matches!(decode(&[front, &many].concat(), &Env::default()), Err(Error::TooMuch(_))));
}
