//! What a checkpoint calls the tensors of `layout.rs`, and in which form it holds them.

use std::collections::{BTreeMap, BTreeSet};

use super::bert;
use super::source::Source;
use crate::error::{Error, Result};
use crate::layout::{self, TEXT, VISION};
use crate::spec::ModelSpec;

/// Which library's names and forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// transformers' `CLIPModel` and `SiglipModel`.
    HuggingFace,
    /// open_clip's `CLIP`, or with the text tower under a name of its own, its `CustomTextCLIP`.
    OpenClip { text: OpenClipText },
}

/// Where open_clip has its text tower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenClipText {
    /// At the top.
    Top,
    /// Under a name of its own.
    Custom,
    /// One of transformers, under a name of its own (`hf_model.py`).
    Bert {
        /// Rows of its table of positions.
        positions: usize,
    },
}

/// Where a tensor comes from.
struct Origin {
    tensor: String,
    /// Of the tensor in the file.
    shape: Vec<usize>,
    part: Part,
    /// One row that is added to every row: the tensor, and its shape.
    added: Option<(String, Vec<usize>)>,
}

impl Origin {
    fn whole(tensor: String, shape: Vec<usize>) -> Self {
        Self { tensor, shape, part: Part::Whole, added: None }
    }
}

#[derive(Clone, Copy)]
enum Part {
    /// All of it, as it lies there.
    Whole,
    /// One of query, key and value, whose rows lie one below the other.
    Third(usize),
    /// Columns are rows: open_clip multiplies from the other side.
    Transposed,
    /// So many rows, from one on.
    Rows { first: usize, count: usize },
}

/// A checkpoint whose every tensor has its place in the layout, and which has all of them.
pub struct Checkpoint {
    source: Source,
    origins: BTreeMap<String, Origin>,
}

impl Checkpoint {
    /// Compares the tensors of `source` with those of `spec`, by name and shape.
    ///
    /// `InvalidModel` with the name of a tensor that is missing, left over or of another shape.
    pub fn new(source: Source, spec: &ModelSpec, naming: Naming) -> Result<Self> {
        let origins: BTreeMap<String, Origin> = layout::tensors(spec)
            .into_iter()
            .map(|(name, shape)| {
                let origin = naming.origin(&name, shape);
                (name, origin)
            })
            .collect();
        let mut given = source.shapes();
        let mut done = BTreeSet::new();
        let sources = |origin: &Origin| {
            let added = origin.added.clone();
            [Some((origin.tensor.clone(), origin.shape.clone())), added].into_iter().flatten()
        };
        for (tensor, shape) in origins.values().flat_map(sources) {
            match given.remove(&tensor) {
                None if done.contains(&tensor) => {}
                None => return Err(Error::invalid_model(format!("tensor \"{tensor}\" is missing"))),
                Some(other) if other != shape => {
                    return Err(Error::invalid_model(format!(
                        "tensor \"{tensor}\" has shape {other:?}, expected {shape:?}"
                    )));
                }
                Some(_) => drop(done.insert(tensor)),
            }
        }
        let scalars = [layout::LOGIT_SCALE, layout::LOGIT_BIAS];
        given.retain(|name, _| !scalars.contains(&name.as_str()) && !naming.ignored().contains(&name.as_str()));
        match given.into_keys().next() {
            Some(name) => Err(Error::invalid_model(format!(
                "tensor \"{name}\" is left over: no part of this architecture uses it"
            ))),
            None => Ok(Self { source, origins }),
        }
    }

    /// A tensor by its name in the layout, row by row.
    ///
    /// # Errors
    ///
    /// `InvalidModel` where a value is not finite, `Corrupted` where the file ends before the tensor.
    pub fn read_f32(&self, name: &str) -> Result<Vec<f32>> {
        let origin = self.origins.get(name);
        let Origin { tensor, shape, part, added } =
            origin.ok_or_else(|| Error::internal(format!("no tensor \"{name}\" in the layout")))?;
        let mut values = self.read_checked(tensor, shape)?;
        if let Some((tensor, shape)) = added {
            let row = self.read_checked(tensor, shape)?;
            for values in values.chunks_mut(row.len().max(1)) {
                values.iter_mut().zip(&row).for_each(|(value, more)| *value += more);
            }
        }
        let third = values.len() / 3;
        Ok(match (part, shape.as_slice()) {
            (Part::Third(i), _) => {
                values.truncate((i + 1) * third);
                values.split_off(i * third)
            }
            (Part::Transposed, &[rows, columns]) => {
                (0..columns).flat_map(|c| (0..rows).map(move |r| r * columns + c)).map(|at| values[at]).collect()
            }
            (Part::Rows { first, count }, &[_, width]) => {
                values.truncate((first + count) * width);
                values.split_off(first * width)
            }
            _ => values,
        })
    }

    /// A tensor of the file. `InvalidModel` where a value is not finite, `Corrupted` where the file ends before it.
    fn read_checked(&self, tensor: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let values = self.source.read_f32(tensor)?;
        if values.len() != shape.iter().product::<usize>() {
            let given = values.len();
            return Err(Error::corrupted(format!("tensor \"{tensor}\": {given} values, expected shape {shape:?}")));
        }
        match values.iter().find(|v| !v.is_finite()) {
            Some(bad) => Err(Error::invalid_model(format!("tensor \"{tensor}\" contains {bad}"))),
            None => Ok(values),
        }
    }

    /// A number that lies beside the towers. `InvalidModel` where it is not one number below `limit`.
    pub fn scalar(&self, name: &str, limit: f32) -> Result<f32> {
        match self.source.read_f32(name)?.as_slice() {
            [value] if value.is_finite() && value.abs() < limit => Ok(*value),
            other => Err(Error::invalid_model(format!(
                "tensor \"{name}\" is {:?}, expected one number below {limit}",
                &other[..other.len().min(4)]
            ))),
        }
    }
}

impl Naming {
    /// By whether the text tower's tensors have a prefix of their own.
    pub fn open_clip(shapes: &BTreeMap<String, Vec<usize>>) -> Self {
        let custom = shapes.contains_key("text.positional_embedding");
        Self::OpenClip { text: if custom { OpenClipText::Custom } else { OpenClipText::Top } }
    }

    /// Buffers of old checkpoints that hold what the config says, or 0, 1, 2, ...
    fn ignored(self) -> &'static [&'static str] {
        match self {
            Self::HuggingFace => &["text_model.embeddings.position_ids", "vision_model.embeddings.position_ids"],
            Self::OpenClip { .. } => &[
                "attn_mask",
                "context_length",
                "input_resolution",
                "vocab_size",
                "text.transformer.embeddings.position_ids",
                "text.transformer.embeddings.token_type_ids",
            ],
        }
    }

    /// Where the layout's tensor `name`, of `shape`, is in such a checkpoint.
    fn origin(self, name: &str, shape: Vec<usize>) -> Origin {
        match self {
            // The one attention that is torch's own.
            Self::HuggingFace => match name.strip_prefix("vision_model.head.attention.") {
                Some(part) => attention("vision_model.head.attention", part, shape),
                None => Origin::whole(name.to_owned(), shape),
            },
            Self::OpenClip { text: OpenClipText::Top } => open_clip(name, shape, ""),
            Self::OpenClip { text: OpenClipText::Custom } => open_clip(name, shape, "text."),
            Self::OpenClip { text: OpenClipText::Bert { positions } } => {
                open_clip_bert(name, &shape, positions).unwrap_or_else(|| open_clip(name, shape, "text."))
            }
        }
    }
}

/// A tensor of torch's `MultiheadAttention`: one matrix for query, key and value.
fn attention(prefix: &str, part: &str, mut shape: Vec<usize>) -> Origin {
    let third = ["q_proj.", "k_proj.", "v_proj."].iter().position(|p| part.starts_with(p));
    match (third, part.split_once('.')) {
        (Some(i), Some((_, what))) => {
            shape[0] *= 3;
            Origin { tensor: format!("{prefix}.in_proj_{what}"), shape, part: Part::Third(i), added: None }
        }
        _ => Origin::whole(format!("{prefix}.{part}"), shape),
    }
}

/// Where open_clip has the layout's tensor `name` (`model.py` and `transformer.py`). `text`: the prefix of its text
/// tower.
fn open_clip(name: &str, mut shape: Vec<usize>, text: &str) -> Origin {
    let projection = match name {
        "text_projection.weight" => Some(format!("{text}text_projection")),
        "visual_projection.weight" => Some("visual.proj".into()),
        _ => None,
    };
    if let Some(tensor) = projection {
        shape.reverse();
        return Origin { tensor, shape, part: Part::Transposed, added: None };
    }
    let (prefix, rest) = match (name.strip_prefix(TEXT), name.strip_prefix(VISION)) {
        (Some(rest), _) => (text, &rest[1..]),
        (_, Some(rest)) => ("visual.", &rest[1..]),
        _ => ("", name),
    };
    if let Some((layer, part)) = rest.strip_prefix("encoder.layers.").and_then(|rest| rest.split_once('.')) {
        let layer = format!("{prefix}transformer.resblocks.{layer}");
        return match part.strip_prefix("self_attn.") {
            Some(part) => attention(&format!("{layer}.attn"), part, shape),
            None => Origin::whole(format!("{layer}.{}", renamed(part, &LAYER)), shape),
        };
    }
    Origin::whole(format!("{prefix}{}", renamed(rest, &OUTSIDE)), shape)
}

/// Where open_clip has the layout's tensor `name` of a text tower that is transformers' own, whose table of positions has
/// so many rows. `None`: it is no part of that.
fn open_clip_bert(name: &str, shape: &[usize], positions: usize) -> Option<Origin> {
    match name {
        "text_projection.weight" => return Some(Origin::whole("text.proj.weight".into(), shape.to_vec())),
        "text_model.head.fc1.weight" => return Some(Origin::whole("text.proj.0.weight".into(), shape.to_vec())),
        "text_model.head.fc2.weight" => return Some(Origin::whole("text.proj.2.weight".into(), shape.to_vec())),
        _ => {}
    }
    const ENCODER: &str = "text.transformer.";
    let rest = name.strip_prefix(TEXT)?.strip_prefix('.')?;
    if let ("embeddings.position_embedding.weight", &[count, width]) = (rest, shape) {
        return Some(Origin {
            tensor: format!("{ENCODER}embeddings.position_embeddings.weight"),
            shape: vec![positions, width],
            part: Part::Rows { first: bert::FIRST_POSITION, count },
            added: Some((format!("{ENCODER}embeddings.token_type_embeddings.weight"), vec![1, width])),
        });
    }
    Some(Origin::whole(format!("{ENCODER}{}", bert::renamed(rest)?), shape.to_vec()))
}

/// Parts of a layer: in the layout, and in open_clip.
const LAYER: [(&str, &str); 4] =
    [("layer_norm1.", "ln_1."), ("layer_norm2.", "ln_2."), ("mlp.fc1.", "mlp.c_fc."), ("mlp.fc2.", "mlp.c_proj.")];

/// Parts beside the layers: in the layout, and in open_clip.
const OUTSIDE: [(&str, &str); 7] = [
    ("embeddings.token_embedding.weight", "token_embedding.weight"),
    ("embeddings.position_embedding.weight", "positional_embedding"),
    ("embeddings.class_embedding", "class_embedding"),
    ("embeddings.patch_embedding.", "conv1."),
    ("pre_layrnorm.", "ln_pre."),
    ("post_layernorm.", "ln_post."),
    ("final_layer_norm.", "ln_final."),
];

/// The name with the first prefix of `table` that it has replaced.
fn renamed(name: &str, table: &[(&str, &str)]) -> String {
    let found = table.iter().find_map(|(from, to)| Some(format!("{to}{}", name.strip_prefix(from)?)));
    found.unwrap_or_else(|| name.to_owned())
}
