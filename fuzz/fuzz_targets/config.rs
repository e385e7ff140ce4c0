//! Configuration files of a model that is imported: transformers' two, or open_clip's one.

#![no_main]

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use clip_core::import::inspect;
use libfuzzer_sys::fuzz_target;
use pg_clip_fuzz::folder;
use tempfile::TempDir;

// The weights are another model's: an inspection gets as far as their names.
fuzz_target!(|input: &[u8]| {
    static FOLDERS: OnceLock<[TempDir; 2]> = OnceLock::new();
    let [both, open_clip] = FOLDERS.get_or_init(|| {
        let folders = [folder::small_model(), folder::small_model()];
        for folder in &folders {
            fs::copy(golden_weights(), folder.path().join("model.safetensors")).expect("a copy");
        }
        for file in ["config.json", "preprocessor_config.json"] {
            fs::remove_file(folders[1].path().join(file)).expect("removed");
        }
        folders
    });
    let Some((choice, json)) = input.split_first() else { return };
    let (folder, file) = match choice % 3 {
        0 => (both, "config.json"),
        1 => (both, "preprocessor_config.json"),
        _ => (open_clip, "open_clip_config.json"),
    };
    let path = folder.path().join(file);
    let before = fs::read(&path).ok();
    fs::write(&path, json).expect("written");
    _ = inspect(folder.path());
    if let Some(before) = before {
        fs::write(&path, before).expect("written");
    }
});

fn golden_weights() -> impl AsRef<Path> {
    folder::golden().join("model.safetensors")
}
