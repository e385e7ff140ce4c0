//! Folders of small models.

use std::fs;
use std::path::{Path, PathBuf};

use clip_core::import::import;
use clip_core::{Model, ModelDir};
use tempfile::TempDir;

/// Name of the model that is installed.
pub const NAME: &str = "fuzz";

pub fn new() -> TempDir {
    TempDir::new().expect("a folder for temporary files")
}

/// This package's model without weights: configuration and tokenizer.
pub fn small_model() -> TempDir {
    let folder = new();
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("model");
    for entry in fs::read_dir(model).expect("fuzz/model") {
        let path = entry.expect("fuzz/model").path();
        fs::copy(&path, folder.path().join(path.file_name().expect("a name"))).expect("a copy");
    }
    folder
}

/// A model of clip-core's goldens, whose tokenizer has a compact form.
pub fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/clip-core/tests/golden/models/tiny-clip")
}

/// Imports what lies in a folder. What was imported can be opened and loaded.
pub fn check_import(folder: &Path, target: &Path) {
    let models = ModelDir::new(target);
    if import(folder, &models, NAME, None, &|_, _| {}).is_ok() {
        let installed = models.open(NAME).expect("an imported model opens");
        Model::new(installed, None).and_then(|model| model.load()).expect("an imported model loads");
        fs::remove_dir_all(target.join(NAME)).expect("removed");
    }
}
