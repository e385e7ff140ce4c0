//! Reading and writing safetensors files tensor by tensor.
//!
//! A checkpoint is read through the file descriptor, not through a memory map: a file that shrinks while it is read
//! gives an error, never a SIGBUS. The header is untrusted: its size is bounded and every offset is checked.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};
use sha2::{Digest, Sha256};

use crate::error::{Error, ErrorKind, Result};
use crate::mapping::Mapping;
use crate::regular;
use crate::watched::Watched;

/// Bytes of a header. The largest of a published checkpoint has less than a tenth, and what is parsed takes some ten
/// times as much.
pub const MAX_HEADER: u64 = 10 << 20;

/// The checked header of a safetensors file: all offsets are within the file.
struct Header {
    metadata: Metadata,
    /// Where the tensors start.
    data_start: usize,
}

/// Reads the header, of at most `most` bytes, and leaves the file behind it. `Corrupted` where it does not describe
/// the file.
fn header(file: &mut File, path: &Path, most: u64) -> Result<Header> {
    let bad = |what: String| Error::corrupted(format!("file {}: {what}", path.display()));
    let size = file.metadata().map_err(|e| missing_file(path, &e))?.len();
    let mut length = [0; 8];
    file.read_exact(&mut length).map_err(|_| bad("is shorter than a safetensors header".into()))?;
    let length = u64::from_le_bytes(length);
    if length > size.saturating_sub(8) {
        return Err(bad(format!("header of {length} bytes does not fit into {size} bytes")));
    }
    if length > most {
        return Err(bad(format!("header has {length} bytes, expected at most {most}")));
    }
    let mut json = vec![0; length as usize];
    file.read_exact(&mut json).map_err(|e| bad(e.to_string()))?;
    let metadata: Metadata =
        serde_json::from_slice(&json).map_err(|e| bad(format!("invalid safetensors header: {e}")))?;
    let (data_start, needed) = (8 + length, metadata.data_len() as u64);
    if size - data_start != needed {
        return Err(bad(format!("has {} bytes of tensors, its header says {needed}", size - data_start)));
    }
    Ok(Header { metadata, data_start: data_start as usize })
}

/// A safetensors file of an installed model, mapped read-only: all processes that map it share one copy.
pub struct MappedFile {
    header: Header,
    map: Bytes,
    watched: Watched,
}

impl MappedFile {
    /// Maps the file, whose header has at most `max_header` bytes.
    ///
    /// # Errors
    ///
    /// `MissingFile` where it cannot be read or mapped, `Corrupted` where its header does not describe it.
    pub fn open(path: &Path, max_header: u64) -> Result<Self> {
        let mut file = regular::open(path)?;
        let before = file.metadata().map_err(|e| missing_file(path, &e))?;
        let header = header(&mut file, path, max_header)?;
        let map = Arc::new(Mapping::new(&file).map_err(|e| missing_file(path, &e))?);
        let bytes = Bytes::from_owner(Shared(map.clone()));
        if bytes.len() < header.data_start + header.metadata.data_len() {
            return Err(Error::corrupted(format!("file {}: became shorter while it was opened", path.display())));
        }
        Ok(Self { header, map: bytes, watched: Watched::new(path, file, &before, map) })
    }

    /// Names, types, shapes and places of all tensors, and what else the header has.
    pub fn metadata(&self) -> &Metadata {
        &self.header.metadata
    }

    /// A tensor's bytes, without a copy.
    pub fn bytes(&self, tensor: &TensorInfo) -> Bytes {
        let (start, end) = tensor.data_offsets;
        self.map.slice(self.header.data_start + start..self.header.data_start + end)
    }

    /// What tells whether the file stays as it is, once its header has been read.
    pub fn into_watched(self) -> Watched {
        self.watched
    }
}

/// Keeps the mapping alive as long as any tensor's bytes.
struct Shared(Arc<Mapping>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        (*self.0).as_ref()
    }
}

/// An open safetensors file with its checked header.
pub struct TensorFile {
    path: PathBuf,
    file: File,
    header: Header,
}

impl TensorFile {
    /// Reads and checks the header. The tensors are read one by one, through the descriptor.
    ///
    /// # Errors
    ///
    /// `MissingFile` where the file cannot be read, `Corrupted` where its header does not describe it.
    pub fn open(path: &Path) -> Result<Self> {
        let mut file = regular::open(path)?;
        let header = header(&mut file, path, MAX_HEADER)?;
        Ok(Self { path: path.to_owned(), file, header })
    }

    /// All tensors' names and descriptions, in no particular order.
    pub fn tensors(&self) -> impl Iterator<Item = (String, &TensorInfo)> {
        self.header.metadata.tensors().into_iter()
    }

    /// One tensor's values as f32, row by row.
    ///
    /// # Errors
    ///
    /// `Corrupted` where there is no such tensor or the file ends before it, `Unsupported` for a type that [`to_f32`]
    /// does not know.
    pub fn read_f32(&self, name: &str) -> Result<Vec<f32>> {
        let info = self
            .header
            .metadata
            .info(name)
            .ok_or_else(|| Error::corrupted(format!("file {}: no tensor \"{name}\"", self.path.display())))?;
        let (start, end) = info.data_offsets;
        let mut bytes = vec![0; end - start];
        self.file
            .read_exact_at(&mut bytes, (self.header.data_start + start) as u64)
            .map_err(|e| Error::corrupted(format!("file {}: tensor \"{name}\": {e}", self.path.display())))?;
        to_f32(&bytes, info.dtype).map_err(|e| e.context(format!("tensor \"{name}\"")))
    }
}

/// The error of a file that cannot be opened or read.
pub fn missing_file(path: &Path, e: &std::io::Error) -> Error {
    Error::new(ErrorKind::MissingFile, format!("could not read file \"{}\": {e}", path.display()))
}

/// The `MissingFile` error of a path that could not be written to.
pub fn cannot_write(path: &Path, e: &std::io::Error) -> Error {
    Error::new(ErrorKind::MissingFile, format!("could not write \"{}\": {e}", path.display()))
}

/// Little-endian values of F32, F16 or BF16 as f32, which holds all of them exactly. Any other type is `Unsupported`.
pub fn to_f32(bytes: &[u8], dtype: Dtype) -> Result<Vec<f32>> {
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

/// Name, type and shape of a tensor to write.
pub struct Described {
    /// As readers look it up.
    pub name: String,
    /// The type of each value.
    pub dtype: Dtype,
    /// The outermost dimension first.
    pub shape: Vec<usize>,
}

/// Writes tensors one after the other, so that only one is in memory, and returns the file's size in bytes and its
/// SHA-256.
///
/// `next` gives the bytes of the i-th tensor, as many as its type and shape say. Its error ends the writing. A file
/// that cannot be written is `MissingFile`.
pub fn write(
    path: &Path,
    metadata: Option<HashMap<String, String>>,
    tensors: &[Described],
    mut next: impl FnMut(usize) -> Result<Vec<u8>>,
) -> Result<(u64, String)> {
    let mut offset = 0;
    let infos = tensors
        .iter()
        .map(|Described { name, dtype, shape }| {
            let start = offset;
            offset += shape.iter().product::<usize>() * dtype.bitsize() / 8;
            (name.clone(), TensorInfo { dtype: *dtype, shape: shape.clone(), data_offsets: (start, offset) })
        })
        .collect();
    let metadata = Metadata::new(metadata, infos).map_err(|e| Error::internal(format!("safetensors header: {e}")))?;
    let mut header = serde_json::to_vec(&metadata).map_err(|e| Error::internal(format!("safetensors header: {e}")))?;
    // Tensors start on a 64-byte boundary; the format allows spaces after the header.
    header.resize((header.len() + 8).next_multiple_of(64) - 8, b' ');

    let fail = |e: std::io::Error| cannot_write(path, &e);
    let mut out =
        HashingWriter { inner: BufWriter::new(File::create(path).map_err(fail)?), hash: Sha256::new(), len: 0 };
    out.write_all(&(header.len() as u64).to_le_bytes()).map_err(fail)?;
    out.write_all(&header).map_err(fail)?;
    for i in 0..tensors.len() {
        out.write_all(&next(i)?).map_err(fail)?;
    }
    out.flush().map_err(fail)?;
    out.inner.get_ref().sync_all().map_err(fail)?;
    Ok((out.len, hex(&out.hash.finalize())))
}

/// Hashes what goes by, so that the file need not be read again.
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

/// Two digits of lower case a byte.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_no_fault_of_ours() {
        let value = [Described { name: "x".into(), dtype: Dtype::U8, shape: vec![1 << 16] }];
        let error = write(Path::new("/dev/full"), None, &value, |_| Ok(vec![0; 1 << 16])).unwrap_err();
        assert_eq!(error.kind, ErrorKind::MissingFile);
        assert!(error.message.starts_with("could not write \"/dev/full\": "), "{error}");
    }
}
