//! Checkpoints of `torch.save`: a ZIP archive of storages as they lie in memory, and the pickle that says which tensor is where.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use safetensors::Dtype;
use zip::{CompressionMethod, ZipArchive};

use super::pickle;
use crate::error::{Error, Result};
use crate::regular;
use crate::tensor_file::to_f32;

/// Bytes of a pickle. The largest of a published checkpoint has less than a tenth, and what is read takes some forty
/// times as much.
const MAX_PICKLE: u64 = 4 << 20;
const PICKLE: &str = "data.pkl";

/// An open file of `torch.save`, in the ZIP format that PyTorch has written since 1.6.
pub struct TorchFile {
    path: PathBuf,
    file: File,
    tensors: BTreeMap<String, Stored>,
}

/// A tensor in a file of the archive.
struct Stored {
    storage: String,
    shape: Vec<usize>,
    strides: Vec<usize>,
    /// Of its first value within the storage, in values.
    offset: usize,
    /// Where the storage lies in the archive, and its bytes.
    place: Option<(u64, u64)>,
}

impl TorchFile {
    /// Reads the archive's directory and the pickle, and finds each tensor's place. No values are read.
    ///
    /// `Corrupted` where it is no such file, `Unsupported` where a big-endian machine has written it.
    pub fn open(path: &Path) -> Result<Self> {
        let bad = |what: String| Error::corrupted(format!("could not read \"{}\": {what}", path.display()));
        let file = regular::open(path)?;
        let mut archive = ZipArchive::new(&file).map_err(|e| bad(e.to_string()))?;
        let (mut places, mut pickles) = (BTreeMap::new(), Vec::new());
        for index in 0..archive.len() {
            let entry = archive.by_index_raw(index).map_err(|e| bad(e.to_string()))?;
            let name = entry.name().map_err(|e| bad(e.to_string()))?.into_owned();
            if entry.compression() != CompressionMethod::Stored || entry.encrypted() {
                return Err(bad(format!("\"{name}\" is compressed, which torch does not do")));
            }
            if name == PICKLE || name.ends_with(&format!("/{PICKLE}")) {
                pickles.push((index, name.clone()));
            }
            let begin = entry.data_start().ok_or_else(|| bad(format!("\"{name}\" is nowhere")))?;
            places.insert(name, (begin, entry.size()));
        }
        let [(index, name)] = &pickles[..] else {
            return Err(bad(format!("{} files {PICKLE} in it, expected one", pickles.len())));
        };
        let folder = name.strip_suffix(PICKLE).unwrap_or_default();
        if let Some(&(begin, 3)) = places.get(&format!("{folder}byteorder")) {
            let mut order = [0; 3];
            file.read_exact_at(&mut order, begin).map_err(|e| bad(e.to_string()))?;
            if order == *b"big" {
                return Err(Error::unsupported("a checkpoint of a big-endian machine is not supported"));
            }
        }
        let mut pickle = Vec::new();
        let entry = archive.by_index_raw(*index).map_err(|e| bad(e.to_string()))?;
        entry.take(MAX_PICKLE + 1).read_to_end(&mut pickle).map_err(|e| bad(e.to_string()))?;
        if pickle.len() as u64 > MAX_PICKLE {
            return Err(bad(format!("{PICKLE} has more than {MAX_PICKLE} bytes")));
        }
        let stored = |tensor: pickle::Tensor| {
            let place = places.get(&format!("{folder}data/{}", tensor.key)).copied();
            let pickle::Tensor { name, storage, offset, shape, strides, .. } = tensor;
            (name.to_owned(), Stored { storage: storage.to_owned(), shape, strides, offset, place })
        };
        let tensors = pickle::tensors(&pickle).map_err(bad)?.into_iter().map(stored).collect();
        Ok(Self { path: path.to_owned(), file, tensors })
    }

    /// Names and shapes of all tensors.
    pub fn shapes(&self) -> impl Iterator<Item = (&String, &Vec<usize>)> {
        self.tensors.iter().map(|(name, stored)| (name, &stored.shape))
    }

    /// A tensor's values as f32, row by row, whatever its strides. `None` where there is no such tensor.
    ///
    /// # Errors
    ///
    /// `Unsupported` for a type other than F32, F16 and BF16, `Corrupted` where its values overlap or lie outside of
    /// the file.
    pub fn read_f32(&self, name: &str) -> Result<Option<Vec<f32>>> {
        let Some(stored) = self.tensors.get(name) else { return Ok(None) };
        let bad = |what: &str| Error::corrupted(format!("tensor \"{name}\": {what}"));
        let (dtype, width) = match &*stored.storage {
            "FloatStorage" => (Dtype::F32, 4),
            "HalfStorage" => (Dtype::F16, 2),
            "BFloat16Storage" => (Dtype::BF16, 2),
            other => return Err(Error::unsupported(format!("tensor \"{name}\": type {other} is not supported"))),
        };
        let (begin, length) = stored.place.ok_or_else(|| bad("its storage is missing"))?;
        let (count, span) = stored.extent().ok_or_else(|| bad("its size overflows"))?;
        if count > span {
            return Err(bad("its values overlap"));
        }
        let (from, bytes) = (stored.offset.checked_mul(width), span.checked_mul(width));
        let end = from.zip(bytes).and_then(|(from, bytes)| from.checked_add(bytes));
        let (Some(from), Some(bytes), true) = (from, bytes, end.is_some_and(|end| end as u64 <= length)) else {
            return Err(bad("it lies outside of its storage"));
        };
        // The directory may say anything of a file's length.
        let size = self.file.metadata().map_err(|e| bad(&e.to_string()))?.len();
        let begin = begin.checked_add(from as u64).filter(|begin| size.saturating_sub(*begin) >= bytes as u64);
        let begin = begin.ok_or_else(|| bad(&format!("\"{}\" ends before it", self.path.display())))?;
        let mut raw = vec![0; bytes];
        self.file.read_exact_at(&mut raw, begin).map_err(|e| bad(&e.to_string()))?;
        let values = to_f32(&raw, dtype)?;
        Ok(Some(if count == span { stored.in_order(values, count) } else { stored.gather(&values, count) }))
    }
}

impl Stored {
    /// How many values it has, and how many of its storage they lie among. `None` where that is no number.
    fn extent(&self) -> Option<(usize, usize)> {
        let count = self.shape.iter().try_fold(1usize, |all, side| all.checked_mul(*side))?;
        if count == 0 {
            return Some((0, 0));
        }
        let sides = self.shape.iter().zip(&self.strides);
        let mut last = sides.map(|(side, stride)| (side - 1).checked_mul(*stride));
        let span = last.try_fold(1usize, |all, last| all.checked_add(last?))?;
        Some((count, span))
    }

    /// Values row by row: as they are, where the strides say so, else gathered.
    fn in_order(&self, values: Vec<f32>, count: usize) -> Vec<f32> {
        let mut expected = 1;
        for (side, stride) in self.shape.iter().zip(&self.strides).rev() {
            if *side != 1 && *stride != expected {
                return self.gather(&values, count);
            }
            expected *= side;
        }
        values
    }

    /// Values row by row, picked by their strides.
    fn gather(&self, values: &[f32], count: usize) -> Vec<f32> {
        let place = |mut index: usize| {
            let mut place = 0;
            for (side, stride) in self.shape.iter().zip(&self.strides).rev() {
                place += (index % side) * stride;
                index /= side;
            }
            place
        };
        (0..count).filter_map(|index| values.get(place(index)).copied()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(shape: &[usize], strides: &[usize]) -> Stored {
        Stored { storage: "FloatStorage".into(), shape: shape.into(), strides: strides.into(), offset: 0, place: None }
    }

    #[test]
    fn values_by_their_strides() {
        let values = || (0..6).map(|v| v as f32).collect::<Vec<f32>>();
        assert_eq!(stored(&[2, 3], &[3, 1]).in_order(values(), 6), values());
        assert_eq!(stored(&[2, 1, 3], &[3, 77, 1]).in_order(values(), 6), values());
        assert_eq!(stored(&[3, 2], &[1, 3]).in_order(values(), 6), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
        assert_eq!(stored(&[2, 2], &[3, 2]).gather(&values(), 4), [0.0, 2.0, 3.0, 5.0]);
    }

    #[test]
    fn extents() {
        assert_eq!(stored(&[], &[]).extent(), Some((1, 1)));
        assert_eq!(stored(&[2, 2], &[3, 2]).extent(), Some((4, 6)));
        assert_eq!(stored(&[0, 5], &[usize::MAX, usize::MAX]).extent(), Some((0, 0)));
        assert_eq!(stored(&[1 << 40], &[0]).extent(), Some((1 << 40, 1)));
        assert_eq!(stored(&[1 << 40, 1 << 40], &[0, 0]).extent(), None);
        assert_eq!(stored(&[3], &[usize::MAX]).extent(), None);
    }
}
