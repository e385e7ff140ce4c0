//! The directory of installed models: names, manifests, listing, verification.
//!
//! One directory a model: `model.json` (the [`Manifest`]), `tokenizer.json` and its compact form, and a file of weights for
//! each [`Precision`].

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::bounds::Checked;
use crate::error::{Error, ErrorKind, Result};
use crate::layout;
use crate::packed::{self, FORMAT};
use crate::precision::Precision;
use crate::regular;
use crate::spec::{Calibration, ModelSpec, Scoring};
use crate::tensor_file::{hex, missing_file};
use crate::watched::sha256;

/// Name of the [`Manifest`]'s file. A directory without one is no model.
pub const MANIFEST: &str = "model.json";
/// Name of the tokenizer's file, which is the checkpoint's own, byte by byte.
pub const TOKENIZER: &str = "tokenizer.json";

/// Bytes of a manifest: far above any. A larger file is none.
const MAX_MANIFEST: u64 = 1 << 20;
/// Weights in each precision, the tokenizer in two forms, and room for more.
const MAX_FILES: usize = 32;
/// Bytes of a `tokenizer.json`. The largest published one has 35 MB, and what is read of it takes some ten times as
/// much.
pub const MAX_TOKENIZER: u64 = 64 << 20;
/// Bytes of a name: as many as a name in PostgreSQL has.
const MAX_NAME: usize = 63;

/// The file of int8 weights that 0.1.0 wrote, which are other numbers.
const INT8_OF_0_1: &str = "weights.int8.safetensors";
const INT8_AGAIN: &str =
    "Its int8 weights are of an older version. Import the model again with \"pgclip import\" under its name.";

const INSTALL_AGAIN: &str = "Remove the model's directory and install it again with \"pgclip import\".";

/// `model.json`: what is installed, with a checksum of every file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the whole directory. A manifest of another one is refused.
    pub format: u32,
    /// SHA-256 over spec, tokenizer and tensors: names the embedding space.
    pub fingerprint: String,
    /// Under the key that 0.1.0 reads and writes: sessions that have loaded its library read the models that are installed meanwhile.
    #[serde(rename = "licence", alias = "license")]
    pub license: String,
    /// Values of all tensors: what the size of a model is usually told in.
    pub parameters: u64,
    /// The model was trained to have texts and images in one cone of the space, without a calibration. Says nothing of the
    /// vectors, only of what queries to expect, so it is no part of the fingerprint.
    #[serde(default, skip_serializing_if = "is_false")]
    pub one_cone: bool,
    /// SHA-256 over all tensors' names and values as f32, in hexadecimal. It does not depend on the checkpoint's file
    /// format.
    pub tensors: String,
    /// Every file beside this one, by its name in the directory.
    pub files: BTreeMap<String, FileEntry>,
    /// What the towers and the preprocessing need to know.
    pub spec: ModelSpec,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// What a file was when it was installed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FileEntry {
    /// Its length.
    pub bytes: u64,
    /// Its checksum, in 64 hexadecimal digits of lower case.
    pub sha256: String,
}

/// SHA-256 over spec, tokenizer and tensors, in hexadecimal: the name of an embedding space.
///
/// Vectors may be compared where their fingerprints are equal. The spec goes in as its JSON, so a field that is added
/// to it must be left out where it has its default.
pub fn fingerprint(spec: &ModelSpec, tokenizer_sha256: &str, tensors: &str) -> Result<String> {
    let spec = serde_json::to_string(spec).map_err(|e| Error::internal(format!("spec: {e}")))?;
    Ok(hex(&Sha256::digest(format!("pg_clip 1\n{spec}\n{tokenizer_sha256}\n{tensors}\n"))))
}

/// Values of all tensors, the scale's and the bias's among them. `None` where the sizes are not those of a model
/// ([`ModelSpec::check_sizes`]).
pub fn parameters(spec: &ModelSpec) -> Option<u64> {
    spec.check_sizes().ok()?;
    layout::values(spec)?.checked_add(if spec.scoring == Scoring::Softmax { 1 } else { 2 })
}

/// A directory that holds installed models, one directory each.
///
/// ```
/// use clip_core::{ErrorKind, ModelDir};
///
/// let models = ModelDir::new("/nonexistent");
/// assert!(models.names().unwrap().is_empty());
/// assert_eq!(models.open("clip").unwrap_err().kind, ErrorKind::UnknownModel);
/// assert!(ModelDir::check_name("../clip").is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelDir {
    root: PathBuf,
}

impl ModelDir {
    /// Names a directory, which need not exist yet: the first installation makes it.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the model of that name is or would be. The name has been checked.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// A name is `[a-z0-9._-]+`, starts with a letter or digit, has at most 63 bytes, and is never a path.
    ///
    /// Any other is [`ErrorKind::InvalidName`].
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

    /// Names of all installed models, sorted. What is no model, or has no name of one, is passed over.
    ///
    /// A directory that does not exist has none. One that cannot be read is `MissingFile`. Damaged models are left
    /// for [`ModelDir::open`] to complain about.
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

    /// Reads and checks a model's manifest and the sizes of its files. Their content is compared by
    /// [`Installed::verify`].
    ///
    /// # Errors
    ///
    /// - `InvalidName` or `UnknownModel` for the name
    /// - `Unsupported` where another version has written the directory in another format
    /// - `MissingFile` where a file that the manifest lists is gone
    /// - `Corrupted` where the manifest contradicts itself, or a file has another size
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
            let meta = fs::metadata(&path).map_err(|e| missing_file(&path, &e).with_hint(INSTALL_AGAIN))?;
            if !meta.is_file() {
                return Err(missing_file(&path, &std::io::Error::other("is not a regular file")));
            }
            let size = meta.len();
            if size != entry.bytes {
                return Err(Error::corrupted(format!(
                    "model \"{name}\": file \"{file}\" has {size} bytes, expected {}",
                    entry.bytes
                )));
            }
        }
        let model = Installed { name: name.to_owned(), dir, manifest };
        model.check_sizes().map_err(|e| e.context(format!("model \"{name}\"")))?;
        Ok(model)
    }

    /// The fingerprint of a model in an older format, which has to be installed anew.
    pub(crate) fn outdated(&self, name: &str) -> Option<String> {
        let text = regular::read(&self.path(name).join(MANIFEST), MAX_MANIFEST).ok()?;
        let identity: Identity = serde_json::from_slice(&text).ok()?;
        (identity.format < FORMAT).then_some(identity.fingerprint)
    }
}

/// What the manifests of all versions say. Without a format it is older than all.
#[derive(Deserialize)]
struct Identity {
    #[serde(default)]
    format: u32,
    fingerprint: String,
}

/// Reads a manifest and checks all that it says: what comes after relies on it.
fn read_manifest(path: &Path) -> Result<Manifest> {
    let text = regular::read(path, MAX_MANIFEST)?;
    let bad = |e: serde_json::Error| damaged(format!("{MANIFEST}: {e}"));
    let Identity { format, .. } = serde_json::from_slice(&text).map_err(bad)?;
    if format != FORMAT {
        let error = Error::unsupported(format!("{MANIFEST} has format {format}, this version reads {FORMAT}"));
        return Err(error.with_hint(if format < FORMAT {
            "Import the model again with \"pgclip import\" under its name, or where it is calibrated, with \"pgclip calibrate\"."
        } else {
            "A newer version of pg_clip has installed it. Update this one."
        }));
    }
    let manifest: Manifest = serde_json::from_slice(&text).map_err(bad)?;
    manifest.check().map_err(|what| damaged(format!("{MANIFEST}: {what}")))?;
    Ok(manifest)
}

/// An installed model that can only be replaced.
pub(crate) fn damaged(what: String) -> Error {
    Error::corrupted(what).with_hint(INSTALL_AGAIN)
}

impl Manifest {
    /// Compares what the manifest says with itself: files, spec, fingerprint, and the number of parameters.
    fn check(&self) -> Checked {
        for file in [TOKENIZER, &Precision::F32.file()] {
            if !self.files.contains_key(file) {
                return Err(format!("does not list \"{file}\", which every model has"));
            }
        }
        if self.files.len() > MAX_FILES {
            return Err(format!("lists {} files, expected at most {MAX_FILES}", self.files.len()));
        }
        if let Some(file) = self.files.keys().find(|file| file.contains(['/', '\0']) || file.starts_with('.')) {
            return Err(format!("lists \"{file}\", which is no plain file name"));
        }
        self.spec.check()?;
        // Any other number gives another space.
        let expected = self.content().map_err(|e| e.message)?;
        if expected != self.fingerprint {
            return Err(format!("fingerprint is {}, content says {expected}", self.fingerprint));
        }
        let expected = parameters(&self.spec).unwrap_or(0);
        if self.parameters != expected {
            return Err(format!("parameters are {}, expected {expected}", self.parameters));
        }
        Ok(())
    }

    /// The fingerprint that the rest of the manifest has.
    fn content(&self) -> Result<String> {
        let tokenizer = self.files.get(TOKENIZER).ok_or_else(|| Error::internal("no tokenizer listed"))?;
        fingerprint(&self.spec, &tokenizer.sha256, &self.tensors)
    }
}

/// An installed model: its manifest and where its files are. Nothing of it is loaded, see [`Model`](crate::Model).
#[derive(Clone, Debug)]
pub struct Installed {
    /// By which it was opened.
    pub name: String,
    /// The directory of its files.
    pub dir: PathBuf,
    /// What was read from it, and checked.
    pub manifest: Manifest,
}

impl Installed {
    /// The manifest's [`ModelSpec`].
    pub fn spec(&self) -> &ModelSpec {
        &self.manifest.spec
    }

    /// Do texts and images lie in one cone of the space, by training or by calibration? In every other CLIP they lie in two, and
    /// the nearest rows of a mixed table are of the query's own modality.
    pub fn has_one_cone(&self) -> bool {
        self.manifest.one_cone || matches!(self.spec().calibration, Calibration::Means(_))
    }

    /// Number formats that weights are installed in, the most exact first.
    pub fn precisions(&self) -> Vec<Precision> {
        Precision::ALL.into_iter().filter(|p| self.manifest.files.contains_key(&p.file())).collect()
    }

    /// `wanted`, or where it is `None`, the first of [`Precision::preferred`] that is installed and good enough for this family.
    ///
    /// # Errors
    ///
    /// `Unsupported` where no weights are installed in the one that is wanted.
    pub fn precision(&self, wanted: Option<Precision>) -> Result<Precision> {
        let installed = self.precisions();
        match wanted {
            Some(wanted) if !installed.contains(&wanted) => {
                let error = Error::unsupported(format!(
                    "model \"{}\" has no weights in {wanted}: expected {}",
                    self.name,
                    installed.iter().map(|p| p.name()).collect::<Vec<_>>().join(", ")
                ));
                let older = wanted == Precision::Int8 && self.manifest.files.contains_key(INT8_OF_0_1);
                Err(if older { error.with_hint(INT8_AGAIN) } else { error })
            }
            Some(wanted) => Ok(wanted),
            None => {
                let good = |p: &Precision| *p != Precision::Int8 || self.spec().vision.layers.is_good_in_int8();
                let mut preferred = Precision::preferred().iter().filter(|p| installed.contains(p) && good(p));
                Ok(preferred.next().copied().unwrap_or(Precision::F32))
            }
        }
    }

    /// Bytes on disk of all files, but for the manifest. A calibrated model has hard links to those of the plain one,
    /// which count here as well.
    pub fn bytes(&self) -> u64 {
        self.manifest.files.values().map(|f| f.bytes).sum()
    }

    /// Reads every file and compares it with the manifest, which was compared with its fingerprint when it was
    /// opened.
    ///
    /// `progress` is told the bytes read so far, and all.
    ///
    /// # Errors
    ///
    /// `MissingFile` where a file cannot be read, `Corrupted` where its checksum is another.
    pub fn verify(&self, progress: &dyn Fn(u64, u64)) -> Result<()> {
        let mut done = 0;
        for (file, entry) in &self.manifest.files {
            let path = self.dir.join(file);
            let sha256 = sha256(&regular::open(&path)?, &path, &mut |n| {
                done += n;
                progress(done, self.bytes());
                Ok(())
            })?;
            if sha256 != entry.sha256 {
                return Err(Error::corrupted(format!(
                    "file \"{file}\" has SHA-256 {sha256}, expected {}",
                    entry.sha256
                )));
            }
        }
        Ok(())
    }

    /// Do the files of weights have the size that the spec's tensors have? Whoever reads them makes room by the spec.
    fn check_sizes(&self) -> Result<()> {
        for precision in self.precisions() {
            let (file, tensors) = (precision.file(), packed::bytes(self.spec(), precision)?);
            let given = self.manifest.files.get(&file).map_or(0, |entry| entry.bytes);
            let most = tensors.saturating_add(8 + packed::max_header(self.spec()));
            if !(tensors..=most).contains(&given) {
                return Err(Error::corrupted(format!(
                    "file \"{file}\" has {given} bytes, expected {tensors} to {most} for the tensors of the model's spec"
                )));
            }
        }
        Ok(())
    }
}
