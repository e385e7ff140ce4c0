//! The mapped files of an installed model, whose headers are read in every session: weights and the compact tokenizer.

#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use clip_core::import::import;
use clip_core::installed::MANIFEST;
use clip_core::{Model, ModelDir, Precision};
use libfuzzer_sys::fuzz_target;
use pg_clip_fuzz::folder::{self, NAME};
use serde_json::Value;
use tempfile::TempDir;

const FILES: [&str; 2] = ["weights.f32.safetensors", "tokenizer.safetensors"];

struct Setup {
    root: TempDir,
    manifest: Value,
    /// The files as they were.
    files: [Vec<u8>; 2],
}

impl Setup {
    fn new() -> Self {
        let root = folder::new();
        import(&folder::golden(), &ModelDir::new(root.path()), NAME, None, &|_, _| {}).expect("the golden model");
        let read = |file| fs::read(root.path().join(NAME).join(file)).expect(file);
        let manifest = serde_json::from_slice(&read(MANIFEST)).expect("its manifest");
        Self { files: FILES.map(read), manifest, root }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.root.path().join(NAME).join(file)
    }
}

// The first byte chooses the file; the others are its header, or with its highest bit set a piece that is put over it.
fuzz_target!(|input: &[u8]| {
    let Some((choice, input)) = input.split_first() else { return };
    static SETUP: OnceLock<Setup> = OnceLock::new();
    let setup = SETUP.get_or_init(Setup::new);
    let which = usize::from(choice & 1);
    let mut bytes = setup.files[which].clone();
    if choice & 0x80 == 0 {
        let old = 8 + u64::from_le_bytes(*bytes.first_chunk().expect("a length")) as usize;
        bytes.splice(..old, [&(input.len() as u64).to_le_bytes()[..], input].concat());
    } else if let Some((at, piece)) = input.split_first_chunk::<4>() {
        let at = u32::from_le_bytes(*at) as usize % bytes.len();
        let end = bytes.len().min(at + piece.len());
        bytes[at..end].copy_from_slice(&piece[..end - at]);
    }
    let mut manifest = setup.manifest.clone();
    manifest["files"][FILES[which]]["bytes"] = bytes.len().into();
    let path = setup.path(FILES[which]);
    // A file of its own, as an installation writes it.
    _ = fs::remove_file(&path);
    fs::write(&path, &bytes).expect("written");
    fs::write(setup.path(MANIFEST), manifest.to_string()).expect("written");
    if let Ok(installed) = ModelDir::new(setup.root.path()).open(NAME) {
        let model = Model::new(installed, Some(Precision::F32)).expect("f32 is there");
        _ = model.load();
        if let Ok(tokenizer) = model.tokenizer() {
            for text in ["", "a cat", "It’s é! <|endoftext|>", "\u{1f408}\u{200d}"] {
                _ = tokenizer.encode(text);
            }
        }
    }
    _ = fs::remove_file(&path);
    fs::write(&path, &setup.files[which]).expect("written");
});
