//! Models that another version installed: an older format is made anew by an import, a newer one is left alone, and both are
//! named.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clip_core::import::{Imported, import};
use clip_core::{Compute, Context, Embedding, Error, ErrorKind, Installed, Model, ModelDir, Precision, Result};
use common::*;
use serde_json::{Value, json};
use tempfile::TempDir;

fn import_from(models: &ModelDir, source: &str) -> Result<Imported> {
    import(&model_dir(source), models, "x", None, &|_, _| {})
}

fn installed() -> (TempDir, ModelDir) {
    let dir = TempDir::new().unwrap();
    let models = ModelDir::new(dir.path());
    import_from(&models, "tiny-clip").map(|_| ()).unwrap();
    (dir, models)
}

fn vector(installed: Installed) -> Result<Embedding> {
    let model = Model::new(installed, Some(Precision::F32))?;
    let compute = Compute::new(1)?;
    model.embed_texts(&["a cat"], &Context { compute: &compute, stop: &|| false }).map(|mut vectors| vectors.remove(0))
}

/// Files are installed read-only, so that another one takes their place.
fn put(path: &Path, bytes: &[u8]) {
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}

fn edit_manifest(models: &ModelDir, edit: impl FnOnce(&mut Value)) {
    let path = models.root().join("x/model.json");
    let mut manifest: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    edit(&mut manifest);
    put(&path, manifest.to_string().as_bytes());
}

fn content(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let paths = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| if path.is_dir() { content(&path) } else { [(path.clone(), fs::read(&path).unwrap())].into() })
        .collect()
}

fn refused(result: Result<impl Sized>, kind: ErrorKind, says: &str, hint: &str) -> Error {
    let error = result.err().expect("an error");
    assert_eq!(error.kind, kind, "{error}");
    assert!(error.message.contains(says), "\"{error}\" does not say \"{says}\"");
    assert!(error.hint.as_ref().is_some_and(|given| given.contains(hint)), "{:?} does not say \"{hint}\"", error.hint);
    error
}

#[test]
fn an_older_format_is_named_and_made_anew() {
    // as a version before all of them, and one that says nothing
    for old in [json!({"format": 0}), json!({})] {
        let (dir, models) = installed();
        let whole = content(dir.path());
        let expected = vector(models.open("x").unwrap()).unwrap();
        edit_manifest(&models, |manifest| {
            let given = manifest.as_object_mut().unwrap();
            given.remove("format");
            given.extend(old.as_object().unwrap().clone());
            // what an older version knew is not what this one reads
            given.remove("spec");
            given.insert("weights".to_owned(), json!("elsewhere"));
        });
        put(&dir.path().join("x/weights.f32.safetensors"), b"laid out in another way");
        refused(
            models.open("x"),
            ErrorKind::Unsupported,
            "model \"x\": model.json has format 0, this version reads 1",
            "pgclip import",
        );
        assert_eq!(models.names().unwrap(), ["x"]);
        let Imported::New(again) = import_from(&models, "tiny-clip").unwrap() else { panic!("it was there") };
        assert_eq!(vector(again).unwrap(), expected);
        assert_eq!(content(dir.path()), whole, "another directory, or something is left behind");
    }
}

#[test]
fn an_older_format_of_other_content_keeps_its_name() {
    let (dir, models) = installed();
    edit_manifest(&models, |manifest| manifest["format"] = json!(0));
    let before = content(dir.path());
    refused(
        import_from(&models, "tiny-clip-eps"),
        ErrorKind::AlreadyExists,
        "exists with other content",
        "another name",
    );
    assert_eq!(content(dir.path()), before);
}

#[test]
fn a_newer_format_is_left_alone() {
    let (dir, models) = installed();
    edit_manifest(&models, |manifest| manifest["format"] = json!(2));
    let before = content(dir.path());
    refused(models.open("x"), ErrorKind::Unsupported, "format 2, this version reads 1", "Update this one");
    refused(
        import_from(&models, "tiny-clip"),
        ErrorKind::Unsupported,
        "format 2, this version reads 1",
        "Update this one",
    );
    assert_eq!(content(dir.path()), before);
}

#[test]
fn a_manifest_of_nobody_is_damaged() {
    let (_dir, models) = installed();
    for nothing in [json!({}), json!({"format": 1}), json!({"format": "old", "fingerprint": "x"}), json!([])] {
        edit_manifest(&models, |manifest| *manifest = nothing.clone());
        refused(models.open("x"), ErrorKind::Corrupted, "model.json", "install it again");
        refused(import_from(&models, "tiny-clip"), ErrorKind::Corrupted, "model.json", "install it again");
    }
}

/// The header of a weights file, and what comes after it.
fn header(bytes: &[u8]) -> (Value, &[u8]) {
    let (length, rest) = bytes.split_first_chunk().unwrap();
    let (header, tensors) = rest.split_at(u64::from_le_bytes(*length) as usize);
    (serde_json::from_slice(header).unwrap(), tensors)
}

#[test]
fn weights_have_the_format_of_their_manifest() {
    for precision in Precision::ALL {
        let (dir, models) = installed();
        let path = dir.path().join("x").join(precision.file());
        let bytes = fs::read(&path).unwrap();
        let write = |format: Option<&str>| {
            let (mut header, tensors) = header(&bytes);
            assert_eq!(header["__metadata__"]["format"], "1");
            match format {
                Some(format) => header["__metadata__"]["format"] = json!(format),
                None => drop(header.as_object_mut().unwrap().remove("__metadata__")),
            }
            let mut header = header.to_string().into_bytes();
            header.resize((header.len() + 8).next_multiple_of(64) - 8, b' ');
            let file = [&(header.len() as u64).to_le_bytes(), header.as_slice(), tensors].concat();
            edit_manifest(&models, |manifest| manifest["files"][precision.file()]["bytes"] = json!(file.len()));
            put(&path, &file);
            Model::new(models.open("x")?, Some(precision))?.load()
        };
        write(Some("1")).unwrap();
        // the files of before had none
        write(None).unwrap();
        for other in ["0", "2", "x"] {
            let says = format!("{} has format {other}, model.json has 1", precision.file());
            refused(write(Some(other)), ErrorKind::Corrupted, &says, "install it again");
        }
    }
}
