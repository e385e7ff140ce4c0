//! Between the two transactions: the model runs.

use std::rc::Rc;

use clip_core::Embedding;

use super::attachment::Attachment;
use super::attempt::Failure;
use super::claim::{Group, Item, Job};
use crate::session;
use crate::stats::Kind;

/// Inputs of a call. As many as the engine takes in one pass: more would gain nothing, and a bad image costs the others
/// of its call.
const IMAGES: usize = 8;
const TEXTS: usize = 32;

/// A row whose vector is there or cannot be.
pub struct Done {
    pub job: Job,
    pub kind: Kind,
    pub digest: [u8; 32],
    pub result: Result<Rc<Embedding>, Failure>,
}

/// Embeds every row of a group. A bad one fails alone. `alive` is asked between passes.
pub fn embed(group: Group, alive: &dyn Fn()) -> (Attachment, Vec<Done>) {
    let Group { table, model, items } = group;
    let (images, texts): (Vec<Item>, Vec<Item>) = items.into_iter().partition(|item| item.kind == Kind::Image);
    let mut done = Vec::new();
    for (kind, size, items) in [(Kind::Image, IMAGES, images), (Kind::Text, TEXTS, texts)] {
        let mut items = items.into_iter().peekable();
        while items.peek().is_some() {
            alive();
            let pass: Vec<Item> = items.by_ref().take(size).collect();
            let results = run(&model, kind, &pass.iter().map(|item| item.bytes.as_slice()).collect::<Vec<_>>());
            done.extend(pass.into_iter().zip(results).map(|(item, result)| Done {
                job: item.job,
                kind,
                digest: item.digest,
                result,
            }));
        }
    }
    (table, done)
}

/// One result per input.
fn run(model: &clip_core::Model, kind: Kind, inputs: &[&[u8]]) -> Vec<Result<Rc<Embedding>, Failure>> {
    let mut results: Vec<Option<Result<Rc<Embedding>, Failure>>> = inputs.iter().map(|_| None).collect();
    let mut left: Vec<usize> = (0..inputs.len()).collect();
    while !left.is_empty() {
        match session::embed(model, kind, &left.iter().map(|i| inputs[*i]).collect::<Vec<_>>()) {
            Ok(embeddings) => {
                for (i, embedding) in left.drain(..).zip(embeddings) {
                    results[i] = Some(Ok(embedding));
                }
            }
            Err(e) => match e.item {
                Some(item) if item < left.len() => results[left.remove(item)] = Some(Err(e.into())),
                // Nobody knows whose fault it is: each has to try for itself.
                _ if left.len() > 1 => {
                    for i in left.drain(..) {
                        let alone = session::embed_one(model, kind, inputs[i]);
                        results[i] = Some(alone.map_err(Failure::from));
                    }
                }
                _ => results[left.remove(0)] = Some(Err(e.into())),
            },
        }
    }
    let lost = || {
        Err(Failure::new(
            pgrx::pg_sys::errcodes::PgSqlErrorCode::ERRCODE_INTERNAL_ERROR,
            "an input of the batch has no result",
        ))
    };
    results.into_iter().map(|result| result.unwrap_or_else(lost)).collect()
}
