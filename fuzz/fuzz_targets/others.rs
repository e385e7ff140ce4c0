//! PNM, TGA, ICO, QOI and DDS.

#![no_main]

use clip_core::image::sniff;
use libfuzzer_sys::fuzz_target;
use pg_clip_fuzz::picture::check;

fuzz_target!(|bytes: &[u8]| {
    let mut bytes = bytes.to_vec();
    // A TGA has no mark that could be put there.
    if sniff(&bytes).is_err() {
        let marks: [&[u8]; 10] =
            [b"P1\n", b"P2\n", b"P3\n", b"P4\n", b"P5\n", b"P6\n", b"Pf\n", b"\0\0\x01\0", b"qoif", b"DDS "];
        let mark = marks[usize::from(bytes.first().copied().unwrap_or(0)) % marks.len()];
        bytes.resize(bytes.len().max(mark.len()), 0);
        bytes[..mark.len()].copy_from_slice(mark);
    }
    check(&bytes);
});
