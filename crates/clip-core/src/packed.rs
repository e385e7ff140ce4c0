//! What an installed weights file holds: the model's tensors as the towers read them.
//!
//! A safetensors file with one tensor an [`Entry`]: matrices packed for `packed-gemm` (as words of 32 bits), the token
//! table in bf16 where the file is not in f32, everything else in f32. Matrices come first, so that each starts on a multiple of 64
//! bytes and can be used as it is mapped.

use std::collections::HashMap;
use std::path::Path;

use half::bf16;
use packed_gemm::PackedMatrix;
use safetensors::Dtype;

use crate::error::{Error, Result};
use crate::layout::{self, TEXT, VISION};
use crate::precision::Precision;
use crate::spec::{Architecture, ModelSpec, TowerSpec};
use crate::tensor_file::{self, Described, MAX_HEADER};

/// Version of a model's whole directory: the manifest, packed weights, the compact tokenizer. A change to any of them is another.
pub const FORMAT: u32 = 1;

/// Key of the file's metadata: the [`FORMAT`] of its directory, so that a file of another one is not read as numbers that are none.
pub const VERSION: &str = "format";

/// A tensor of a weights file.
pub struct Entry {
    /// Its own name: the source's, or that of sources that were put together, as `qkv_proj`.
    pub name: String,
    /// Names in the layout of the tensors that it is made of, whose rows lie one below the other.
    pub sources: Vec<String>,
    /// What it is for, and its shape.
    pub kind: Kind,
}

/// How a tensor is read, which says how it is stored. The order is that of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The weights of a linear layer, packed for products: `[outputs, inputs]` before that.
    Matrix { outputs: usize, inputs: usize },
    /// So many values, in f32: positions, biases and norms, which are copied when a tower is read.
    Values(usize),
    /// Rows that are read one by one, `[rows, width]`: the token table.
    Table { rows: usize, width: usize },
}

impl Entry {
    /// Its type and shape in a file of `precision`. A matrix is a list of 32-bit words, whatever its numbers are.
    ///
    /// A matrix whose packed size is no number is `Internal`: the spec's bounds exclude that.
    pub fn describe(&self, precision: Precision) -> Result<Described> {
        let (dtype, shape) = match self.kind {
            Kind::Matrix { outputs, inputs } => {
                let bytes = PackedMatrix::packed_bytes(precision.packed(), outputs, inputs);
                (Dtype::U32, vec![bytes.map_err(|e| Error::internal(e.to_string()))? / 4])
            }
            Kind::Values(count) => (Dtype::F32, vec![count]),
            Kind::Table { rows, width } => (table_dtype(precision), vec![rows, width]),
        };
        Ok(Described { name: self.name.clone(), dtype, shape })
    }

    /// The tensor as it lies in the file, of its `values` in f32, row by row.
    fn bytes(&self, precision: Precision, values: &[f32]) -> Result<Vec<u8>> {
        Ok(match self.kind {
            Kind::Matrix { outputs, inputs } => {
                let packed = PackedMatrix::pack(precision.packed(), values, outputs, inputs);
                packed.map_err(|e| Error::internal(format!("{}: {e}", self.name)))?.as_bytes().to_vec()
            }
            Kind::Table { .. } if table_dtype(precision) == Dtype::BF16 => {
                values.iter().flat_map(|v| bf16::from_f32(*v).to_le_bytes()).collect()
            }
            Kind::Values(_) | Kind::Table { .. } => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        })
    }
}

/// The token table is bf16 where the matrices are not f32. It is never int8: its rows are added to positions, not
/// multiplied.
pub fn table_dtype(precision: Precision) -> Dtype {
    match precision {
        Precision::F32 => Dtype::F32,
        Precision::Bf16 | Precision::Int8 => Dtype::BF16,
    }
}

/// Writes the weights file of one precision and returns its size in bytes and its SHA-256. One tensor is in memory at
/// a time.
///
/// `read` gives a tensor of the layout by its name, in f32, row by row. Its errors end the writing.
pub fn write(
    path: &Path,
    spec: &ModelSpec,
    precision: Precision,
    mut read: impl FnMut(&str) -> Result<Vec<f32>>,
) -> Result<(u64, String)> {
    let entries = entries(spec);
    let described = entries.iter().map(|entry| entry.describe(precision)).collect::<Result<Vec<_>>>()?;
    let metadata = HashMap::from([(VERSION.to_owned(), FORMAT.to_string())]);
    tensor_file::write(path, Some(metadata), &described, |i| {
        let mut values = Vec::new();
        for source in &entries[i].sources {
            values.append(&mut read(source)?);
        }
        entries[i].bytes(precision, &values)
    })
}

/// Bytes that the tensors take in a weights file. Its header comes on top. A sum that is no number is `InvalidModel`.
pub fn bytes(spec: &ModelSpec, precision: Precision) -> Result<u64> {
    let bytes = |entry: &Entry| {
        let Described { dtype, shape, .. } = entry.describe(precision).ok()?;
        shape.iter().try_fold(dtype.bitsize() as u64 / 8, |bytes, n| bytes.checked_mul(*n as u64))
    };
    let all = |spec: &ModelSpec| entries(spec).iter().try_fold(0, |sum: u64, entry| sum.checked_add(bytes(entry)?));
    layout::sum_over_layers(spec, all).ok_or_else(|| Error::invalid_model("the model is too large"))
}

/// Bytes of a weights file's header at most: each tensor has a name of less than a hundred, its type, shape and place.
pub fn max_header(spec: &ModelSpec) -> u64 {
    count(spec).saturating_mul(300).saturating_add(4096).min(MAX_HEADER)
}

/// How many entries there are, however many layers, without a list of them.
pub fn count(spec: &ModelSpec) -> u64 {
    layout::sum_over_layers(spec, |spec| Some(entries(spec).len() as u64)).unwrap_or(u64::MAX)
}

/// All entries, in the order of the file: matrices, values, then the token table.
pub fn entries(spec: &ModelSpec) -> Vec<Entry> {
    let (text, vision) = (&spec.text, &spec.vision);
    let mut all = Builder(Vec::new());
    all.add(
        &format!("{TEXT}.embeddings.token_embedding.weight"),
        Kind::Table { rows: text.vocab_size, width: text.tower.hidden },
    );
    all.values(&format!("{TEXT}.embeddings.position_embedding.weight"), text.context_length * text.tower.hidden);
    all.encoder(TEXT, &text.tower);
    all.norm(&format!("{TEXT}.final_layer_norm"), text.tower.hidden);
    match spec.architecture {
        Architecture::Clip => all.matrix("text_projection.weight", spec.dimensions, text.tower.hidden),
        Architecture::Siglip => all.layer(&format!("{TEXT}.head"), spec.dimensions, text.tower.hidden),
    }

    let hidden = vision.tower.hidden;
    match spec.architecture {
        Architecture::Clip => {
            all.values(&format!("{VISION}.embeddings.class_embedding"), hidden);
            all.norm(&format!("{VISION}.pre_layrnorm"), hidden);
            all.matrix("visual_projection.weight", spec.dimensions, hidden);
        }
        Architecture::Siglip => {
            all.values(&format!("{VISION}.embeddings.patch_embedding.bias"), hidden);
            all.pooling_head(&format!("{VISION}.head"), &vision.tower);
        }
    }
    all.matrix(
        &format!("{VISION}.embeddings.patch_embedding.weight"),
        hidden,
        3 * vision.patch_size * vision.patch_size,
    );
    all.values(&format!("{VISION}.embeddings.position_embedding.weight"), spec.positions() * hidden);
    all.encoder(VISION, &vision.tower);
    all.norm(&format!("{VISION}.post_layernorm"), hidden);
    // Stable: a tower's parts stay together within each kind.
    all.0.sort_by_key(|entry| match entry.kind {
        Kind::Matrix { .. } => 0,
        Kind::Values(_) => 1,
        Kind::Table { .. } => 2,
    });
    all.0
}

/// Collects entries under the names of the layout.
struct Builder(Vec<Entry>);

impl Builder {
    /// An entry that is one tensor of the layout.
    fn add(&mut self, name: &str, kind: Kind) {
        self.0.push(Entry { name: name.into(), sources: vec![name.into()], kind });
    }

    fn values(&mut self, name: &str, count: usize) {
        self.add(name, Kind::Values(count));
    }

    fn matrix(&mut self, name: &str, outputs: usize, inputs: usize) {
        self.add(name, Kind::Matrix { outputs, inputs });
    }

    fn norm(&mut self, name: &str, width: usize) {
        self.values(&format!("{name}.weight"), width);
        self.values(&format!("{name}.bias"), width);
    }

    /// Layers of the same input as one matrix, their outputs side by side: one product then reads that input once.
    fn linear(&mut self, name: &str, parts: &[String], outputs: usize, inputs: usize) {
        for (what, kind) in [("weight", Kind::Matrix { outputs, inputs }), ("bias", Kind::Values(outputs))] {
            let sources = parts.iter().map(|part| format!("{part}.{what}")).collect();
            self.0.push(Entry { name: format!("{name}.{what}"), sources, kind });
        }
    }

    /// A layer that is alone with its input.
    fn layer(&mut self, name: &str, outputs: usize, inputs: usize) {
        self.linear(name, &[name.to_owned()], outputs, inputs);
    }

    fn pooling_head(&mut self, name: &str, tower: &TowerSpec) {
        let (hidden, intermediate) = (tower.hidden, tower.intermediate);
        let attention = |part: &str| format!("{name}.attention.{part}");
        self.values(&format!("{name}.probe"), hidden);
        self.layer(&attention("q_proj"), hidden, hidden);
        self.linear(&attention("kv_proj"), &["k_proj", "v_proj"].map(attention), 2 * hidden, hidden);
        self.layer(&attention("out_proj"), hidden, hidden);
        self.norm(&format!("{name}.layernorm"), hidden);
        self.layer(&format!("{name}.mlp.fc1"), intermediate, hidden);
        self.layer(&format!("{name}.mlp.fc2"), hidden, intermediate);
    }

    fn encoder(&mut self, prefix: &str, tower: &TowerSpec) {
        let (hidden, intermediate) = (tower.hidden, tower.intermediate);
        for i in 0..tower.layers {
            let layer = format!("{prefix}.encoder.layers.{i}");
            let attention = |part: &str| format!("{layer}.self_attn.{part}");
            self.norm(&format!("{layer}.layer_norm1"), hidden);
            let qkv = ["q_proj", "k_proj", "v_proj"].map(attention);
            self.linear(&attention("qkv_proj"), &qkv, 3 * hidden, hidden);
            self.linear(&attention("out_proj"), &[attention("out_proj")], hidden, hidden);
            self.norm(&format!("{layer}.layer_norm2"), hidden);
            for (part, outputs, inputs) in [("fc1", intermediate, hidden), ("fc2", hidden, intermediate)] {
                let name = format!("{layer}.mlp.{part}");
                self.linear(&name, std::slice::from_ref(&name), outputs, inputs);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Every tensor of the checkpoint's layout is in the file, once, and no other.
    #[test]
    fn entries_hold_the_layout() {
        let tower = TowerSpec {
            hidden: 6,
            layers: 2,
            heads: 2,
            intermediate: 8,
            layer_norm_eps: 1e-5,
            activation: crate::spec::Activation::Gelu,
        };
        let mut spec = crate::spec::tests::spec(tower);
        holds_the_layout(&spec);
        spec.architecture = Architecture::Siglip;
        holds_the_layout(&spec);
    }

    fn holds_the_layout(spec: &ModelSpec) {
        for precision in Precision::ALL {
            let each = entries(spec).into_iter().map(|entry| {
                let Described { dtype, shape, .. } = entry.describe(precision).unwrap();
                (shape.iter().product::<usize>() * dtype.bitsize() / 8) as u64
            });
            assert_eq!(bytes(spec, precision).unwrap(), each.sum::<u64>());
        }
        let shapes = layout::tensors(spec);
        let values = shapes.iter().map(|(_, shape)| shape.iter().product::<usize>() as u64);
        assert_eq!(layout::values(spec), Some(values.sum()));
        assert_eq!(max_header(spec), 4096 + 300 * entries(spec).len() as u64);
        let sources: Vec<String> = entries(spec).into_iter().flat_map(|entry| entry.sources).collect();
        let layout: Vec<String> = layout::tensors(spec).into_iter().map(|(name, _)| name).collect();
        assert_eq!(sources.len(), layout.len());
        assert_eq!(BTreeSet::from_iter(&sources), BTreeSet::from_iter(&layout));
        let values = |kind: Kind| match kind {
            Kind::Matrix { outputs, inputs } => outputs * inputs,
            Kind::Values(count) => count,
            Kind::Table { rows, width } => rows * width,
        };
        let given: usize = entries(spec).iter().map(|entry| values(entry.kind)).sum();
        let expected: usize = layout::tensors(spec).iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
        assert_eq!(given, expected);
    }
}
