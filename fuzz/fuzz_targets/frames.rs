//! Frames of animations: GIF, APNG, WebP, and sequences of HEIC.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pg_clip_fuzz::picture::{check_frames, png, webp};

fuzz_target!(|bytes: &[u8]| {
    let bytes = match bytes.first() {
        Some(b'G') => bytes.to_vec(),
        Some(b'R') => webp(bytes),
        Some(0) => bytes.to_vec(),
        _ => png(bytes),
    };
    check_frames(&bytes);
});
