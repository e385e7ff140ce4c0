//! Copies of golden models with something wrong in them, and imports of those.

// each test file compiles this module anew and uses a part of it
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use clip_core::import::import;
use clip_core::{Error, ErrorKind, ModelDir};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors, serialize_to_file};
use serde_json::Value;
use tempfile::TempDir;

use crate::common::*;

/// A change to a model's configuration.
pub type Edit = fn(&mut Value);

/// A copy of a golden model that a test may damage.
pub fn copy(name: &str) -> TempDir {
    copy_of(&model_dir(name))
}

/// And of any directory.
pub fn copy_of(directory: &Path) -> TempDir {
    fn all(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let (path, to) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
            if path.is_dir() {
                all(&path, &to);
            } else {
                fs::copy(&path, &to).unwrap();
            }
        }
    }
    let dir = TempDir::new().unwrap();
    all(directory, dir.path());
    dir
}

/// The error of importing `source`; whatever it is, no trace of an installation may be there.
pub fn refused(source: &Path) -> Error {
    let target = TempDir::new().unwrap();
    let models = ModelDir::new(target.path().join("models"));
    let error = import(source, &models, "x", None, &|_, _| {}).err().expect("the import succeeded");
    assert!(models.names().unwrap().is_empty());
    let left = fs::read_dir(models.root()).map_or(0, |entries| entries.count());
    assert_eq!(left, 0, "{error}: files left behind");
    error
}

pub fn assert_refused(source: &Path, kind: ErrorKind, names: &str) {
    let error = refused(source);
    assert_eq!(error.kind, kind, "{error}");
    assert!(error.message.contains(names), "\"{error}\" does not name \"{names}\"");
}

pub fn edit_json(dir: &Path, file: &str, edit: impl FnOnce(&mut Value)) {
    let mut value: Value = serde_json::from_slice(&fs::read(dir.join(file)).unwrap()).unwrap();
    edit(&mut value);
    fs::write(dir.join(file), serde_json::to_vec(&value).unwrap()).unwrap();
}

pub type Tensors = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

pub fn edit_tensors(dir: &Path, edit: impl FnOnce(&mut Tensors)) {
    edit_tensors_of(&dir.join("model.safetensors"), edit);
}

pub fn edit_tensors_of(path: &Path, edit: impl FnOnce(&mut Tensors)) {
    let bytes = fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut tensors: Tensors = file
        .tensors()
        .into_iter()
        .map(|(name, t)| (name, (t.dtype(), t.shape().to_vec(), t.data().to_vec())))
        .collect();
    edit(&mut tensors);
    let views = tensors
        .iter()
        .map(|(name, (dtype, shape, data))| (name, TensorView::new(*dtype, shape.clone(), data).unwrap()));
    serialize_to_file(views, None, path).unwrap();
}
