//! Import: a Hugging Face model directory becomes an installed model, or an error that names what is wrong.
//!
//! Strict on purpose: a tensor that is silently dropped, filled with random numbers or run through the wrong
//! activation gives vectors that look right and are not.

mod raw;
mod resolve;
mod source;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::error::{Error, ErrorKind, Result};
use crate::install::{self, write_file};
use crate::installed::{FORMAT, FileEntry, Manifest, ModelDir, TOKENIZER, fingerprint};
use crate::layout::{self, TensorShape};
use crate::merges;
use crate::packed;
use crate::precision::Precision;
use crate::spec::{ModelSpec, TextPooling};
use crate::tensor_file::{hex, missing_file};
use crate::text::Tokenizer;
use source::Source;

pub use crate::install::Imported;

/// What an import would install.
pub struct Inspection {
    pub spec: ModelSpec,
    pub licence: String,
    pub parameters: usize,
    tokenizer: Vec<u8>,
    tensors: Vec<TensorShape>,
    source: Source,
}

impl Inspection {
    /// Bytes on disk of the weights in this format, to within their file's header.
    pub fn bytes(&self, precision: Precision) -> Result<u64> {
        packed::bytes(&self.spec, precision)
    }
}

/// Reads and checks everything but the tensors' values. Nothing is written.
pub fn inspect(dir: &Path) -> Result<Inspection> {
    let config: raw::Config = json(dir, "config.json")?;
    let mut spec = resolve::resolve(&config, &preprocessor(dir)?)?;
    let tokenizer = read(dir, TOKENIZER)
        .map_err(|e| e.with_hint("Only tokenizer.json is read; transformers writes it with save_pretrained."))?;
    check_tokenizer(&tokenizer, &spec)?;
    let source = Source::open(dir)?;
    let tensors = layout::tensors(&spec);
    check_tensors(&tensors, &source.shapes())?;
    spec.logit_scale = logit_scale(&source)?;
    let parameters = tensors.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum::<usize>() + 1;
    Ok(Inspection { spec, licence: licence(dir), parameters, tokenizer, tensors, source })
}

/// Installs the model in `dir` under `name`. `progress` is told the tensors done and all.
///
/// All of it or nothing, and never over other content of that name: see [`install::install`].
pub fn import(
    dir: &Path,
    models: &ModelDir,
    name: &str,
    licence: Option<&str>,
    progress: &dyn Fn(usize, usize),
) -> Result<Imported> {
    ModelDir::check_name(name)?;
    let mut found = inspect(dir)?;
    if let Some(licence) = licence {
        found.licence = licence.to_owned();
    }
    install::install(models, name, |temporary| write_model(&found, temporary, progress))
}

fn write_model(found: &Inspection, dir: &Path, progress: &dyn Fn(usize, usize)) -> Result<Manifest> {
    let steps = found.tensors.len() * (1 + Precision::ALL.len());
    let mut done = 0;
    let mut step = || {
        done += 1;
        progress(done, steps);
    };
    let tensors = check_values(&found.source, &found.tensors, &mut step)?;
    let mut files = BTreeMap::new();
    for precision in Precision::ALL {
        let (bytes, sha256) = packed::write(&dir.join(precision.file()), &found.spec, precision, |name| {
            step();
            found.source.read_f32(name)
        })?;
        files.insert(precision.file(), FileEntry { bytes, sha256 });
    }
    let tokenizer = FileEntry { bytes: found.tokenizer.len() as u64, sha256: hex(&Sha256::digest(&found.tokenizer)) };
    write_file(&dir.join(TOKENIZER), &found.tokenizer)?;
    files.insert(TOKENIZER.into(), tokenizer.clone());
    if let Some((bytes, sha256)) = Tokenizer::write_compact(&dir.join(merges::FILE), &found.tokenizer)? {
        files.insert(merges::FILE.into(), FileEntry { bytes, sha256 });
    }
    Ok(Manifest {
        format: FORMAT,
        fingerprint: fingerprint(&found.spec, &tokenizer.sha256, &tensors)?,
        licence: found.licence.clone(),
        parameters: found.parameters as u64,
        tensors,
        files,
        spec: found.spec.clone(),
    })
}

/// Reads every tensor once: SHA-256 over their names and values in f32.
fn check_values(source: &Source, tensors: &[TensorShape], step: &mut dyn FnMut()) -> Result<String> {
    let mut content = Sha256::new();
    for (name, shape) in tensors {
        let values = source.read_f32(name)?;
        if values.len() != shape.iter().product::<usize>() {
            return Err(Error::corrupted(format!(
                "tensor \"{name}\": {} values, expected shape {shape:?}",
                values.len()
            )));
        }
        if let Some(bad) = values.iter().find(|v| !v.is_finite()) {
            return Err(Error::invalid_model(format!("tensor \"{name}\" contains {bad}")));
        }
        content.update(name.as_bytes());
        content.update(values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>());
        step();
    }
    Ok(hex(&content.finalize()))
}

fn check_tensors(expected: &[TensorShape], given: &BTreeMap<String, Vec<usize>>) -> Result<()> {
    for (name, shape) in expected {
        match given.get(name) {
            None => return Err(Error::invalid_model(format!("tensor \"{name}\" is missing"))),
            Some(other) if other != shape => {
                return Err(Error::invalid_model(format!("tensor \"{name}\" has shape {other:?}, expected {shape:?}")));
            }
            Some(_) => {}
        }
    }
    let known = |name: &str| {
        name == layout::LOGIT_SCALE || layout::IGNORED.contains(&name) || expected.iter().any(|(n, _)| n == name)
    };
    match given.keys().find(|name| !known(name)) {
        Some(name) => {
            Err(Error::invalid_model(format!("tensor \"{name}\" is left over: no part of this architecture uses it")))
        }
        None => Ok(()),
    }
}

fn logit_scale(source: &Source) -> Result<f32> {
    match source.read_f32(layout::LOGIT_SCALE)?.as_slice() {
        [value] if value.is_finite() && value.abs() < 20.0 => Ok(*value),
        other => {
            Err(Error::invalid_model(format!("tensor \"logit_scale\" is {other:?}, expected one number below 20")))
        }
    }
}

/// The end token that the tower pools at must be the one that the tokenizer writes.
fn check_tokenizer(bytes: &[u8], spec: &ModelSpec) -> Result<()> {
    let tokenizer = Tokenizer::from_bytes(bytes, spec.text.context_length).map_err(|mut e| {
        e.kind = ErrorKind::InvalidModel;
        e
    })?;
    let (largest, end) = (tokenizer.largest_id(), tokenizer.end_token()?);
    if largest as usize >= spec.text.vocab_size {
        return Err(Error::invalid_model(format!(
            "tokenizer.json has token id {largest}, config.json expects less than {}",
            spec.text.vocab_size
        )));
    }
    let pooled = match spec.text.pooling {
        TextPooling::FirstEos(eos) => eos,
        TextPooling::LargestId => largest,
    };
    if end != pooled {
        return Err(Error::invalid_model(format!(
            "tokenizer.json ends texts with token {end}, the text tower pools at {pooled}"
        )));
    }
    Ok(())
}

/// The `license:` line at the top of a model card.
fn licence(dir: &Path) -> String {
    let card = fs::read_to_string(dir.join("README.md")).unwrap_or_default();
    let mut lines = card.lines();
    if lines.next() != Some("---") {
        return "unknown".into();
    }
    lines
        .take_while(|line| *line != "---")
        .find_map(|line| line.strip_prefix("license:"))
        .map_or("unknown".into(), |value| value.trim().trim_matches(['"', '\'']).to_owned())
}

fn preprocessor(dir: &Path) -> Result<raw::Preprocessor> {
    const WHOLE: &str = "processor_config.json";
    if !dir.join("preprocessor_config.json").exists() && dir.join(WHOLE).exists() {
        return json::<raw::Processor>(dir, WHOLE).map(|processor| processor.image_processor);
    }
    json(dir, "preprocessor_config.json")
}

fn json<T: DeserializeOwned>(dir: &Path, file: &str) -> Result<T> {
    serde_json::from_slice(&read(dir, file)?).map_err(|e| Error::invalid_model(format!("{file}: {e}")))
}

fn read(dir: &Path, file: &str) -> Result<Vec<u8>> {
    let path = dir.join(file);
    fs::read(&path).map_err(|e| missing_file(&path, &e))
}
