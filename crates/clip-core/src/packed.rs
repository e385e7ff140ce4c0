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
use crate::layout;
use crate::precision::Precision;
use crate::spec::ModelSpec;
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
    /// The format of a matrix in a file of `precision`: bf16 instead of int8 for what follows the pooling of rows.
    ///
    /// That is a ten thousandth of the multiplications, and in int8 it makes a fifth of the error.
    pub fn matrix_precision(&self, precision: Precision) -> Precision {
        let is_head = self.name.ends_with("_projection.weight")
            || self.name.contains(".head.") && !self.name.contains(".head.attention.kv_proj.");
        if precision == Precision::Int8 && is_head { Precision::Bf16 } else { precision }
    }

    /// Its type and shape in a file of `precision`. A matrix is a list of 32-bit words, whatever its numbers are.
    ///
    /// A matrix whose packed size is no number is `Internal`: the spec's bounds exclude that.
    pub fn describe(&self, precision: Precision) -> Result<Described> {
        let (dtype, shape) = match self.kind {
            Kind::Matrix { outputs, inputs } => {
                let bytes = PackedMatrix::packed_bytes(self.matrix_precision(precision).packed(), outputs, inputs);
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
                let precision = self.matrix_precision(precision).packed();
                let packed = PackedMatrix::pack(precision, values, outputs, inputs);
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

/// All entries, in the order of the file: matrices, values, then the token table. They are made of the layout's tensors.
pub fn entries(spec: &ModelSpec) -> Vec<Entry> {
    let mut all: Vec<Entry> = Vec::new();
    for (source, shape) in layout::tensors(spec) {
        let (name, kind) = (fused(&source), Kind::of(&source, &shape));
        // Weights and biases of the layers that are put together take turns.
        match all.iter_mut().rev().take(2).find(|entry| entry.name == name) {
            Some(entry) => {
                entry.kind = entry.kind.above(kind);
                entry.sources.push(source);
            }
            None => all.push(Entry { name, sources: vec![source], kind }),
        }
    }
    // Stable: a tower's parts stay together within each kind.
    all.sort_by_key(|entry| match entry.kind {
        Kind::Matrix { .. } => 0,
        Kind::Values(_) => 1,
        Kind::Table { .. } => 2,
    });
    all
}

/// The name of the entry that a tensor of the layout goes to.
///
/// Layers of the same input are one matrix, their outputs side by side: one product then reads that input once.
fn fused(name: &str) -> String {
    const LAYERS: [(&str, &str); 5] = [
        (".self_attn.q_proj.", ".self_attn.qkv_proj."),
        (".self_attn.k_proj.", ".self_attn.qkv_proj."),
        (".self_attn.v_proj.", ".self_attn.qkv_proj."),
        (".head.attention.k_proj.", ".head.attention.kv_proj."),
        (".head.attention.v_proj.", ".head.attention.kv_proj."),
    ];
    let found = LAYERS.iter().find(|(layer, _)| name.contains(layer));
    found.map_or_else(|| name.to_owned(), |(layer, whole)| name.replacen(layer, whole, 1))
}

impl Kind {
    /// How a tensor of the layout is read.
    fn of(name: &str, shape: &[usize]) -> Self {
        let count = shape.iter().product();
        match *shape {
            [rows, width] if name.ends_with(".token_embedding.weight") => Self::Table { rows, width },
            [outputs, ..] if shape.len() > 1 && name.ends_with(".weight") && !name.ends_with(POSITIONS) => {
                Self::Matrix { outputs, inputs: shape[1..].iter().product() }
            }
            _ => Self::Values(count),
        }
    }

    /// The kind of two tensors, one below the other.
    fn above(self, below: Self) -> Self {
        match (self, below) {
            (Self::Matrix { outputs, inputs }, Self::Matrix { outputs: more, .. }) => {
                Self::Matrix { outputs: outputs + more, inputs }
            }
            (Self::Values(count), Self::Values(more)) => Self::Values(count + more),
            (first, _) => first,
        }
    }
}

/// Rows that are added as they are, and no factor of a product.
const POSITIONS: &str = ".position_embedding.weight";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{
        Architecture, FastVit, Pool, Rope, RopeOrder, TextHead, TextLayers, TextPositions, TowerSpec, VisionLayers,
    };
    use std::collections::BTreeSet;

    /// A small model of so many layers.
    fn spec(layers: usize) -> ModelSpec {
        crate::spec::tests::spec(TowerSpec {
            hidden: 6,
            layers,
            heads: 2,
            intermediate: 8,
            layer_norm_eps: 1e-5,
            activation: crate::spec::Activation::Gelu,
        })
    }

    /// Every tensor of the checkpoint's layout is in the file, once, and no other.
    #[test]
    fn entries_hold_the_layout() {
        let mut spec = spec(2);
        holds_the_layout(&spec);
        for layers in [VisionLayers::Timm, VisionLayers::ConvStem, VisionLayers::FastVit(FastVit::GoldenFive)] {
            spec.vision.layers = layers;
            holds_the_layout(&spec);
        }
        spec.vision.layers = VisionLayers::Own;
        spec.architecture = Architecture::Siglip;
        holds_the_layout(&spec);
        spec.architecture = Architecture::Clip;
        let rope = Rope { reference: 3, offset: 1, order: RopeOrder::ColumnsFirst };
        for class_token in [false, true] {
            let pool = Pool { heads: 3, intermediate: 10 };
            spec.vision.layers = VisionLayers::PeCore { class_token, rope, pool };
            holds_the_layout(&spec);
        }
        for layers in [
            VisionLayers::Eva01,
            VisionLayers::Eva02 { rope },
            VisionLayers::Eva02Enormous,
            VisionLayers::JinaClip { rope },
        ] {
            spec.vision.layers = layers;
            holds_the_layout(&spec);
        }
        spec.vision.layers = VisionLayers::Own;
        for head in [TextHead::Projection, TextHead::Biased, TextHead::Mlp { intermediate: 7 }] {
            for layers in [TextLayers::Bert { head }, TextLayers::M2m100 { head }] {
                spec.text.layers = layers;
                holds_the_layout(&spec);
            }
        }
        for positions in [TextPositions::Alibi, TextPositions::Rotary { base: 10.0 }] {
            spec.text.layers = TextLayers::Jina { positions, gated: positions == TextPositions::Alibi };
            holds_the_layout(&spec);
        }
    }

    /// Heads follow the pooling, but for the keys and values of SigLIP's.
    #[test]
    fn heads_are_no_integers() {
        let mut spec = spec(1);
        let heads = |spec: &ModelSpec| -> Vec<String> {
            let heads = entries(spec).into_iter().filter(|entry| {
                matches!(entry.kind, Kind::Matrix { .. }) && entry.matrix_precision(Precision::Int8) == Precision::Bf16
            });
            heads.map(|entry| entry.name).collect()
        };
        assert_eq!(heads(&spec), ["text_projection.weight", "visual_projection.weight"]);
        spec.architecture = Architecture::Siglip;
        spec.text.layers = TextLayers::Bert { head: TextHead::Biased };
        let siglip = ["attention.q_proj", "attention.out_proj", "mlp.fc1", "mlp.fc2"];
        let siglip = siglip.map(|layer| format!("vision_model.head.{layer}.weight"));
        assert_eq!(heads(&spec), [&["text_model.head.weight".to_owned()][..], &siglip].concat());
    }

    /// What is put together, and what is a matrix.
    #[test]
    fn entries_by_name() {
        let mut spec = spec(1);
        spec.architecture = Architecture::Siglip;
        let kinds: Vec<(String, Kind)> = entries(&spec).into_iter().map(|entry| (entry.name, entry.kind)).collect();
        let matrix = |outputs, inputs| Kind::Matrix { outputs, inputs };
        for (name, kind) in [
            ("text_model.embeddings.token_embedding.weight", Kind::Table { rows: 11, width: 6 }),
            ("text_model.embeddings.position_embedding.weight", Kind::Values(42)),
            ("text_model.encoder.layers.0.self_attn.qkv_proj.weight", matrix(18, 6)),
            ("text_model.encoder.layers.0.self_attn.qkv_proj.bias", Kind::Values(18)),
            ("text_model.encoder.layers.0.self_attn.out_proj.weight", matrix(6, 6)),
            ("text_model.encoder.layers.0.layer_norm1.weight", Kind::Values(6)),
            ("text_model.encoder.layers.0.mlp.fc1.weight", matrix(8, 6)),
            ("vision_model.embeddings.patch_embedding.weight", matrix(6, 48)),
            ("vision_model.head.probe", Kind::Values(6)),
            ("vision_model.head.attention.q_proj.weight", matrix(6, 6)),
            ("vision_model.head.attention.kv_proj.weight", matrix(12, 6)),
            ("vision_model.head.attention.kv_proj.bias", Kind::Values(12)),
        ] {
            assert!(kinds.contains(&(name.to_owned(), kind)), "{name}: {kinds:?}");
        }
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
