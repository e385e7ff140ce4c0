//! Between the two transactions: the model runs.

use std::rc::Rc;

use clip_core::{Embedding, Error, Model};

use super::attachment::Attachment;
use super::attempt::Failure;
use super::claim::{Group, Item, Job};
use crate::session;
use crate::stats::Kind;

/// Embeds inputs of one kind: one result an input, or an error that is nobody's in particular.
pub type Embed<'a> = &'a mut dyn FnMut(&Model, Kind, &[&[u8]]) -> Result<Vec<Result<Rc<Embedding>, Error>>, Error>;

/// A row whose vector is there or cannot be.
pub struct Done {
    pub job: Job,
    pub result: Result<Work, Failure>,
}

/// What is to be done with a row.
pub enum Work {
    /// Write the vector of what was read.
    Write {
        kind: Kind,
        digest: [u8; 32],
        embedding: Rc<Embedding>,
    },
    ClearImage,
}

/// Embeds every row of a group. A bad one fails alone.
pub fn embed(group: Group, with: Embed) -> (Attachment, Vec<Done>) {
    let Group { table, model, items, to_clear } = group;
    let (images, texts): (Vec<Item>, Vec<Item>) = items.into_iter().partition(|item| item.kind == Kind::Image);
    let mut done: Vec<_> = to_clear.into_iter().map(|job| Done { job, result: Ok(Work::ClearImage) }).collect();
    for (kind, items) in [(Kind::Image, images), (Kind::Text, texts)] {
        let inputs: Vec<&[u8]> = items.iter().map(|item| item.bytes.as_slice()).collect();
        let results = run(&model, kind, &inputs, with);
        done.extend(items.into_iter().zip(results).map(|(item, result)| Done {
            job: item.job,
            result: result.map(|embedding| Work::Write { kind, digest: item.digest, embedding }),
        }));
    }
    (table, done)
}

/// One result per input.
fn run(model: &Model, kind: Kind, inputs: &[&[u8]], embed: Embed) -> Vec<Result<Rc<Embedding>, Failure>> {
    if inputs.is_empty() {
        return Vec::new();
    }
    match embed(model, kind, inputs) {
        Ok(results) => results.into_iter().map(|result| result.map_err(Failure::from)).collect(),
        // Nobody knows whose fault it is: each has to try for itself.
        Err(_) if inputs.len() > 1 => {
            let alone = |input| session::embed_one(model, kind, input).map_err(Failure::from);
            inputs.iter().copied().map(alone).collect()
        }
        Err(e) => vec![Err(e.into())],
    }
}
