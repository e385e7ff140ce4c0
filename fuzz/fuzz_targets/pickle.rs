//! `pytorch_model.bin` of a model that is imported: an archive as it is, or a pickle in an archive that is made around it.

#![no_main]

use std::fs;
use std::sync::OnceLock;

use clip_core::import::inspect;
use libfuzzer_sys::fuzz_target;
use pg_clip_fuzz::{folder, memory};
use tempfile::TempDir;

/// Beside some objects for each byte: configuration, tokenizer, tables.
const SLACK: usize = 4 << 20;
const FACTOR: usize = 256;

fuzz_target!(|input: &[u8]| {
    let Some((choice, input)) = input.split_first() else { return };
    static FOLDERS: OnceLock<(TempDir, TempDir)> = OnceLock::new();
    let (folder, target) = FOLDERS.get_or_init(|| (folder::small_model(), folder::new()));
    let zeros = [0; 1024];
    let archive = if choice % 2 == 0 {
        input.to_vec()
    } else {
        archive(&[("m/data.pkl", input), ("m/byteorder", b"little"), ("m/data/0", &zeros)])
    };
    fs::write(folder.path().join("pytorch_model.bin"), &archive).expect("written");
    let (found, most) = memory::most(|| inspect(folder.path()));
    assert!(most <= SLACK + FACTOR * archive.len(), "{most} bytes of memory for {}", archive.len());
    if found.is_ok() {
        folder::check_import(folder.path(), target.path());
    }
});

/// A ZIP archive of files as they are, without compression.
fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (name, data) in files {
        let at = (bytes.len() as u32).to_le_bytes();
        let crc = crc32fast::hash(data).to_le_bytes();
        let (name_length, length) = ((name.len() as u16).to_le_bytes(), (data.len() as u32).to_le_bytes());
        // Version, flags, method, time, date, checksum, both lengths, of the name, of extra data.
        let common = [&[20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0][..], &crc, &length, &length, &name_length, &[0; 2]].concat();
        bytes.extend([&b"PK\x03\x04"[..], &common, name.as_bytes(), data].concat());
        directory.extend([&b"PK\x01\x02"[..], &[20, 0], &common, &[0; 10], &at, name.as_bytes()].concat());
    }
    let (at, length) = ((bytes.len() as u32).to_le_bytes(), (directory.len() as u32).to_le_bytes());
    let count = (files.len() as u16).to_le_bytes();
    bytes.extend(directory);
    bytes.extend([&b"PK\x05\x06"[..], &[0; 4], &count, &count, &length, &at, &[0; 2]].concat());
    bytes
}
