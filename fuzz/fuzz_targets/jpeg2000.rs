//! JPEG 2000: a codestream alone, and one in boxes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pg_clip_fuzz::picture::{beginning_with, check};

fuzz_target!(|bytes: &[u8]| {
    check(&beginning_with(bytes, &[b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  \r\n\x87\n"]));
});
