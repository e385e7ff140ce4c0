//! AVIF: the container, the AV1 decoder and the conversion.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pg_clip_fuzz::picture::{beginning_with, check};

fuzz_target!(|bytes: &[u8]| {
    check(&beginning_with(bytes, &[b"\0\0\0\x1cftypavif", b"\0\0\0\x20ftypavif", b"\0\0\0\x1cftypavis", b"\0\0\0\x1cftypmif1"]));
});
