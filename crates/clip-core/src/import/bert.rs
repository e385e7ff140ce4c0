//! Text encoders of BERT's kind, and of M2M-100's, inside of other checkpoints or beside them: what they are called there, and their sizes.
//!
//! open_clip's configuration, and M-CLIP's, have the encoder's name alone. Sizes of published ones are listed here; of
//! others they are the checkpoint's.

use std::collections::BTreeMap;

use super::origin::{Origin, Part};
use crate::error::{Error, Result};
use crate::layout::TEXT;
use crate::spec::*;

/// Whose names the encoder's tensors have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// RoBERTa's and XLM-RoBERTa's (transformers, `modeling_roberta.py`). Positions count from the padding token's id on,
    /// and one more (`create_position_ids_from_input_ids`), so that the first two rows are of no token.
    Roberta,
    /// BERT's, with so many types of tokens, of which the first is a text's (transformers, `modeling_bert.py`).
    Bert {
        /// Rows of the table of types.
        types: usize,
    },
    /// DistilBERT's, which has no types of tokens (transformers, `modeling_distilbert.py`).
    DistilBert,
    /// M2M-100's and NLLB's (transformers, `modeling_m2m_100.py`), whose positions count as RoBERTa's and are in no file. Rows
    /// of the table of tokens are multiplied by the root of their width.
    M2m100,
}

/// What an encoder is called in a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Names {
    /// Whose names.
    pub family: Family,
    /// What they begin with.
    pub prefix: &'static str,
    /// Rows of the table of positions.
    pub positions: usize,
    /// Tensors that follow the pooling: in the layout, and here.
    pub head: &'static [(&'static str, &'static str)],
}

impl Names {
    /// Where the layout's tensor `name` is. `None`: it is no part of the text tower.
    pub fn origin(&self, name: &str, shape: &[usize]) -> Option<Origin> {
        if let Some((_, tensor)) = self.head.iter().find(|(ours, _)| *ours == name) {
            return Some(Origin::whole((*tensor).into(), shape.to_vec()));
        }
        let rest = name.strip_prefix(TEXT)?.strip_prefix('.')?;
        let prefix = self.prefix;
        if let (Family::M2m100, &[_, width]) = (self.family, shape) {
            let part = match rest {
                "embeddings.token_embedding.weight" => Some(Part::Times((width as f64).sqrt() as f32)),
                "embeddings.position_embedding.weight" => Some(Part::Waves { first: 2 }),
                _ => None,
            };
            if let Some(part) = part {
                return Some(part.origin(format!("{prefix}{}", self.renamed(rest)?), shape.to_vec()));
            }
        }
        if let ("embeddings.position_embedding.weight", &[count, width]) = (rest, shape) {
            let types = |count| {
                let tensor = format!("{prefix}embeddings.token_type_embeddings.weight");
                Some(Box::new(Origin::whole(tensor, vec![count, width])))
            };
            let (first, added) = match self.family {
                Family::Roberta => (2, types(1)),
                Family::Bert { types: count } => (0, types(count)),
                Family::DistilBert | Family::M2m100 => (0, None),
            };
            let tensor = format!("{prefix}embeddings.position_embeddings.weight");
            return Some(Origin {
                tensor,
                shape: vec![self.positions, width],
                part: Part::Rows { first, count },
                adapter: None,
                added,
            });
        }
        Some(Origin::whole(format!("{prefix}{}", self.renamed(rest)?), shape.to_vec()))
    }

    /// Is the tensor no part of the tower? A pooler is for other tasks, the rest are buffers, of which older libraries write
    /// more.
    pub fn ignores(&self, name: &str) -> bool {
        let rest = name.strip_prefix(self.prefix);
        rest.is_some_and(|rest| match self.family {
            Family::M2m100 => rest == WAVES,
            Family::Roberta | Family::Bert { .. } | Family::DistilBert => {
                ["embeddings.position_ids", "embeddings.token_type_ids", "pooler.dense.weight", "pooler.dense.bias"]
                    .contains(&rest)
            }
        })
    }

    /// Tokens of a text at most.
    pub fn longest(&self) -> usize {
        match self.family {
            Family::Roberta => self.positions.saturating_sub(2),
            Family::Bert { .. } | Family::DistilBert | Family::M2m100 => self.positions,
        }
    }

    /// What the encoder calls a tensor of the layout, after the prefixes.
    fn renamed(&self, name: &str) -> Option<String> {
        let (layers, layer) = match self.family {
            Family::Roberta | Family::Bert { .. } => ("encoder.layer", &BERT_LAYER),
            Family::DistilBert => ("transformer.layer", &DISTILBERT_LAYER),
            Family::M2m100 => ("layers", &M2M100_LAYER),
        };
        let outside = if self.family == Family::M2m100 { &M2M100_OUTSIDE } else { &EMBEDDINGS[..] };
        let of = |table: &[(&str, &str)], name: &str| {
            table.iter().find_map(|(from, to)| Some(format!("{to}{}", name.strip_prefix(from)?)))
        };
        match name.strip_prefix("encoder.layers.").and_then(|rest| rest.split_once('.')) {
            Some((i, part)) => Some(format!("{layers}.{i}.{}", of(layer, part)?)),
            None => of(outside, name),
        }
    }
}

/// In the layout, and in BERT and all that come of it.
const EMBEDDINGS: [(&str, &str); 2] = [
    ("embeddings.token_embedding.", "embeddings.word_embeddings."),
    ("embeddings.layer_norm.", "embeddings.LayerNorm."),
];
const BERT_LAYER: [(&str, &str); 8] = [
    ("self_attn.q_proj.", "attention.self.query."),
    ("self_attn.k_proj.", "attention.self.key."),
    ("self_attn.v_proj.", "attention.self.value."),
    ("self_attn.out_proj.", "attention.output.dense."),
    ("layer_norm1.", "attention.output.LayerNorm."),
    ("mlp.fc1.", "intermediate.dense."),
    ("mlp.fc2.", "output.dense."),
    ("layer_norm2.", "output.LayerNorm."),
];
const DISTILBERT_LAYER: [(&str, &str); 8] = [
    ("self_attn.q_proj.", "attention.q_lin."),
    ("self_attn.k_proj.", "attention.k_lin."),
    ("self_attn.v_proj.", "attention.v_lin."),
    ("self_attn.out_proj.", "attention.out_lin."),
    ("layer_norm1.", "sa_layer_norm."),
    ("mlp.fc1.", "ffn.lin1."),
    ("mlp.fc2.", "ffn.lin2."),
    ("layer_norm2.", "output_layer_norm."),
];

/// A buffer, as whole a name as `ignores` sees.
const WAVES: &str = "embed_positions.weights";
const M2M100_OUTSIDE: [(&str, &str); 3] = [
    ("embeddings.token_embedding.", "embed_tokens."),
    ("embeddings.position_embedding.", "embed_positions."),
    ("final_layer_norm.", "layer_norm."),
];
const M2M100_LAYER: [(&str, &str); 8] = [
    ("self_attn.q_proj.", "self_attn.q_proj."),
    ("self_attn.k_proj.", "self_attn.k_proj."),
    ("self_attn.v_proj.", "self_attn.v_proj."),
    ("self_attn.out_proj.", "self_attn.out_proj."),
    ("layer_norm1.", "self_attn_layer_norm."),
    ("mlp.fc1.", "fc1."),
    ("mlp.fc2.", "fc2."),
    ("layer_norm2.", "final_layer_norm."),
];

/// How large an encoder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    pub hidden: usize,
    pub layers: usize,
    pub intermediate: usize,
    pub vocab_size: usize,
    /// Rows of the table of positions.
    pub positions: usize,
}

/// Names on the hub, without their owner.
const PUBLISHED: [(&str, Sizes); 4] = [
    ("xlm-roberta-base", sizes(768, 12, 250_002)),
    ("xlm-roberta-large", sizes(1024, 24, 250_002)),
    ("roberta-base", sizes(768, 12, 50_265)),
    ("roberta-large", sizes(1024, 24, 50_265)),
];

const fn sizes(hidden: usize, layers: usize, vocab_size: usize) -> Sizes {
    Sizes { hidden, layers, intermediate: 4 * hidden, vocab_size, positions: 514 }
}

/// Width of a head of every published encoder of RoBERTa's kind.
const HEAD: usize = 64;

/// Is an encoder of that name of RoBERTa's kind?
pub fn is_roberta(name: &str) -> bool {
    name.rsplit('/').next().is_some_and(|name| name.to_lowercase().contains("roberta"))
}

/// The sizes of the encoder `name` of RoBERTa's kind, whose tensors are those in `shapes` that begin with `prefix`.
///
/// # Errors
///
/// `InvalidModel` where the checkpoint has no such encoder, `Unsupported` where its width is not one of whole heads.
pub fn roberta(name: &str, shapes: &BTreeMap<String, Vec<usize>>, prefix: &str) -> Result<Sizes> {
    if let Some((_, sizes)) = PUBLISHED.iter().find(|(published, _)| name.rsplit('/').next() == Some(published)) {
        return Ok(*sizes);
    }
    let shape = |part: &str| matrix(shapes, &format!("{prefix}{part}"));
    let (vocab_size, hidden) = shape("embeddings.word_embeddings.weight")?;
    let (positions, _) = shape("embeddings.position_embeddings.weight")?;
    let (intermediate, _) = shape("encoder.layer.0.intermediate.dense.weight")?;
    if !hidden.is_multiple_of(HEAD) {
        return Err(Error::unsupported(format!(
            "text tower \"{name}\" of width {hidden} is not supported: expected heads of {HEAD}"
        )));
    }
    let layers = layers_of(shapes, &format!("{prefix}encoder.layer."));
    Ok(Sizes { hidden, layers, intermediate, vocab_size, positions })
}

/// Rows and columns of a checkpoint's matrix. `InvalidModel` where it is missing, or none.
pub fn matrix(shapes: &BTreeMap<String, Vec<usize>>, tensor: &str) -> Result<(usize, usize)> {
    match shapes.get(tensor).map(Vec::as_slice) {
        Some([rows, columns]) => Ok((*rows, *columns)),
        Some(other) => Err(Error::invalid_model(format!("tensor \"{tensor}\" has shape {other:?}, expected rows"))),
        None => Err(Error::invalid_model(format!("tensor \"{tensor}\" is missing"))),
    }
}

/// Layers of a checkpoint whose tensors are called `prefix`, then the layer's number.
pub fn layers_of(shapes: &BTreeMap<String, Vec<usize>>, prefix: &str) -> usize {
    let numbers = shapes.keys().filter_map(|name| name.strip_prefix(prefix)?.split('.').next()?.parse::<usize>().ok());
    numbers.max().map_or(0, |last| last.saturating_add(1))
}

impl Sizes {
    /// The tower, with RoBERTa's heads, activation and epsilon.
    pub fn roberta_tower(&self) -> TowerSpec {
        TowerSpec {
            hidden: self.hidden,
            layers: self.layers,
            heads: self.hidden / HEAD,
            intermediate: self.intermediate,
            layer_norm_eps: 1e-5,
            activation: Activation::Gelu,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shapes(hidden: usize) -> BTreeMap<String, Vec<usize>> {
        BTreeMap::from([
            ("t.embeddings.word_embeddings.weight".into(), vec![300, hidden]),
            ("t.embeddings.position_embeddings.weight".into(), vec![34, hidden]),
            ("t.encoder.layer.0.intermediate.dense.weight".into(), vec![96, hidden]),
            ("t.encoder.layer.10.output.dense.weight".into(), vec![hidden, 96]),
            ("t.encoder.layer.x".into(), vec![]),
        ])
    }

    #[test]
    fn sizes_of_published_encoders_and_of_others() {
        let large = roberta("FacebookAI/xlm-roberta-large", &BTreeMap::new(), "t.").unwrap();
        assert_eq!((large, large.roberta_tower().heads), (sizes(1024, 24, 250_002), 16));
        let own = roberta("mine/xlm-roberta-tiny", &shapes(128), "t.").unwrap();
        assert_eq!(own, Sizes { hidden: 128, layers: 11, intermediate: 96, vocab_size: 300, positions: 34 });
        assert!(roberta("xlm-roberta-tiny", &shapes(96), "t.").unwrap_err().message.contains("96"));
        assert!(roberta("xlm-roberta-tiny", &shapes(64), "x.").unwrap_err().message.contains("word_embeddings"));
        assert!(is_roberta("org/XLM-Roberta-Large") && is_roberta("roberta-base") && !is_roberta("bert-base-uncased"));
    }

    #[test]
    fn names() {
        let head = &[("text_projection.weight", "t.proj")];
        let names = |family| Names { family, prefix: "t.", positions: 9, head };
        let tensor = |family, name: &str, shape: &[usize]| {
            let origin = names(family).origin(name, shape)?;
            Some((origin.tensor, origin.shape, origin.added.is_some()))
        };
        let query = "text_model.encoder.layers.3.self_attn.q_proj.bias";
        for (family, name, expected) in [
            (Family::Roberta, query, "t.encoder.layer.3.attention.self.query.bias"),
            (Family::DistilBert, query, "t.transformer.layer.3.attention.q_lin.bias"),
            (Family::DistilBert, "text_model.embeddings.layer_norm.bias", "t.embeddings.LayerNorm.bias"),
            (Family::Roberta, "text_projection.weight", "t.proj"),
        ] {
            assert_eq!(tensor(family, name, &[7]), Some((expected.into(), vec![7], false)));
        }
        let positions = "text_model.embeddings.position_embedding.weight";
        let there = "t.embeddings.position_embeddings.weight";
        assert_eq!(tensor(Family::Roberta, positions, &[7, 4]), Some((there.into(), vec![9, 4], true)));
        assert_eq!(tensor(Family::DistilBert, positions, &[7, 4]), Some((there.into(), vec![9, 4], false)));
        assert_eq!((names(Family::Roberta).longest(), names(Family::DistilBert).longest()), (7, 9));
        assert_eq!(tensor(Family::Roberta, "visual_projection.weight", &[7]), None);
        assert_eq!(tensor(Family::Roberta, "text_model.encoder.layers.3.other.weight", &[7]), None);
        assert!(names(Family::Roberta).ignores("t.pooler.dense.bias"));
        assert!(!names(Family::Roberta).ignores("pooler.dense.bias"));
    }
}
