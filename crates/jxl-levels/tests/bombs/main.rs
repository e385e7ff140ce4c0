//! Files of some hundred bytes that ask for much: written bit by bit, since no encoder makes them. What they take is counted, and no more than
//! what is said.

// the allocator below cannot be written without
#![allow(unsafe_code)]

mod bits;
mod codes;
mod transforms;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use bits::{Bits, PATCHES, SPLINES, header, in_boxes, kept_frame, last_frame};
use jxl_levels::{Decoder, Env, Error, Levels};

thread_local! {
    static NOW: Cell<usize> = const { Cell::new(0) };
    static MOST: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

fn count(more: usize, less: usize) {
    // no thread-local storage any more while the thread ends
    let _ = NOW.try_with(|now| {
        now.set(now.get().wrapping_add(more).wrapping_sub(less));
        MOST.set(MOST.get().max(now.get()));
    });
}

// SAFETY: every call goes to the system's allocator unchanged; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        count(0, layout.size());
        // SAFETY: as above.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What is read of a file, the bytes that it took, and the bytes that were told before.
fn measured(bytes: &[u8]) -> (Result<Levels, Error>, usize, usize) {
    let told = Decoder::new(bytes).unwrap().needs();
    let before = NOW.get();
    MOST.set(before);
    let picture = Decoder::new(bytes).unwrap().decode(&Env::default());
    (picture.map(|picture| picture.levels), MOST.get() - before, told)
}

fn refused(bytes: &[u8], why: &str) {
    let (result, most, _) = measured(bytes);
    assert_eq!(result.map(|_| ()), Err(Error::TooMuch(why.to_owned().leak())));
    assert!(most < 1 << 20, "{why}: {most} bytes");
}

#[test]
fn a_picture_of_zeros() {
    let mut section = Bits::default();
    // Splines: one, without points.
    section.constants(6, None).zeros();
    let bytes = [header(), last_frame(SPLINES, &section)].concat();
    let (picture, most, told) = measured(&bytes);
    assert!(matches!(picture, Ok(Levels::Rgb(levels)) if levels.len() == 3 << 16));
    assert!(most <= told, "{most}, {told} told");
}

/// The parts of its codestream are put together, and its section is copied.
#[test]
fn a_picture_in_parts() {
    let mut section = Bits::default();
    section.constants(6, None).zeros();
    section.0.resize(8 * (12 << 20), false);
    let codestream = [header(), last_frame(SPLINES, &section)].concat();
    let (first, second) = codestream.split_at(1 << 20);
    let parts = [[&[0; 4], first].concat(), [&[0x80, 0, 0, 1], second].concat()];
    let (picture, most, told) = measured(&in_boxes(&[(b"jxlp", &parts[0]), (b"jxlp", &parts[1])]));
    assert!(picture.is_ok(), "{picture:?}");
    assert!(most > 2 * codestream.len(), "{most}");
    assert!(most <= told, "{most}, {told} told");
}

#[test]
fn splines() {
    let mut section = Bits::default();
    section.constants(6, Some((&[2], 32_766)));
    refused(&[header(), last_frame(SPLINES, &section)].concat(), "too many splines");
    // `jxl` would read more of them behind the end of the section.
    let mut section = Bits::default();
    section.constants(6, Some((&[2], 8_000)));
    section.0.truncate(section.0.len() - 8);
    let bytes = [header(), last_frame(SPLINES, &section)].concat();
    for incomplete in [false, true] {
        let decoder = Decoder::new(&bytes).unwrap();
        let picture =
            if incomplete { decoder.decode_incomplete(&Env::default()) } else { decoder.decode(&Env::default()) };
        assert!(matches!(picture, Err(Error::Damaged(_))), "{picture:?}");
    }
    // One of many points.
    let mut section = Bits::default();
    section.constants(6, Some((&[3], 32_766))).put(64, 0);
    let (_, most, told) = measured(&[header(), last_frame(SPLINES, &section)].concat());
    assert!(most <= told, "{most}, {told} told");
}

/// Points, their steps and the width of what is drawn in one number.
#[test]
fn drawn_splines() {
    let of = |number| {
        let mut section = Bits::default();
        section.constants(6, Some((&[3, 4, 5], number))).zeros();
        [header(), last_frame(SPLINES, &section)].concat()
    };
    refused(&of(200), "too many splines");
    for number in [2, 4, 6, 8] {
        let (picture, most, told) = measured(&of(number));
        println!("{number} {most} {told}");
        assert!(picture.is_ok(), "{number}: {picture:?}");
        assert!(most <= told, "{number}: {most}, {told} told");
    }
}

/// The found file: it has more splines than a half of its pixels.
#[test]
fn found_splines() {
    refused(include_bytes!("../damaged/splines.jxl"), "too many splines");
}

#[test]
fn patches() {
    // 180 sources, and one place more of each.
    let mut section = Bits::default();
    section.constants(10, Some((&[0, 7], 180))).zeros();
    let bytes = [header(), kept_frame(256, 0), last_frame(PATCHES, &section)].concat();
    let (picture, most, told) = measured(&bytes);
    assert!(picture.is_ok(), "{picture:?}");
    assert!(most >= 180 * 181 * 100 && most <= told, "{most}, {told} told");
    let mut section = Bits::default();
    section.constants(10, Some((&[0, 7], 300))).put(64, 0);
    refused(&[header(), kept_frame(256, 0), last_frame(PATCHES, &section)].concat(), "too many patches");
}

/// Frames that are larger than the picture, all four kept.
#[test]
fn kept_frames() {
    let mut section = Bits::default();
    section.constants(6, None).zeros();
    let mut bytes = header();
    for slot in [0, 1, 2, 3, 0, 1] {
        bytes.extend(kept_frame(1024, slot));
    }
    bytes.extend(last_frame(SPLINES, &section));
    let (picture, most, told) = measured(&bytes);
    assert!(picture.is_ok(), "{picture:?}");
    let kept = 4 * (12 << 20);
    assert!(most >= kept && most <= told, "{most}, {told} told");
}

/// A few bytes each, and ten milliseconds.
#[test]
fn hundreds_of_frames() {
    let frames = (0..400).flat_map(|_| kept_frame(1024, 0));
    let bytes: Vec<u8> = header().into_iter().chain(frames).collect();
    refused(&bytes, "too many frames before the first that is shown");
}

/// A profile that says it is 256 MB long.
#[test]
fn profile() {
    let mut bits = Bits::default();
    bits.put(16, 0x0aff).put(1, 1).put(5, 31).put(3, 1);
    // Nothing usual: eight bits, no other channels, XYB, and a profile.
    bits.put(1, 0)
        .put(1, 0)
        .put(1, 0)
        .put(2, 0)
        .put(1, 1)
        .put(2, 0)
        .put(1, 1)
        .put(1, 0)
        .put(1, 1)
        .put(2, 0)
        .put(2, 0)
        .put(1, 1);
    // 200 bytes: 17 and more in eight bits.
    bits.put(2, 2).put(8, 200 - 17);
    // Every context in one cluster; a code of 0x00, 0x01, 0x80 and 0xff.
    bits.put(1, 0).put(1, 1).put(2, 0).put(1, 1).put(4, 15).put(1, 1).put(4, 7).put(7, 127);
    bits.put(2, 1).put(2, 3);
    for symbol in [0, 1, 0x80, 0xff] {
        bits.put(8, symbol);
    }
    bits.put(1, 0);
    for code in [1, 1, 1, 1, 2, 0] {
        bits.put(2, code);
    }
    let bytes = [bits.bytes(), vec![0; 128]].concat();
    refused(&bytes, "its colour profile is too long");
}
