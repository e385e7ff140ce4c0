//! JPEG XL: a codestream alone, and one in boxes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pg_clip_fuzz::picture::{beginning_with, check};

fuzz_target!(|bytes: &[u8]| {
    check(&beginning_with(bytes, &[b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"]));
});
