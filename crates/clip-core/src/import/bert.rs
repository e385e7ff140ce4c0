//! Text encoders that are RoBERTa's or XLM-RoBERTa's (transformers, `modeling_roberta.py`), inside of other checkpoints:
//! what they are called there, and their sizes.
//!
//! open_clip's configuration has the encoder's name alone. Sizes of published ones are listed here; of others they are
//! the checkpoint's.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::spec::*;

/// Positions count from the padding token's id on, and one more (`create_position_ids_from_input_ids`).
pub const FIRST_POSITION: usize = 2;
/// Width of a head of every published encoder of these families.
const HEAD: usize = 64;

/// How large an encoder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    pub hidden: usize,
    pub layers: usize,
    pub intermediate: usize,
    pub vocab_size: usize,
    /// Rows of the table of positions, of which the first two are of no token.
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

/// Is an encoder of that name of these families?
pub fn is_known(name: &str) -> bool {
    name.rsplit('/').next().is_some_and(|name| name.contains("roberta"))
}

/// The sizes of the encoder `name`, whose tensors are those in `shapes` that begin with `prefix`.
///
/// # Errors
///
/// `InvalidModel` where the checkpoint has no such encoder, `Unsupported` where its width is not one of whole heads.
pub fn of(name: &str, shapes: &BTreeMap<String, Vec<usize>>, prefix: &str) -> Result<Sizes> {
    if let Some((_, sizes)) = PUBLISHED.iter().find(|(published, _)| name.rsplit('/').next() == Some(published)) {
        return Ok(*sizes);
    }
    let shape = |part: &str| {
        let tensor = format!("{prefix}{part}");
        match shapes.get(&tensor).map(Vec::as_slice) {
            Some([rows, columns]) => Ok((*rows, *columns)),
            Some(other) => Err(Error::invalid_model(format!("tensor \"{tensor}\" has shape {other:?}, expected rows"))),
            None => Err(Error::invalid_model(format!("tensor \"{tensor}\" is missing"))),
        }
    };
    let (vocab_size, hidden) = shape("embeddings.word_embeddings.weight")?;
    let (positions, _) = shape("embeddings.position_embeddings.weight")?;
    let (intermediate, _) = shape("encoder.layer.0.intermediate.dense.weight")?;
    if !hidden.is_multiple_of(HEAD) {
        return Err(Error::unsupported(format!(
            "text tower \"{name}\" of width {hidden} is not supported: expected heads of {HEAD}"
        )));
    }
    let layers = format!("{prefix}encoder.layer.");
    let numbers = shapes.keys().filter_map(|name| name.strip_prefix(&layers)?.split('.').next()?.parse::<usize>().ok());
    Ok(Sizes {
        hidden,
        layers: numbers.max().map_or(0, |last| last.saturating_add(1)),
        intermediate,
        vocab_size,
        positions,
    })
}

impl Sizes {
    /// The tower, with RoBERTa's activation and epsilon.
    pub fn tower(&self) -> TowerSpec {
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

/// What the encoder calls the layout's tensor, of which `name` is what follows the tower's prefix. `None`: it is none of
/// the encoder's.
pub fn renamed(name: &str) -> Option<String> {
    const EMBEDDINGS: [(&str, &str); 2] = [
        ("embeddings.token_embedding.", "embeddings.word_embeddings."),
        ("embeddings.layer_norm.", "embeddings.LayerNorm."),
    ];
    const LAYER: [(&str, &str); 8] = [
        ("self_attn.q_proj.", "attention.self.query."),
        ("self_attn.k_proj.", "attention.self.key."),
        ("self_attn.v_proj.", "attention.self.value."),
        ("self_attn.out_proj.", "attention.output.dense."),
        ("layer_norm1.", "attention.output.LayerNorm."),
        ("mlp.fc1.", "intermediate.dense."),
        ("mlp.fc2.", "output.dense."),
        ("layer_norm2.", "output.LayerNorm."),
    ];
    let of = |table: &[(&str, &str)], name: &str| {
        table.iter().find_map(|(from, to)| Some(format!("{to}{}", name.strip_prefix(from)?)))
    };
    match name.strip_prefix("encoder.layers.").and_then(|rest| rest.split_once('.')) {
        Some((layer, part)) => Some(format!("encoder.layer.{layer}.{}", of(&LAYER, part)?)),
        None => of(&EMBEDDINGS, name),
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
        assert_eq!(of("FacebookAI/xlm-roberta-large", &BTreeMap::new(), "t.").unwrap(), sizes(1024, 24, 250_002));
        let own = of("mine/xlm-roberta-tiny", &shapes(128), "t.").unwrap();
        assert_eq!(own, Sizes { hidden: 128, layers: 11, intermediate: 96, vocab_size: 300, positions: 34 });
        assert_eq!(own.tower().heads, 2);
        assert!(of("xlm-roberta-tiny", &shapes(96), "t.").unwrap_err().message.contains("96"));
        assert!(of("xlm-roberta-tiny", &shapes(64), "x.").unwrap_err().message.contains("word_embeddings"));
    }

    #[test]
    fn names() {
        assert!(is_known("xlm-roberta-base") && is_known("org/roberta-base") && !is_known("bert-base-uncased"));
        assert_eq!(renamed("embeddings.layer_norm.bias").as_deref(), Some("embeddings.LayerNorm.bias"));
        let query = renamed("encoder.layers.3.self_attn.q_proj.weight");
        assert_eq!(query.as_deref(), Some("encoder.layer.3.attention.self.query.weight"));
        assert_eq!(renamed("head.weight"), None);
        assert_eq!(renamed("encoder.layers.3.other.weight"), None);
    }
}
