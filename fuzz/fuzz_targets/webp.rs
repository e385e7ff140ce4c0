//! WebP, lossy and lossless.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pg_clip_fuzz::picture::{check, webp};

fuzz_target!(|bytes: &[u8]| {
    check(&webp(bytes));
});
