//! Between reading and writing, outside of transactions or without a snapshot: the model runs.

use std::rc::Rc;

use clip_core::{Embedding, Error, Modality, Model};

use super::failure::Failure;
use super::read::Item;
use crate::backend::session;

/// Embeds inputs of one modality: one result an input, or an error that is nobody's in particular.
pub type Embed<'a> = &'a mut dyn FnMut(&Model, Modality, &[&[u8]]) -> Result<Vec<Result<Rc<Embedding>, Error>>, Error>;

/// A row that was read, and its vector or why it has none.
pub struct Embedded<J> {
    pub job: J,
    pub modality: Modality,
    pub digest: Vec<u8>,
    pub result: Result<Rc<Embedding>, Failure>,
}

/// Embeds every row. A bad one fails alone.
pub fn embed<J>(model: &Model, items: Vec<Item<J>>, with: Embed) -> Vec<Embedded<J>> {
    let (images, texts): (Vec<_>, Vec<_>) = items.into_iter().partition(|item| item.modality == Modality::Image);
    let mut done = Vec::new();
    for (modality, items) in [(Modality::Image, images), (Modality::Text, texts)] {
        let inputs: Vec<&[u8]> = items.iter().filter_map(|item| item.input.as_deref().ok()).collect();
        let mut results = run(model, modality, &inputs, with).into_iter();
        let missing = || Err(Error::internal("an input of the batch has no embedding").into());
        done.extend(items.into_iter().map(|Item { job, digest, input, .. }| {
            let result = input.and_then(|_| results.next().unwrap_or_else(missing));
            Embedded { job, modality, digest, result: result.map_err(|failure| failure.of_modality(modality)) }
        }));
    }
    done
}

/// One result per input.
fn run(model: &Model, modality: Modality, inputs: &[&[u8]], embed: Embed) -> Vec<Result<Rc<Embedding>, Failure>> {
    if inputs.is_empty() {
        return Vec::new();
    }
    match embed(model, modality, inputs) {
        Ok(results) => results.into_iter().map(|result| result.map_err(Failure::from)).collect(),
        // Nobody knows whose fault it is: each has to try for itself.
        Err(_) if inputs.len() > 1 => {
            let alone = |input| session::embed_row(model, modality, input).map_err(Failure::from);
            inputs.iter().copied().map(alone).collect()
        }
        Err(e) => vec![Err(e.into())],
    }
}
