//! Installed weights that were damaged, exchanged or removed: an error, never a crash.

mod common;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use clip_core::import::{Imported, import};
use clip_core::{Compute, Context, ErrorKind, Model, ModelDir, Precision, Result};
use common::*;
use serde_json::Value;
use tempfile::TempDir;

fn installed() -> (TempDir, ModelDir) {
    let dir = TempDir::new().unwrap();
    let models = ModelDir::new(dir.path());
    import(&model_dir("tiny-clip"), &models, "x", None, &|_, _| {}).map(|_| ()).unwrap();
    for entry in fs::read_dir(dir.path().join("x")).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o444, "{}", path.display());
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    }
    (dir, models)
}

fn embed(models: &ModelDir, precision: Precision) -> Result<()> {
    let model = Model::new(models.open("x")?, Some(precision))?;
    let compute = Compute::new(1)?;
    let ctx = Context { compute: &compute, stop: &|| false };
    let size = model.spec().vision.image_size;
    model.embed_pixels(&[vec![0.5; 3 * size * size]], &ctx)?;
    model.embed_texts(&["a cat"], &ctx).map(|_| ())
}

#[test]
fn a_damaged_header_never_crashes() {
    let (dir, models) = installed();
    let mut refused = 0;
    for precision in Precision::ALL {
        embed(&models, precision).unwrap();
        let path = dir.path().join("x").join(precision.file());
        let whole = fs::read(&path).unwrap();
        let header = 8 + u64::from_le_bytes(*whole.first_chunk().unwrap()) as usize;
        for (i, step) in (0..header).zip((1..=255).cycle()) {
            let mut bytes = whole.clone();
            bytes[i] = bytes[i].wrapping_add(step);
            fs::write(&path, &bytes).unwrap();
            if let Err(e) = embed(&models, precision) {
                assert_eq!(e.kind, ErrorKind::Corrupted, "byte {i}: {e}");
                refused += 1;
            }
        }
        fs::write(&path, &whole).unwrap();
        embed(&models, precision).unwrap();
    }
    assert!(refused > 1000, "{refused} damaged headers were refused");
}

#[test]
fn weights_of_another_model_or_precision_are_refused() {
    let (dir, models) = installed();
    let path = |precision: Precision| dir.path().join("x").join(precision.file());
    let whole = fs::read(path(Precision::F32)).unwrap();
    for other in [fs::read(path(Precision::Bf16)).unwrap(), whole[..whole.len() / 2].to_vec(), Vec::new()] {
        fs::write(path(Precision::F32), &other).unwrap();
        assert_eq!(models.open("x").unwrap_err().kind, ErrorKind::Corrupted, "the size gives it away");
        // ... and where the manifest says that size, the header does
        edit_manifest(&dir, |m| m["files"]["weights.f32.safetensors"]["bytes"] = other.len().into());
        let error = embed(&models, Precision::F32).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Corrupted, "{error}");
        edit_manifest(&dir, |m| m["files"]["weights.f32.safetensors"]["bytes"] = whole.len().into());
    }
    fs::remove_file(path(Precision::F32)).unwrap();
    assert_eq!(embed(&models, Precision::F32).unwrap_err().kind, ErrorKind::MissingFile);
}

#[test]
fn a_precision_that_is_not_installed() {
    let (dir, models) = installed();
    edit_manifest(&dir, |m| {
        m["files"].as_object_mut().unwrap().remove("weights.bf16.safetensors");
    });
    let error = embed(&models, Precision::Bf16).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unsupported);
    assert_eq!(error.message, "model \"x\" has no weights in bf16: expected f32, int8");
    assert_ne!(Model::new(models.open("x").unwrap(), None).unwrap().precision(), Precision::Bf16);
}

#[test]
fn int8_of_an_older_version() {
    let (dir, models) = installed();
    let path = |file: &str| dir.path().join("x").join(file);
    fs::rename(path("weights.int8v2.safetensors"), path("weights.int8.safetensors")).unwrap();
    edit_manifest(&dir, |m| {
        let files = m["files"].as_object_mut().unwrap();
        let file = files.remove("weights.int8v2.safetensors").unwrap();
        files.insert("weights.int8.safetensors".into(), file);
    });
    let model = models.open("x").unwrap();
    assert_eq!(model.precisions(), [Precision::F32, Precision::Bf16]);
    assert!(embed(&models, Precision::F32).is_ok() && embed(&models, Precision::Bf16).is_ok());
    let error = embed(&models, Precision::Int8).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unsupported);
    assert!(error.hint.unwrap().contains("older version"));
    // Without being asked for, what there is.
    assert_ne!(Model::new(model, None).unwrap().precision(), Precision::Int8);
    // Imported again it has them.
    let again = import(&model_dir("tiny-clip"), &models, "x", None, &|_, _| {}).unwrap();
    assert!(matches!(again, Imported::New(_)) && embed(&models, Precision::Int8).is_ok());
    assert!(!path("weights.int8.safetensors").exists());
}

#[test]
fn a_model_without_f32() {
    let (dir, models) = installed();
    edit_manifest(&dir, |m| {
        m["files"].as_object_mut().unwrap().remove("weights.f32.safetensors");
    });
    let error = models.open("x").unwrap_err();
    assert_eq!(error.kind, ErrorKind::Corrupted);
    assert_eq!(
        error.message,
        "model \"x\": model.json: does not list \"weights.f32.safetensors\", which every model has"
    );
    assert!(error.hint.unwrap().contains("install it again"));
}

fn edit_manifest(dir: &TempDir, edit: impl FnOnce(&mut Value)) {
    let path = dir.path().join("x/model.json");
    let mut manifest: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    edit(&mut manifest);
    fs::write(&path, manifest.to_string()).unwrap();
}
