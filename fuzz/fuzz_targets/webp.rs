//! WebP, lossy and lossless.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pg_clip_fuzz::picture::check;

fuzz_target!(|bytes: &[u8]| {
    let mut bytes = bytes.to_vec();
    bytes.resize(bytes.len().max(12), 0);
    bytes[..4].copy_from_slice(b"RIFF");
    bytes[8..12].copy_from_slice(b"WEBP");
    check(&bytes);
});
