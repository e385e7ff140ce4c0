//! HEIC: items, grids and sequences, and the HEVC pictures in them.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pg_clip_fuzz::picture::{beginning_with, check};

fuzz_target!(|bytes: &[u8]| {
    check(&beginning_with(
        bytes,
        &[
            b"\0\0\0\x18ftypheic",
            b"\0\0\0\x14ftypheic",
            b"\0\0\0\x18ftyphevc",
            b"\0\0\0\x18ftypheix",
            b"\0\0\0\x1cftypmsf1",
            b"\0\0\0\x1cftyphevc",
            b"\0\0\0\x1cftyphevx",
        ],
    ));
});
