//! The weights of an installed model, mapped into memory: nothing is read before it is used, and all processes that
//! use a model share one copy.

use std::collections::BTreeMap;

use bytes::Bytes;
use half::bf16;
use packed_gemm::PackedMatrix;

use crate::error::{Error, Result};
use crate::installed::{Installed, MANIFEST, damaged};
use crate::packed::{self, FORMAT, Kind};
use crate::precision::Precision;
use crate::tensor_file::MappedFile;
use crate::watched::Watched;

/// A file that should have more tensors than this, and has less than half of them, is refused without a look at their
/// names.
const MANY: u64 = 10_000;

/// A mapped weights file, whose parts are known by the names of [`packed::entries`].
pub struct Weights {
    precision: Precision,
    parts: BTreeMap<String, Part>,
    watched: Watched,
}

/// What lies in the file under a name.
struct Part {
    kind: Kind,
    /// Of a matrix.
    precision: Precision,
    bytes: Bytes,
}

impl Weights {
    /// Maps the file and compares its header with what the spec expects: every part, no other, each of its shape.
    ///
    /// # Errors
    ///
    /// `MissingFile` where the file cannot be read, `Corrupted` where its header is not the expected one.
    pub fn open(model: &Installed, precision: Precision) -> Result<Self> {
        let file = MappedFile::open(&model.dir.join(precision.file()), packed::max_header(model.spec()))?;
        let metadata = file.metadata().metadata().as_ref();
        // The first files had none.
        if let Some(format) =
            metadata.and_then(|m| m.get(packed::VERSION)).filter(|format| **format != FORMAT.to_string())
        {
            let (name, file) = (&model.name, precision.file());
            return Err(damaged(format!("model \"{name}\": {file} has format {format}, {MANIFEST} has {FORMAT}")));
        }
        let mut given = file.metadata().tensors();
        let expected = packed::count(model.spec());
        if expected > MANY.max(2 * given.len() as u64) {
            let given = given.len();
            return Err(Error::corrupted(format!("model \"{}\": {given} tensors, expected {expected}", model.name)));
        }
        let mut parts = BTreeMap::new();
        for entry in packed::entries(model.spec()) {
            let expected = entry.describe(precision)?;
            let wrong = |what: String| {
                Error::corrupted(format!("model \"{}\": tensor \"{}\" {what}", model.name, expected.name))
            };
            let info = given.remove(&entry.name).ok_or_else(|| wrong(format!("is not in {}", precision.file())))?;
            if (info.dtype, &info.shape) != (expected.dtype, &expected.shape) {
                return Err(wrong(format!(
                    "of type {:?} and shape {:?} is not what the model's spec expects",
                    info.dtype, info.shape
                )));
            }
            let part = Part { kind: entry.kind, precision: entry.matrix_precision(precision), bytes: file.bytes(info) };
            parts.insert(entry.name, part);
        }
        match given.keys().next() {
            Some(name) => Err(Error::corrupted(format!(
                "model \"{}\": tensor \"{name}\" is not what the model's spec expects",
                model.name
            ))),
            None => Ok(Self { precision, parts, watched: file.into_watched() }),
        }
    }

    /// What tells whether the file stays as it is while it is used.
    pub fn watched(&self) -> &Watched {
        &self.watched
    }

    /// A part by its name. One that does not exist is `Internal`: `open` has seen all of them.
    fn part(&self, name: &str) -> Result<&Part> {
        self.parts.get(name).ok_or_else(|| Error::internal(format!("no part \"{name}\" in a weights file")))
    }

    /// The weights of a linear layer, in the map: nothing is copied or read.
    pub fn matrix(&self, name: &str) -> Result<PackedMatrix> {
        let Part { kind: Kind::Matrix { outputs, inputs }, precision, bytes } = self.part(name)? else {
            return Err(Error::internal(format!("\"{name}\" is no matrix")));
        };
        PackedMatrix::from_bytes(precision.packed(), bytes.clone(), *outputs, *inputs)
            .map_err(|e| Error::corrupted(format!("tensor \"{name}\": {e}")))
    }

    /// A copy in f32 of values that are no matrix, for the small parts.
    pub fn values(&self, name: &str) -> Result<Vec<f32>> {
        Ok(self.part(name)?.bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect())
    }

    /// The rows of a table, in the map.
    pub fn table(&self, name: &str) -> Result<Table> {
        let Part { kind: Kind::Table { rows, width }, bytes, .. } = self.part(name)? else {
            return Err(Error::internal(format!("\"{name}\" is no table")));
        };
        Ok(Table { bytes: bytes.clone(), precision: self.precision, rows: *rows, width: *width })
    }
}

/// Rows that are read from the map one by one.
pub struct Table {
    bytes: Bytes,
    precision: Precision,
    rows: usize,
    width: usize,
}

impl Table {
    /// Values of a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Appends a row to `out`, as f32. A row beyond the table is `Internal`.
    pub fn read(&self, row: usize, out: &mut Vec<f32>) -> Result<()> {
        let size = self.bytes.len() / self.rows;
        let bytes = self.bytes.get(row * size..(row + 1) * size);
        let bytes = bytes.ok_or_else(|| Error::internal(format!("row {row}, expected less than {}", self.rows)))?;
        match self.precision {
            Precision::F32 => out.extend(bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b))),
            Precision::Bf16 | Precision::Int8 => {
                out.extend(bytes.as_chunks::<2>().0.iter().map(|b| bf16::from_le_bytes(*b).to_f32()))
            }
        }
        Ok(())
    }
}
