//! `model.safetensors` of a model that is imported: as it is, or a header in front of as many zeros as it asks for.

#![no_main]

use std::fs;
use std::sync::OnceLock;

use clip_core::import::inspect;
use libfuzzer_sys::fuzz_target;
use pg_clip_fuzz::folder;
use safetensors::tensor::Metadata;
use tempfile::TempDir;

const MOST: usize = 1 << 20;

fuzz_target!(|input: &[u8]| {
    let Some((choice, input)) = input.split_first() else { return };
    static FOLDERS: OnceLock<(TempDir, TempDir)> = OnceLock::new();
    let (folder, target) = FOLDERS.get_or_init(|| (folder::small_model(), folder::new()));
    let bytes = if choice % 2 == 0 {
        input.to_vec()
    } else {
        let asked = serde_json::from_slice::<Metadata>(input).map_or(0, |metadata| metadata.data_len());
        [&(input.len() as u64).to_le_bytes()[..], input, &vec![0; asked.min(MOST)]].concat()
    };
    fs::write(folder.path().join("model.safetensors"), bytes).expect("written");
    if let Ok(found) = inspect(folder.path()) {
        assert!(found.parameters > 0);
        folder::check_import(folder.path(), target.path());
    }
});
