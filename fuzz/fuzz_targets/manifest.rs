//! `model.json` of an installed model, as it is, and with the checksums and the files that it asks for.

#![no_main]

use std::fs::{self, File};
use std::path::Path;
use std::sync::OnceLock;

use clip_core::installed::{MANIFEST, Manifest, TOKENIZER, fingerprint, parameters};
use clip_core::{Model, ModelDir};
use libfuzzer_sys::fuzz_target;
use pg_clip_fuzz::folder::{self, NAME};
use tempfile::TempDir;

/// Bytes of a file that is made, of zeros.
const MOST: u64 = 64 << 20;

fuzz_target!(|json: &[u8]| {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let root = FOLDER.get_or_init(folder::new).path();
    let folder = root.join(NAME);
    _ = fs::remove_dir_all(&folder);
    fs::create_dir(&folder).expect("a folder");
    open(root, json);
    if let Ok(mut manifest) = serde_json::from_slice::<Manifest>(json)
        && let Some(tokenizer) = manifest.files.get(TOKENIZER)
        && let Ok(expected) = fingerprint(&manifest.spec, &tokenizer.sha256, &manifest.tensors)
    {
        manifest.fingerprint = expected;
        manifest.parameters = parameters(&manifest.spec).unwrap_or(0);
        for (name, entry) in &manifest.files {
            let plain = !name.contains(['/', '\0']) && !name.starts_with('.') && name.len() < 200 && name != MANIFEST;
            if plain && !name.is_empty() && entry.bytes <= MOST {
                File::create(folder.join(name)).and_then(|file| file.set_len(entry.bytes)).expect("a file");
            }
        }
        open(root, &serde_json::to_vec(&manifest).expect("a manifest"));
    }
});

/// A model that opens can be asked everything; its weights are none.
fn open(root: &Path, json: &[u8]) {
    fs::write(root.join(NAME).join(MANIFEST), json).expect("written");
    let Ok(installed) = ModelDir::new(root).open(NAME) else { return };
    _ = (installed.bytes(), installed.has_one_cone(), installed.precisions());
    if let Ok(model) = Model::new(installed, None) {
        model.load().expect_err("weights of zeros are none");
    }
}
