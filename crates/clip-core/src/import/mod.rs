//! Import: a model directory as on the Hugging Face hub, in the layout of transformers or of open_clip, becomes an
//! installed model, or an error that names what is wrong.
//!
//! Strict on purpose: a tensor that is silently dropped, filled with random numbers or run through the wrong
//! activation gives vectors that look right and are not.

mod bert;
mod beside;
mod checkpoint;
mod convolutions;
mod eva;
mod fold;
mod images;
mod jina;
mod jina_names;
mod naming;
mod nllb;
mod openclip;
mod origin;
mod pickle;
pub mod plan;
mod raw;
mod refused;
mod resolve;
mod siglip;
mod source;
mod timm;
mod tokenizer;
mod torch;
mod vocabulary;
mod wordpieces;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::bounds::{MAX_LOGIT_BIAS, MAX_LOGIT_SCALE};
use crate::error::{Error, Result};
use crate::install::{self, write_file};
use crate::installed::{FileEntry, MAX_TOKENIZER, Manifest, ModelDir, TOKENIZER, fingerprint, parameters};
use crate::layout::{self, TensorShape};
use crate::merges;
use crate::packed::{self, FORMAT};
use crate::precision::Precision;
use crate::regular;
use crate::spec::{ModelSpec, Scoring};
use crate::tensor_file::hex;
use crate::text::Tokenizer;
use checkpoint::Checkpoint;
use naming::Naming;
use plan::CONFIG;
use source::Source;

pub use crate::install::Imported;
pub use refused::apple;

/// What an import would install, with the checkpoint open.
pub struct Inspection {
    /// What the configuration files say, resolved, with the scale and bias of the checkpoint.
    pub spec: ModelSpec,
    /// As the model card says it, or `unknown`.
    pub license: String,
    /// Values of all tensors.
    pub parameters: u64,
    /// See [`Manifest::one_cone`].
    pub one_cone: bool,
    tokenizer: Vec<u8>,
    tensors: Vec<TensorShape>,
    checkpoint: Checkpoint,
}

impl Inspection {
    /// The tokenizer's file, which is made where the model has its older parts.
    pub fn tokenizer(&self) -> &[u8] {
        &self.tokenizer
    }

    /// Bytes on disk of the weights in this format, to within their file's header.
    pub fn bytes(&self, precision: Precision) -> Result<u64> {
        packed::bytes(&self.spec, precision)
    }
}

/// Where an import reads.
#[derive(Clone, Copy)]
pub struct Directories<'a> {
    /// The model; where `images` is given, an encoder of texts alone.
    pub model: &'a Path,
    /// The model whose images the encoder was trained to meet. Its own text tower is left out.
    pub images: Option<&'a Path>,
}

impl<'a, P: AsRef<Path> + ?Sized> From<&'a P> for Directories<'a> {
    fn from(model: &'a P) -> Self {
        Self { model: model.as_ref(), images: None }
    }
}

/// What a directory's configuration says, with its weights open.
struct Found {
    spec: ModelSpec,
    source: Source,
    naming: Naming,
    one_cone: bool,
    open_clip: bool,
    /// Where the tokenizer is.
    dir: PathBuf,
}

/// Reads and checks everything in the directories but the tensors' values. Nothing is written.
///
/// A directory is a repository of the Hugging Face hub: configuration, `tokenizer.json`, and weights as safetensors or of
/// `torch.save`. transformers' layout is taken where it is complete, else open_clip's.
///
/// # Errors
///
/// - `MissingFile` where a file that has to be there is not
/// - `Unsupported` where a file asks for what no tower here does
/// - `InvalidModel` where files contradict each other or themselves
/// - `Corrupted` where a checkpoint's file is damaged
pub fn inspect<'a>(from: impl Into<Directories<'a>>) -> Result<Inspection> {
    let from = from.into();
    let license = license(from.model);
    let found = match from.images {
        None => find(from.model)?,
        Some(images) => with_texts(find(images)?, beside::resolve(from.model)?)?,
    };
    let Found { mut spec, source, naming, one_cone, open_clip, dir } = found;
    let tokenizer = tokenizer::read(&dir, &mut spec, open_clip)?;
    let checkpoint = Checkpoint::new(source, &spec, &naming)?;
    spec.logit_scale = checkpoint.scalar(layout::LOGIT_SCALE, MAX_LOGIT_SCALE)?;
    if let Scoring::Sigmoid { bias } = &mut spec.scoring {
        *bias = checkpoint.scalar(layout::LOGIT_BIAS, MAX_LOGIT_BIAS)?;
    }
    spec.check().map_err(Error::invalid_model)?;
    let tensors = layout::tensors(&spec);
    let parameters = parameters(&spec).ok_or_else(|| Error::invalid_model("the model is too large"))?;
    Ok(Inspection { spec, license, parameters, one_cone, tokenizer, tensors, checkpoint })
}

/// A whole model's directory.
fn find(dir: &Path) -> Result<Found> {
    let dir = dir.join(plan::prefix(|name| dir.join(name).exists()));
    let open_clip = is_open_clip(&dir)?;
    if open_clip {
        let config = json(&dir, openclip::FILE)?;
        let source = Source::open_clip(&dir)?;
        let (spec, naming) = openclip::resolve(&config, &source.shapes())?;
        return Ok(Found { spec, source, naming, one_cone: false, open_clip, dir });
    }
    if let Some(error) = beside::alone(&dir).or_else(|| refused::apple(|name| dir.join(name).exists())) {
        return Err(error);
    }
    let config: raw::Config = json(&dir, CONFIG)?;
    let (spec, naming) = if config.model_type.as_deref() == Some(jina::MODEL_TYPE) {
        jina::resolve(&json(&dir, CONFIG)?, &json(&dir, plan::PREPROCESSORS[0])?)?
    } else {
        resolve::resolve(&config, &preprocessor(&dir)?)?
    };
    let (source, one_cone) = (Source::open(&dir)?, config.modality_gap == Some(false));
    Ok(Found { spec, source, naming, one_cone, open_clip, dir })
}

/// A model with an encoder in the place of its text tower.
fn with_texts(images: Found, texts: beside::Texts) -> Result<Found> {
    if texts.dimensions != images.spec.dimensions {
        return Err(Error::invalid_model(format!(
            "texts have {} dimensions, images {}: expected the same",
            texts.dimensions, images.spec.dimensions
        )));
    }
    let own = layout::text_tensors(&images.spec).into_iter();
    let left_out = own.flat_map(|(name, shape)| images.naming.origin(&name, shape).sources());
    let left_out = left_out.map(|(name, _)| name).collect();
    let spec = ModelSpec { text: texts.spec, ..images.spec };
    resolve::check(&spec)?;
    let naming = Naming::Beside { images: Box::new(images.naming), texts: texts.names, left_out };
    let mut sources = vec![("", images.source)];
    sources.extend(texts.sources);
    Ok(Found {
        spec,
        source: Source::Several(sources),
        naming,
        one_cone: false,
        open_clip: false,
        dir: texts.tokenizer,
    })
}

/// Repositories may have both layouts; [`plan::weights`] says which is taken. A `config.json` that names no model type is
/// timm's and describes the vision tower alone.
fn is_open_clip(dir: &Path) -> Result<bool> {
    let has = |name: &str| dir.join(name).exists();
    if !has(openclip::FILE) {
        return Ok(false);
    }
    let timm = has(CONFIG) && json::<Value>(dir, CONFIG)?["model_type"].is_null();
    let found = plan::weights(|name| has(name) && !(timm && name == CONFIG));
    Ok(found.is_none_or(|(_, config)| config == openclip::FILE))
}

/// Installs the model of the directories under `name`. All of it or nothing, and never over other content of that name.
///
/// `license` takes the place of what the model card says. `progress` is told the tensors done, and all of them. Every
/// tensor is read once to be checked, and once for each precision.
///
/// # Errors
///
/// Those of [`inspect`]. `InvalidName` for the name, and `AlreadyExists` where other content has it. `MissingFile`
/// where the models' directory cannot be written to.
pub fn import<'a>(
    from: impl Into<Directories<'a>>,
    models: &ModelDir,
    name: &str,
    license: Option<&str>,
    progress: &dyn Fn(usize, usize),
) -> Result<Imported> {
    ModelDir::check_name(name)?;
    let mut found = inspect(from)?;
    if let Some(license) = license {
        found.license = license.to_owned();
    }
    install::install(models, name, |temporary| write_model(&found, temporary, progress))
}

/// Writes all files but the manifest into `dir`, and gives that.
fn write_model(found: &Inspection, dir: &Path, progress: &dyn Fn(usize, usize)) -> Result<Manifest> {
    let steps = found.tensors.len() * (1 + Precision::ALL.len());
    let mut done = 0;
    let mut step = || {
        done += 1;
        progress(done, steps);
    };
    let tensors = check_values(&found.checkpoint, &found.tensors, &mut step)?;
    let mut files = BTreeMap::new();
    for precision in Precision::ALL {
        let (bytes, sha256) = packed::write(&dir.join(precision.file()), &found.spec, precision, |name| {
            step();
            found.checkpoint.read_f32(name)
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
        license: found.license.clone(),
        parameters: found.parameters,
        one_cone: found.one_cone,
        tensors,
        files,
        spec: found.spec.clone(),
    })
}

/// Reads every tensor once: SHA-256 over their names and values in f32, in hexadecimal.
fn check_values(checkpoint: &Checkpoint, tensors: &[TensorShape], step: &mut dyn FnMut()) -> Result<String> {
    let mut content = Sha256::new();
    for (name, _) in tensors {
        content.update(name.as_bytes());
        // in pieces, as a table of tokens may have a gigabyte
        for values in checkpoint.read_f32(name)?.chunks(1 << 16) {
            content.update(values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>());
        }
        step();
    }
    Ok(hex(&content.finalize()))
}

/// What the model card in a directory says.
pub fn license(dir: &Path) -> String {
    license_of_card(&regular::read(&dir.join("README.md"), MAX_CARD).unwrap_or_default())
}

/// The `license:` line at the top of a model card, or the `license_name:` line where that says "other".
pub fn license_of_card(card: &[u8]) -> String {
    const UNKNOWN: &str = "unknown";
    let card = String::from_utf8_lossy(card);
    let mut lines = card.lines();
    if lines.next() != Some("---") {
        return UNKNOWN.into();
    }
    let head: Vec<&str> = lines.take_while(|line| *line != "---").collect();
    let value = |key: &str| {
        let value =
            head.iter().find_map(|line| line.strip_prefix(key)).map(|value| value.trim().trim_matches(['"', '\'']));
        value.filter(|value| !value.is_empty())
    };
    match value("license:") {
        Some("other") => value("license_name:").unwrap_or("other").into(),
        license => license.unwrap_or(UNKNOWN).into(),
    }
}

/// Newer transformers write the image processor into the file of the whole processor.
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
    regular::read(&dir.join(file), if file == TOKENIZER { MAX_TOKENIZER } else { MAX_CONFIG })
}

/// Bytes of a configuration file.
const MAX_CONFIG: u64 = 8 << 20;
/// Bytes of a model card.
const MAX_CARD: u64 = 8 << 20;

#[cfg(test)]
mod tests {
    use super::license_of_card;

    #[test]
    fn a_card_s_license() {
        for (card, license) in [
            ("---\nlicense: mit\n---\n# A model\n", "mit"),
            ("---\r\nlanguage:\r\n- en\r\nlicense: 'cc-by-nc-4.0'\r\n---\r\n", "cc-by-nc-4.0"),
            ("---\nlicense: other\nlicense_name: apple-ascl\nlicense_link: LICENSE\n---\n", "apple-ascl"),
            ("---\nlicense: other\n---\nlicense_name: mit\n", "other"),
            ("---\nlicense:\n---\n", "unknown"),
            ("# A model\nlicense: mit\n", "unknown"),
            ("", "unknown"),
        ] {
            assert_eq!(license_of_card(card.as_bytes()), license, "{card:?}");
        }
    }
}
