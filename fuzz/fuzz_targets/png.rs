//! PNG.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pg_clip_fuzz::picture::{check, png};

fuzz_target!(|bytes: &[u8]| {
    check(&png(bytes));
});
