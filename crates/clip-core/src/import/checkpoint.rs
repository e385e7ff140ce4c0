//! What a checkpoint calls the tensors of `layout.rs`, and in which form it holds them.

use std::collections::{BTreeMap, BTreeSet};

use super::source::Source;
use crate::error::{Error, Result};
use crate::layout::{self, TEXT, VISION};
use crate::spec::{Architecture, ModelSpec};

/// Which library's names and forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// transformers' `CLIPModel` and `SiglipModel`.
    HuggingFace,
    /// open_clip's `CLIP`, or with the text tower under a name of its own, its `CustomTextCLIP`. `timm`: the vision tower is
    /// timm's.
    OpenClip { custom_text: bool, timm: bool },
}

/// Where a tensor comes from.
struct Origin {
    tensor: String,
    /// Of the tensor in the file.
    shape: Vec<usize>,
    part: Part,
}

#[derive(Clone, Copy)]
enum Part {
    /// All of it, as it lies there.
    Whole,
    /// One of several matrices of equal sizes, as query, key and value, whose rows lie one below the other.
    Stacked { index: usize, of: usize },
    /// Columns are rows: open_clip multiplies from the other side.
    Transposed,
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
        for Origin { tensor, shape, .. } in origins.values() {
            match given.remove(tensor) {
                None if done.contains(tensor) => {}
                None => return Err(Error::invalid_model(format!("tensor \"{tensor}\" is missing"))),
                Some(other) if other != *shape => {
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
        let Origin { tensor, shape, part } =
            origin.ok_or_else(|| Error::internal(format!("no tensor \"{name}\" in the layout")))?;
        let mut values = self.source.read_f32(tensor)?;
        if values.len() != shape.iter().product::<usize>() {
            let given = values.len();
            return Err(Error::corrupted(format!("tensor \"{tensor}\": {given} values, expected shape {shape:?}")));
        }
        if let Some(bad) = values.iter().find(|v| !v.is_finite()) {
            return Err(Error::invalid_model(format!("tensor \"{tensor}\" contains {bad}")));
        }
        Ok(match (part, shape.as_slice()) {
            (Part::Stacked { index, of }, _) => {
                let each = values.len() / of;
                values.truncate((index + 1) * each);
                values.split_off(index * each)
            }
            (Part::Transposed, &[rows, columns]) => {
                (0..columns).flat_map(|c| (0..rows).map(move |r| r * columns + c)).map(|at| values[at]).collect()
            }
            _ => values,
        })
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
    /// By whether the text tower's tensors have a prefix of their own. SigLIP's vision tower is timm's.
    pub fn open_clip(source: &Source, architecture: Architecture) -> Self {
        let custom_text = source.shapes().contains_key("text.positional_embedding");
        Self::OpenClip { custom_text, timm: architecture == Architecture::Siglip }
    }

    /// Buffers of old checkpoints that hold what the config says, or 0, 1, 2, ...
    fn ignored(self) -> &'static [&'static str] {
        match self {
            Self::HuggingFace => &["text_model.embeddings.position_ids", "vision_model.embeddings.position_ids"],
            Self::OpenClip { .. } => &["attn_mask", "context_length", "input_resolution", "vocab_size"],
        }
    }

    /// Where the layout's tensor `name`, of `shape`, is in such a checkpoint.
    fn origin(self, name: &str, shape: Vec<usize>) -> Origin {
        match self {
            // The one attention that is torch's own.
            Self::HuggingFace => match name.strip_prefix("vision_model.head.attention.") {
                Some(part) => attention("vision_model.head.attention", part, shape),
                None => Part::Whole.origin(name.to_owned(), shape),
            },
            Self::OpenClip { custom_text, timm } => {
                let of_vision = name.strip_prefix(VISION).and_then(|rest| rest.strip_prefix('.'));
                match of_vision.filter(|_| timm) {
                    Some(rest) => timm_vision(rest, shape),
                    None => open_clip(name, shape, if custom_text { "text." } else { "" }),
                }
            }
        }
    }
}

/// A tensor of torch's `MultiheadAttention`: one matrix for query, key and value.
fn attention(prefix: &str, part: &str, shape: Vec<usize>) -> Origin {
    match stacked(part, &["q_proj.", "k_proj.", "v_proj."]) {
        Some((what, part)) => part.origin(format!("{prefix}.in_proj_{what}"), shape),
        None => Part::Whole.origin(format!("{prefix}.{part}"), shape),
    }
}

/// Weight or bias of one of the projections in `names`, which lie in one matrix. `None` for other parts of an attention.
fn stacked<'a>(part: &'a str, names: &[&str]) -> Option<(&'a str, Part)> {
    let found = names.iter().enumerate().find_map(|(index, name)| Some((index, part.strip_prefix(name)?)));
    found.map(|(index, what)| (what, Part::Stacked { index, of: names.len() }))
}

impl Part {
    /// The part of `tensor` that has `shape`.
    fn origin(self, tensor: String, mut shape: Vec<usize>) -> Origin {
        match self {
            Self::Whole => {}
            Self::Stacked { of, .. } => shape[0] *= of,
            Self::Transposed => shape.reverse(),
        }
        Origin { tensor, shape, part: self }
    }
}

/// Where open_clip has the layout's tensor `name` (`model.py` and `transformer.py`). `text`: the prefix of its text
/// tower.
fn open_clip(name: &str, shape: Vec<usize>, text: &str) -> Origin {
    let projection = match name {
        "text_projection.weight" => Some(format!("{text}text_projection")),
        "visual_projection.weight" => Some("visual.proj".into()),
        _ => None,
    };
    if let Some(tensor) = projection {
        return Part::Transposed.origin(tensor, shape);
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
            None => Part::Whole.origin(format!("{layer}.{}", renamed(part, &LAYER)), shape),
        };
    }
    Part::Whole.origin(format!("{prefix}{}", renamed(rest, &OUTSIDE)), shape)
}

/// Where timm's `VisionTransformer` with attention pooling has the vision tower's tensor `rest` (`vision_transformer.py`,
/// `attention_pool.py`).
fn timm_vision(rest: &str, mut shape: Vec<usize>) -> Origin {
    const TRUNK: &str = "visual.trunk";
    if let Some((layer, part)) = rest.strip_prefix("encoder.layers.").and_then(|rest| rest.split_once('.')) {
        let fused = part.strip_prefix("self_attn.").and_then(|part| stacked(part, &["q_proj.", "k_proj.", "v_proj."]));
        return match fused {
            Some((what, part)) => part.origin(format!("{TRUNK}.blocks.{layer}.attn.qkv.{what}"), shape),
            None => Part::Whole.origin(format!("{TRUNK}.blocks.{layer}.{}", renamed(part, &TIMM_LAYER)), shape),
        };
    }
    let fused = rest.strip_prefix("head.attention.").and_then(|part| stacked(part, &["k_proj.", "v_proj."]));
    if let Some((what, part)) = fused {
        return part.origin(format!("{TRUNK}.attn_pool.kv.{what}"), shape);
    }
    if rest == "embeddings.position_embedding.weight" {
        // one for each image of a batch
        shape.insert(0, 1);
    }
    Part::Whole.origin(format!("{TRUNK}.{}", renamed(rest, &TIMM_OUTSIDE)), shape)
}

/// Parts of a layer: in the layout, and in open_clip.
const LAYER: [(&str, &str); 4] =
    [("layer_norm1.", "ln_1."), ("layer_norm2.", "ln_2."), ("mlp.fc1.", "mlp.c_fc."), ("mlp.fc2.", "mlp.c_proj.")];

/// Parts beside the layers: in the layout, and in open_clip.
const OUTSIDE: [(&str, &str); 8] = [
    ("embeddings.token_embedding.weight", "token_embedding.weight"),
    ("embeddings.position_embedding.weight", "positional_embedding"),
    ("embeddings.class_embedding", "class_embedding"),
    ("embeddings.patch_embedding.", "conv1."),
    ("pre_layrnorm.", "ln_pre."),
    ("post_layernorm.", "ln_post."),
    ("final_layer_norm.", "ln_final."),
    // SigLIP's projection, which has a bias
    ("head.", "text_projection."),
];

/// Parts of a layer: in the layout, and in timm.
const TIMM_LAYER: [(&str, &str); 3] =
    [("layer_norm1.", "norm1."), ("layer_norm2.", "norm2."), ("self_attn.out_proj.", "attn.proj.")];

/// Parts beside the layers: in the layout, and in timm.
const TIMM_OUTSIDE: [(&str, &str); 8] = [
    ("embeddings.patch_embedding.", "patch_embed.proj."),
    ("embeddings.position_embedding.weight", "pos_embed"),
    ("post_layernorm.", "norm."),
    ("head.probe", "attn_pool.latent"),
    ("head.attention.q_proj.", "attn_pool.q."),
    ("head.attention.out_proj.", "attn_pool.proj."),
    ("head.layernorm.", "attn_pool.norm."),
    ("head.mlp.", "attn_pool.mlp."),
];

/// The name with the first prefix of `table` that it has replaced.
fn renamed(name: &str, table: &[(&str, &str)]) -> String {
    let found = table.iter().find_map(|(from, to)| Some(format!("{to}{}", name.strip_prefix(from)?)));
    found.unwrap_or_else(|| name.to_owned())
}
