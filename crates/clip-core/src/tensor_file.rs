//! Reading and writing safetensors files tensor by tensor.
//!
//! Reads go through the file descriptor, not through a memory map: a file that shrinks while it is read gives an
//! error, never a SIGBUS. The header is untrusted: its size is bounded and every offset is checked.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};
use sha2::{Digest, Sha256};

use crate::error::{Error, ErrorKind, Result};

/// As in the safetensors crate.
const MAX_HEADER: u64 = 100_000_000;

/// An open safetensors file with its checked header.
pub struct TensorFile {
    path: PathBuf,
    file: File,
    data_start: u64,
    metadata: Metadata,
}

impl TensorFile {
    pub fn open(path: &Path) -> Result<Self> {
        let mut file = File::open(path).map_err(|e| missing_file(path, &e))?;
        let bad = |what: String| Error::corrupted(format!("file {}: {what}", path.display()));
        let size = file.metadata().map_err(|e| missing_file(path, &e))?.len();
        let mut length = [0; 8];
        file.read_exact(&mut length).map_err(|_| bad("is shorter than a safetensors header".into()))?;
        let length = u64::from_le_bytes(length);
        if length > MAX_HEADER || length > size.saturating_sub(8) {
            return Err(bad(format!("header of {length} bytes does not fit into {size} bytes")));
        }
        let mut header = vec![0; length as usize];
        file.read_exact(&mut header).map_err(|e| bad(e.to_string()))?;
        let metadata: Metadata =
            serde_json::from_slice(&header).map_err(|e| bad(format!("invalid safetensors header: {e}")))?;
        let (data_start, needed) = (8 + length, metadata.data_len() as u64);
        if size - data_start != needed {
            return Err(bad(format!("has {} bytes of tensors, its header says {needed}", size - data_start)));
        }
        Ok(Self { path: path.to_owned(), file, data_start, metadata })
    }

    /// All tensors' names and descriptions, in no particular order.
    pub fn tensors(&self) -> impl Iterator<Item = (String, &TensorInfo)> {
        self.metadata.tensors().into_iter()
    }

    /// One tensor's values as f32, its shape and type being checked against what the file says.
    pub fn read_f32(&self, name: &str) -> Result<Vec<f32>> {
        let info = self
            .metadata
            .info(name)
            .ok_or_else(|| Error::corrupted(format!("file {}: no tensor \"{name}\"", self.path.display())))?;
        let (start, end) = info.data_offsets;
        let mut bytes = vec![0; end - start];
        self.file
            .read_exact_at(&mut bytes, self.data_start + start as u64)
            .map_err(|e| Error::corrupted(format!("file {}: tensor \"{name}\": {e}", self.path.display())))?;
        to_f32(&bytes, info.dtype).map_err(|e| e.context(format!("tensor \"{name}\"")))
    }
}

pub fn missing_file(path: &Path, e: &std::io::Error) -> Error {
    Error::new(ErrorKind::MissingFile, format!("could not read file \"{}\": {e}", path.display()))
}

fn to_f32(bytes: &[u8], dtype: Dtype) -> Result<Vec<f32>> {
    Ok(match dtype {
        Dtype::F32 => bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
        Dtype::F16 => bytes.as_chunks::<2>().0.iter().map(|b| half::f16::from_le_bytes(*b).to_f32()).collect(),
        Dtype::BF16 => bytes.as_chunks::<2>().0.iter().map(|b| half::bf16::from_le_bytes(*b).to_f32()).collect(),
        other => {
            return Err(Error::unsupported(format!(
                "tensor type {other:?} is not supported: expected F32, F16 or BF16"
            )));
        }
    })
}

/// Writes tensors as f32 one after the other, so that only one is in memory, and returns the file's size and SHA-256.
///
/// `next` gives the values of the named tensor.
pub fn write_f32(
    path: &Path,
    tensors: &[(String, Vec<usize>)],
    mut next: impl FnMut(&str, &[usize]) -> Result<Vec<f32>>,
) -> Result<(u64, String)> {
    let mut offset = 0;
    let infos = tensors
        .iter()
        .map(|(name, shape)| {
            let start = offset;
            offset += shape.iter().product::<usize>() * 4;
            (name.clone(), TensorInfo { dtype: Dtype::F32, shape: shape.clone(), data_offsets: (start, offset) })
        })
        .collect();
    let metadata = Metadata::new(None, infos).map_err(|e| Error::internal(format!("safetensors header: {e}")))?;
    let mut header = serde_json::to_vec(&metadata).map_err(|e| Error::internal(format!("safetensors header: {e}")))?;
    // Tensors start on a 64-byte boundary; the format allows spaces after the header.
    header.resize((header.len() + 8).next_multiple_of(64) - 8, b' ');

    let fail = |e: std::io::Error| Error::internal(format!("could not write file \"{}\": {e}", path.display()));
    let mut out =
        HashingWriter { inner: BufWriter::new(File::create(path).map_err(fail)?), hash: Sha256::new(), len: 0 };
    out.write_all(&(header.len() as u64).to_le_bytes()).map_err(fail)?;
    out.write_all(&header).map_err(fail)?;
    for (name, shape) in tensors {
        let bytes: Vec<u8> = next(name, shape)?.iter().flat_map(|value| value.to_le_bytes()).collect();
        out.write_all(&bytes).map_err(fail)?;
    }
    out.flush().map_err(fail)?;
    out.inner.get_ref().sync_all().map_err(fail)?;
    Ok((out.len, hex(&out.hash.finalize())))
}

struct HashingWriter<W> {
    inner: W,
    hash: Sha256,
    len: u64,
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let n = self.inner.write(bytes)?;
        self.hash.update(&bytes[..n]);
        self.len += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
