//! GIF.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pg_clip_fuzz::picture::{beginning_with, check};

fuzz_target!(|bytes: &[u8]| {
    check(&beginning_with(bytes, &[b"GIF89a", b"GIF87a"]));
});
