//! What Jina CLIP's checkpoints call their tensors (`eva_model.py`, `modeling_xlm_roberta.py`, `modeling_bert.py`, `modeling_lora.py`
//! of Jina AI's implementations).

use super::naming::renamed;
use super::origin::{Adapter, Origin, Part};
use crate::layout::{TEXT, VISION};

/// What is not the same in all of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Names {
    /// The text tower is JinaBERT's, whose MLPs are gated; else XLM-RoBERTa's.
    pub gated: bool,
    /// Rows of the table of token types.
    pub types: usize,
    /// What is added to matrices and tables of the text tower.
    pub adapter: Option<Lora>,
}

/// An adapter of several (LoRA, arXiv 2106.09685; `LoRAParametrization`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lora {
    /// Values between its two matrices.
    pub rank: usize,
    /// How many adapters there are.
    pub tasks: usize,
    /// Which one is taken.
    pub task: usize,
    /// The product's factor.
    pub scale: f32,
}

impl Names {
    /// Buffers that hold what the configuration says, which older code wrote.
    pub fn ignores(name: &str) -> bool {
        let of_vision = name.strip_prefix(VISION).is_some();
        of_vision && (name.ends_with("rope.freqs_cos") || name.ends_with("rope.freqs_sin"))
    }

    /// Where the layout's tensor `name`, of `shape`, is.
    pub fn origin(&self, name: &str, shape: Vec<usize>) -> Origin {
        let part = |prefix: &str| name.strip_prefix(prefix)?.strip_prefix('.');
        match (part(VISION), part(TEXT)) {
            (Some(rest), _) => vision(rest, shape),
            (_, Some(rest)) => self.text(rest, shape),
            (None, None) => Origin::whole(name.to_owned(), shape),
        }
    }

    /// Of the text tower.
    fn text(&self, rest: &str, shape: Vec<usize>) -> Origin {
        // The class that adds adapters wraps the other.
        let prefix = if self.adapter.is_some() { "text_model.transformer.roberta" } else { "text_model.transformer" };
        if rest == "embeddings.token_embedding.weight" {
            let table = |name: &str, shape| {
                let table = format!("{prefix}.embeddings.{name}_embeddings");
                self.adapted(&table, shape, Part::Whole, true)
            };
            let types = shape.last().map(|width| Box::new(table("token_type", vec![self.types, *width])));
            return Origin { added: types, ..table("word", shape) };
        }
        let Some((layer, part)) = rest.strip_prefix("encoder.layers.").and_then(|rest| rest.split_once('.')) else {
            return Origin::whole(
                format!("{prefix}.{}", renamed(rest, &[("embeddings.layer_norm.", "emb_ln.")])),
                shape,
            );
        };
        let (name, stacked) = match part {
            _ if part.starts_with("self_attn.q_proj.") => ("mixer.Wqkv", Some((0, 3))),
            _ if part.starts_with("self_attn.k_proj.") => ("mixer.Wqkv", Some((1, 3))),
            _ if part.starts_with("self_attn.v_proj.") => ("mixer.Wqkv", Some((2, 3))),
            _ if part.starts_with("self_attn.out_proj.") => ("mixer.out_proj", None),
            // the half that passes the activation comes first
            "mlp.gate.weight" => ("mlp.gated_layers", Some((0, 2))),
            "mlp.fc1.weight" if self.gated => ("mlp.gated_layers", Some((1, 2))),
            "mlp.fc2.weight" | "mlp.fc2.bias" if self.gated => ("mlp.wo", None),
            "mlp.fc1.weight" | "mlp.fc1.bias" => ("mlp.fc1", None),
            "mlp.fc2.weight" | "mlp.fc2.bias" => ("mlp.fc2", None),
            _ => {
                let part = renamed(part, &[("layer_norm", "norm")]);
                return Origin::whole(format!("{prefix}.encoder.layers.{layer}.{part}"), shape);
            }
        };
        let (module, part) = (
            format!("{prefix}.encoder.layers.{layer}.{name}"),
            stacked.map_or(Part::Whole, |(index, of)| Part::Stacked { index, of }),
        );
        match shape.len() {
            1 => part.origin(format!("{module}.bias"), shape),
            _ => self.adapted(&module, shape, part, false),
        }
    }

    /// A part of a layer's weight, to which the adapter is added. `table`: the layer is no product, which swaps the two.
    fn adapted(&self, module: &str, shape: Vec<usize>, part: Part, table: bool) -> Origin {
        let Some(Lora { rank, tasks, task, scale }) = self.adapter else {
            return part.origin(format!("{module}.weight"), shape);
        };
        let weight = format!("{module}.parametrizations.weight");
        let mut origin = part.origin(format!("{weight}.original"), shape);
        if let &[rows, columns] = origin.shape.as_slice() {
            let named = |name: &str, shape: [usize; 3]| (format!("{weight}.0.lora_{name}"), shape.to_vec());
            let (left, right) = if table { ("A", "B") } else { ("B", "A") };
            let (left, right) = (named(left, [tasks, rows, rank]), named(right, [tasks, rank, columns]));
            origin.adapter = Some(Adapter { left, right, task, scale });
        }
        origin
    }
}

/// Of the vision tower.
fn vision(rest: &str, mut shape: Vec<usize>) -> Origin {
    let name = match rest.strip_prefix("encoder.layers.").and_then(|rest| rest.split_once('.')) {
        Some((layer, part)) => format!("blocks.{layer}.{}", renamed(part, &LAYER)),
        None => renamed(rest, &OUTSIDE),
    };
    match rest {
        // one for each image of a batch
        "embeddings.position_embedding.weight" => shape.insert(0, 1),
        "embeddings.class_embedding" => shape = [vec![1, 1], shape].concat(),
        _ => {}
    }
    Origin::whole(format!("{VISION}.{name}"), shape)
}

/// Parts of a layer: in the layout, and there.
const LAYER: [(&str, &str); 10] = [
    ("layer_norm", "norm"),
    ("self_attn.q_proj.bias", "attn.q_bias"),
    ("self_attn.v_proj.bias", "attn.v_bias"),
    ("self_attn.layer_norm.", "attn.inner_attn_ln."),
    ("self_attn.out_proj.", "attn.proj."),
    ("self_attn.", "attn."),
    ("mlp.gate.", "mlp.w1."),
    ("mlp.fc1.", "mlp.w2."),
    ("mlp.fc2.", "mlp.w3."),
    ("mlp.layer_norm.", "mlp.ffn_ln."),
];

/// Parts beside the layers: in the layout, and there.
const OUTSIDE: [(&str, &str); 4] = [
    ("embeddings.class_embedding", "cls_token"),
    ("embeddings.position_embedding.weight", "pos_embed"),
    ("embeddings.patch_embedding.", "patch_embed.proj."),
    ("post_layernorm.", "norm."),
];
