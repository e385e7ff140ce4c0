//! Raw files of cameras: the JPEG in one is a part of it, and the file itself is no picture.

#![no_main]

use clip_core::ErrorKind::Unsupported;
use clip_core::image::{decode, preview, sniff};
use libfuzzer_sys::fuzz_target;
use pg_clip_fuzz::picture::{check, limits};
use pg_clip_fuzz::{cpu, memory};

/// For places of directories, and what the header of a JPEG takes.
const MOST: usize = 1 << 20;

fuzz_target!(|bytes: &[u8]| {
    let (found, most) = cpu::limited(|| memory::most(|| preview(bytes, &limits())));
    assert!(most <= MOST, "{most} bytes for a file of {}", bytes.len());
    match found {
        Ok(Some(jpeg)) => {
            assert!(bytes.as_ptr_range().contains(&jpeg.as_ptr()) && jpeg.starts_with(b"\xff\xd8\xff"));
            check(jpeg);
        }
        Ok(None) => drop(sniff(bytes).map(|_| check(bytes))),
        Err(e) => assert_eq!(sniff(bytes).map_err(|e| e.kind), Err(e.kind)),
    }
    if let Err(e) = sniff(bytes)
        && e.kind == Unsupported
    {
        assert_eq!(decode(bytes, &limits()).map_err(|e| e.kind), Err(Unsupported));
    }
});
