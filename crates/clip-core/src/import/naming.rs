//! What libraries call the tensors of `layout.rs`, and in which form they hold them.

use std::collections::BTreeMap;

use super::origin::{Origin, Part};
use super::{bert, eva, jina_names};
use crate::layout::{TEXT, VISION};

/// Which library's names and forms.
#[derive(Clone, Debug, PartialEq)]
pub enum Naming {
    /// transformers' `CLIPModel` and `SiglipModel`.
    HuggingFace {
        /// An encoder of BERT's kind, where that is the text tower.
        text: Option<bert::Names>,
    },
    /// transformers' `Siglip2Model`: the same, but for what makes rows of patches.
    Siglip2,
    /// open_clip's `CLIP`, or with the text tower under a name of its own, its `CustomTextCLIP`.
    OpenClip {
        /// Where its text tower is.
        text: OpenClipText,
        /// The vision tower is timm's.
        timm: bool,
    },
    /// An encoder of texts beside a model for its images.
    Beside {
        /// Of the other model.
        images: Box<Naming>,
        /// Of the encoder.
        texts: bert::Names,
        /// The other model's text tower.
        left_out: Vec<String>,
    },
    /// open_clip's with timm's `Eva` as vision tower.
    Eva {
        /// Of the vision tower.
        images: eva::Names,
        /// Of all else.
        rest: Box<Naming>,
    },
    /// Jina CLIP's.
    Jina(jina_names::Names),
}

/// Where open_clip has its text tower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenClipText {
    /// At the top.
    Top,
    /// Under a name of its own.
    Custom,
    /// One of transformers, under a name of its own (`hf_model.py`).
    Encoder(bert::Names),
}

impl Naming {
    /// Names of open_clip's towers, by whether the text tower's tensors have a prefix of their own. `timm`: the vision tower
    /// is timm's.
    pub fn open_clip(shapes: &BTreeMap<String, Vec<usize>>, timm: bool) -> Self {
        let custom = shapes.contains_key("text.positional_embedding");
        Self::OpenClip { text: if custom { OpenClipText::Custom } else { OpenClipText::Top }, timm }
    }

    /// Is the tensor no part of the model? So are buffers of old checkpoints, which hold what the config says, or 0, 1, 2
    /// and so on.
    pub fn ignores(&self, name: &str) -> bool {
        match self {
            Self::Siglip2 => Self::HuggingFace { text: None }.ignores(name),
            Self::HuggingFace { text } => {
                ["text_model.embeddings.position_ids", "vision_model.embeddings.position_ids"].contains(&name)
                    || text.is_some_and(|names| names.ignores(name))
            }
            Self::OpenClip { text, timm } => {
                ["attn_mask", "context_length", "input_resolution", "vocab_size"].contains(&name)
                    // steps of the training of a batch norm
                    || (*timm && name.starts_with(TRUNK) && name.ends_with(".num_batches_tracked"))
                    || matches!(text, OpenClipText::Encoder(names) if names.ignores(name))
            }
            Self::Beside { images, texts, left_out } => {
                images.ignores(name) || texts.ignores(name) || left_out.iter().any(|other| other == name)
            }
            Self::Eva { rest, .. } => rest.ignores(name),
            Self::Jina(_) => jina_names::Names::ignores(name),
        }
    }

    /// Where the layout's tensor `name`, of `shape`, is in such a checkpoint.
    pub fn origin(&self, name: &str, shape: Vec<usize>) -> Origin {
        match self {
            // A linear layer, for which pixels of a patch lie row by row with their colours side by side.
            Self::Siglip2 if name == "vision_model.embeddings.patch_embedding.weight" => {
                Part::ChannelsLast.origin(name.to_owned(), shape)
            }
            Self::Siglip2 => Self::HuggingFace { text: None }.origin(name, shape),
            Self::HuggingFace { text } => {
                text.and_then(|names| names.origin(name, &shape)).unwrap_or_else(|| {
                    match name.strip_prefix("vision_model.head.attention.") {
                        // The one attention that is torch's own.
                        Some(part) => attention("vision_model.head.attention", part, shape),
                        None => Origin::whole(name.to_owned(), shape),
                    }
                })
            }
            Self::OpenClip { text, timm } => {
                let of_vision = name.strip_prefix(VISION).and_then(|rest| rest.strip_prefix('.'));
                let of_vision = of_vision.or(name.starts_with(VISUAL_PROJECTION).then_some(name));
                match (of_vision.filter(|_| *timm), text) {
                    (Some(rest), _) => timm_vision(rest, shape),
                    (None, OpenClipText::Top) => open_clip(name, shape, ""),
                    (None, OpenClipText::Custom) => open_clip(name, shape, "text."),
                    (None, OpenClipText::Encoder(names)) => {
                        names.origin(name, &shape).unwrap_or_else(|| open_clip(name, shape, "text."))
                    }
                }
            }
            Self::Beside { images, texts, .. } => {
                texts.origin(name, &shape).unwrap_or_else(|| images.origin(name, shape))
            }
            Self::Eva { images, rest } => images.origin(name, &shape).unwrap_or_else(|| rest.origin(name, shape)),
            Self::Jina(names) => names.origin(name, shape),
        }
    }
}

/// A tensor of torch's `MultiheadAttention`: one matrix for query, key and value.
fn attention(prefix: &str, part: &str, shape: Vec<usize>) -> Origin {
    match stacked(part, &["q_proj.", "k_proj.", "v_proj."]) {
        Some((what, part)) => part.origin(format!("{prefix}.in_proj_{what}"), shape),
        None => Origin::whole(format!("{prefix}.{part}"), shape),
    }
}

/// Weight or bias of one of the projections in `names`, which lie in one matrix. `None` for other parts of an attention.
fn stacked<'a>(part: &'a str, names: &[&str]) -> Option<(&'a str, Part)> {
    let found = names.iter().enumerate().find_map(|(index, name)| Some((index, part.strip_prefix(name)?)));
    found.map(|(index, what)| (what, Part::Stacked { index, of: names.len() }))
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
            None => Origin::whole(format!("{layer}.{}", renamed(part, &LAYER)), shape),
        };
    }
    Origin::whole(format!("{prefix}{}", renamed(rest, &OUTSIDE)), shape)
}

/// What names of timm's vision tower begin with.
pub const TRUNK: &str = "visual.trunk";
/// What names of the layout's projection of images begin with.
const VISUAL_PROJECTION: &str = "visual_projection.";

/// Where timm's `VisionTransformer` has the vision tower's tensor `rest`, or its projection (`vision_transformer.py`,
/// `attention_pool.py`).
fn timm_vision(rest: &str, mut shape: Vec<usize>) -> Origin {
    if let Some((layer, part)) = rest.strip_prefix("encoder.layers.").and_then(|rest| rest.split_once('.')) {
        let fused = part.strip_prefix("self_attn.").and_then(|part| stacked(part, &["q_proj.", "k_proj.", "v_proj."]));
        return match fused {
            Some((what, part)) => part.origin(format!("{TRUNK}.blocks.{layer}.attn.qkv.{what}"), shape),
            None => Origin::whole(format!("{TRUNK}.blocks.{layer}.{}", renamed(part, &TIMM_LAYER)), shape),
        };
    }
    let fused = rest.strip_prefix("head.attention.").and_then(|part| stacked(part, &["k_proj.", "v_proj."]));
    if let Some((what, part)) = fused {
        return part.origin(format!("{TRUNK}.attn_pool.kv.{what}"), shape);
    }
    match rest {
        // one for each image of a batch
        "embeddings.position_embedding.weight" => shape.insert(0, 1),
        "embeddings.class_embedding" => shape = [vec![1, 1], shape].concat(),
        _ => {}
    }
    Origin::whole(format!("{TRUNK}.{}", renamed(rest, &TIMM_OUTSIDE)), shape)
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
const TIMM_OUTSIDE: [(&str, &str); 11] = [
    ("embeddings.class_embedding", "cls_token"),
    ("pre_layrnorm.", "norm_pre."),
    (VISUAL_PROJECTION, "head."),
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
pub fn renamed(name: &str, table: &[(&str, &str)]) -> String {
    let found = table.iter().find_map(|(from, to)| Some(format!("{to}{}", name.strip_prefix(from)?)));
    found.unwrap_or_else(|| name.to_owned())
}
