//! The tensors of a checkpoint, whatever file they lie in, read one at a time.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::torch::TorchFile;
use crate::error::{Error, ErrorKind, Result};
use crate::regular;
use crate::tensor_file::{MAX_HEADER, TensorFile};

/// The weights of a checkpoint, in either of the two formats that the hub has.
pub enum Source {
    /// One safetensors file or several shards, and which of them holds a tensor.
    Safetensors {
        /// Opened, with their headers read.
        files: Vec<TensorFile>,
        /// The place in `files` of each tensor, by its name.
        holder: BTreeMap<String, usize>,
    },
    /// What `torch.save` wrote.
    Torch(TorchFile),
    /// Several of them, and what their tensors' names begin with then.
    Several(Vec<(&'static str, Source)>),
}

impl Source {
    /// Takes `model.safetensors`, else its shards, else `pytorch_model.bin`, as transformers does.
    ///
    /// # Errors
    ///
    /// `MissingFile` where none of them is there, `Corrupted` where one is damaged, `InvalidModel` where a tensor is
    /// in two shards.
    pub fn open(dir: &Path) -> Result<Self> {
        Self::open_named(dir, "model.safetensors", "pytorch_model.bin")
    }

    /// Takes `open_clip_model.safetensors`, else its shards, else `open_clip_pytorch_model.bin`. It fails as
    /// [`Source::open`] does.
    pub fn open_clip(dir: &Path) -> Result<Self> {
        Self::open_named(dir, "open_clip_model.safetensors", "open_clip_pytorch_model.bin")
    }

    fn open_named(dir: &Path, safetensors: &str, torch: &str) -> Result<Self> {
        let (single, index) = (dir.join(safetensors), dir.join(format!("{safetensors}.index.json")));
        let pickle = dir.join(torch);
        if single.exists() {
            Self::safetensors(vec![TensorFile::open(&single)?])
        } else if index.exists() {
            Self::safetensors(
                shards(dir, &index)?.iter().map(|f| TensorFile::open(&dir.join(f))).collect::<Result<_>>()?,
            )
        } else if pickle.exists() {
            TorchFile::open(&pickle).map(Self::Torch)
        } else {
            let what = format!("no weights in \"{}\": expected {safetensors}, its shards or {torch}", dir.display());
            Err(Error::new(ErrorKind::MissingFile, what))
        }
    }

    fn safetensors(files: Vec<TensorFile>) -> Result<Self> {
        let mut holder = BTreeMap::new();
        for (i, file) in files.iter().enumerate() {
            for (name, _) in file.tensors() {
                if holder.insert(name.clone(), i).is_some() {
                    return Err(Error::invalid_model(format!("tensor \"{name}\" is in two files")));
                }
            }
        }
        Ok(Self::Safetensors { files, holder })
    }

    /// Every tensor's name and shape.
    pub fn shapes(&self) -> BTreeMap<String, Vec<usize>> {
        match self {
            Self::Safetensors { files, .. } => {
                files.iter().flat_map(|f| f.tensors()).map(|(name, info)| (name, info.shape.clone())).collect()
            }
            Self::Torch(file) => file.shapes().map(|(name, shape)| (name.clone(), shape.clone())).collect(),
            Self::Several(sources) => Self::shapes_of(sources),
        }
    }

    /// Every tensor's name and shape, of several sources.
    pub fn shapes_of(sources: &[(&'static str, Self)]) -> BTreeMap<String, Vec<usize>> {
        let named = |(prefix, source): &(&str, Self)| {
            source.shapes().into_iter().map(|(name, shape)| (format!("{prefix}{name}"), shape)).collect::<Vec<_>>()
        };
        sources.iter().flat_map(named).collect()
    }

    /// A tensor's values as f32, row by row, whatever type it is stored in.
    ///
    /// `InvalidModel` where there is none of that name, `Unsupported` for a type other than F32, F16 and BF16.
    pub fn read_f32(&self, name: &str) -> Result<Vec<f32>> {
        let missing = || Error::invalid_model(format!("tensor \"{name}\" is missing"));
        match self {
            Self::Safetensors { files, holder } => files[*holder.get(name).ok_or_else(missing)?].read_f32(name),
            Self::Torch(file) => file.read_f32(name)?.ok_or_else(missing),
            Self::Several(sources) => {
                // The longest first: one of them may have none.
                let found = sources.iter().filter(|(prefix, _)| name.starts_with(prefix));
                let (prefix, source) = found.max_by_key(|(prefix, _)| prefix.len()).ok_or_else(missing)?;
                source.read_f32(&name[prefix.len()..])
            }
        }
    }
}

/// The file names that an index has, each once. `MissingFile` where one is not in `dir`: a name is never a path.
fn shards(dir: &Path, index: &Path) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let text = regular::read(index, MAX_HEADER)?;
    let index: Index = serde_json::from_slice(&text)
        .map_err(|e| Error::invalid_model(format!("model.safetensors.index.json: {e}")))?;
    let mut files: Vec<String> = index.weight_map.into_values().collect();
    files.sort();
    files.dedup();
    for file in &files {
        if file.contains(['/', '\\']) || !dir.join(file).is_file() {
            return Err(Error::new(ErrorKind::MissingFile, format!("shard \"{file}\" is missing")));
        }
    }
    Ok(files)
}
