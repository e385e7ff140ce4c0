//! The directory of installed models: names, manifests, listing, verification.
//!
//! One directory a model: `model.json` (the [`Manifest`]), `tokenizer.json` and its compact form, and a file of weights for
//! each [`Precision`].

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Error, ErrorKind, Result};
use crate::precision::Precision;
use crate::spec::ModelSpec;
use crate::tensor_file::{hex, missing_file};

pub const FORMAT: u32 = 1;
pub const MANIFEST: &str = "model.json";
pub const TOKENIZER: &str = "tokenizer.json";

/// Far above any manifest; a larger file is none.
const MAX_MANIFEST: u64 = 1 << 20;
const MAX_NAME: usize = 63;

/// `model.json`: what is installed, with a checksum of every file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    /// SHA-256 over spec, tokenizer and tensors: names the embedding space.
    pub fingerprint: String,
    pub licence: String,
    pub parameters: u64,
    /// SHA-256 over all tensors' names and values as f32.
    pub tensors: String,
    pub files: BTreeMap<String, FileEntry>,
    pub spec: ModelSpec,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FileEntry {
    pub bytes: u64,
    pub sha256: String,
}

pub fn fingerprint(spec: &ModelSpec, tokenizer_sha256: &str, tensors: &str) -> Result<String> {
    let spec = serde_json::to_string(spec).map_err(|e| Error::internal(format!("spec: {e}")))?;
    Ok(hex(&Sha256::digest(format!("pg_clip 1\n{spec}\n{tokenizer_sha256}\n{tensors}\n"))))
}

/// A directory that holds installed models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelDir {
    root: PathBuf,
}

impl ModelDir {
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// A name is `[a-z0-9._-]+`, starts with a letter or digit and is never a path.
    pub fn check_name(name: &str) -> Result<()> {
        let allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b'.' | b'_' | b'-');
        let starts_well = name.bytes().next().is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        if !starts_well || name.len() > MAX_NAME || !name.bytes().all(allowed) {
            return Err(Error::new(ErrorKind::InvalidName, format!("invalid model name \"{name}\"")).with_hint(
                "A model name has at most 63 lower-case letters, digits, dots, underscores and hyphens, and starts with a letter or a digit.",
            ));
        }
        Ok(())
    }

    /// Names of all installed models, sorted; unreadable directories are left for [`ModelDir::open`] to complain about.
    pub fn names(&self) -> Result<Vec<String>> {
        let entries = match fs::read_dir(&self.root) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(missing_file(&self.root, &e)),
        };
        let mut names: Vec<String> = entries
            .flatten()
            .filter(|entry| entry.path().join(MANIFEST).is_file())
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| Self::check_name(name).is_ok())
            .collect();
        names.sort();
        Ok(names)
    }

    /// Reads and checks a model's manifest and the sizes of its files.
    pub fn open(&self, name: &str) -> Result<Installed> {
        Self::check_name(name)?;
        let dir = self.path(name);
        if !dir.is_dir() {
            let installed = match self.names()?.as_slice() {
                [] => format!("No model is installed in \"{}\".", self.root.display()),
                names => format!("Installed models: {}.", names.join(", ")),
            };
            return Err(Error::new(ErrorKind::UnknownModel, format!("model \"{name}\" is not installed"))
                .with_hint(format!("{installed} Install one with \"pgclip import DIRECTORY --name {name}\".")));
        }
        let manifest = read_manifest(&dir.join(MANIFEST)).map_err(|e| e.context(format!("model \"{name}\"")))?;
        for (file, entry) in &manifest.files {
            let path = dir.join(file);
            let size = fs::metadata(&path).map_err(|e| missing_file(&path, &e))?.len();
            if size != entry.bytes {
                return Err(Error::corrupted(format!(
                    "model \"{name}\": file \"{file}\" has {size} bytes, expected {}",
                    entry.bytes
                )));
            }
        }
        Ok(Installed { name: name.to_owned(), dir, manifest })
    }
}

fn read_manifest(path: &Path) -> Result<Manifest> {
    let mut text = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_MANIFEST).read_to_end(&mut text))
        .map_err(|e| missing_file(path, &e))?;
    let bad = |e: serde_json::Error| Error::corrupted(format!("{MANIFEST}: {e}"));
    #[derive(Deserialize)]
    struct Version {
        format: u32,
    }
    let version: Version = serde_json::from_slice(&text).map_err(bad)?;
    if version.format != FORMAT {
        return Err(Error::unsupported(format!(
            "{MANIFEST} has format {}, this version reads {FORMAT}",
            version.format
        ))
        .with_hint("Import the model again with the pgclip of this version."));
    }
    let manifest: Manifest = serde_json::from_slice(&text).map_err(bad)?;
    for file in [TOKENIZER, &Precision::F32.file()] {
        if !manifest.files.contains_key(file) {
            return Err(Error::corrupted(format!("{MANIFEST} does not list \"{file}\"")));
        }
    }
    if let Some(file) = manifest.files.keys().find(|file| file.contains('/')) {
        return Err(Error::corrupted(format!("{MANIFEST} lists \"{file}\", which is no plain file name")));
    }
    Ok(manifest)
}

/// An installed model: its manifest and where its files are. Nothing of it is loaded.
#[derive(Clone, Debug)]
pub struct Installed {
    pub name: String,
    pub dir: PathBuf,
    pub manifest: Manifest,
}

impl Installed {
    pub fn spec(&self) -> &ModelSpec {
        &self.manifest.spec
    }

    /// Number formats that weights are installed in.
    pub fn precisions(&self) -> Vec<Precision> {
        Precision::ALL.into_iter().filter(|p| self.manifest.files.contains_key(&p.file())).collect()
    }

    /// `wanted`, or the fastest one where it is `None`.
    pub fn precision(&self, wanted: Option<Precision>) -> Result<Precision> {
        let installed = self.precisions();
        match wanted {
            Some(wanted) if !installed.contains(&wanted) => Err(Error::unsupported(format!(
                "model \"{}\" has no weights in {wanted}: expected {}",
                self.name,
                installed.iter().map(|p| p.name()).collect::<Vec<_>>().join(", ")
            ))),
            Some(wanted) => Ok(wanted),
            None if installed.contains(&Precision::auto()) => Ok(Precision::auto()),
            None => Ok(Precision::F32),
        }
    }

    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        self.manifest.files.values().map(|f| f.bytes).sum()
    }

    /// Reads every file and compares it with the manifest, and the manifest with its fingerprint.
    /// `progress` is told the bytes read and all.
    pub fn verify(&self, progress: &dyn Fn(u64, u64)) -> Result<()> {
        let mut done = 0;
        for (file, entry) in &self.manifest.files {
            let sha256 = hash_file(&self.dir.join(file), &mut |n| {
                done += n;
                progress(done, self.bytes());
            })?;
            if sha256 != entry.sha256 {
                return Err(Error::corrupted(format!(
                    "file \"{file}\" has SHA-256 {sha256}, expected {}",
                    entry.sha256
                )));
            }
        }
        let tokenizer = &self.manifest.files[TOKENIZER].sha256;
        let expected = fingerprint(self.spec(), tokenizer, &self.manifest.tensors)?;
        if expected != self.manifest.fingerprint {
            return Err(Error::corrupted(format!(
                "fingerprint is {}, content says {expected}",
                self.manifest.fingerprint
            )));
        }
        Ok(())
    }
}

fn hash_file(path: &Path, progress: &mut dyn FnMut(u64)) -> Result<String> {
    let mut file = File::open(path).map_err(|e| missing_file(path, &e))?;
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        let n = file.read(&mut buffer).map_err(|e| missing_file(path, &e))?;
        if n == 0 {
            return Ok(hex(&hash.finalize()));
        }
        hash.update(&buffer[..n]);
        progress(n as u64);
    }
}
