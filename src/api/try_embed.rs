//! `clip.try_embed_images`, `clip.try_embed_texts`: a batch in which a bad input is a row with its SQLSTATE and message,
//! and sinks nothing else. For work that nobody waits for: backfills and queues.

use clip_core::{Error, Model};
use pgrx::iter::TableIterator;
use pgrx::{Array, name, pg_extern};

use crate::datum::{Vector, try_utf8};
use crate::error::{OrRaise, sqlstate};
use crate::stats::{Kind, unpack};
use crate::{registry, session};

type Rows = TableIterator<
    'static,
    (name!(embedding, Option<Vector>), name!(sqlstate, Option<String>), name!(message, Option<String>)),
>;

#[pg_extern(sql = false)]
fn clip_try_embed_images(images: Array<&[u8]>, model: &str, fingerprint: &str) -> Rows {
    let model = registry::checked(model, fingerprint);
    rows(&model, Kind::Image, images.iter().map(|image| image.map(Ok)).collect())
}

#[pg_extern(sql = false)]
fn clip_try_embed_texts(contents: Array<&[u8]>, model: &str, fingerprint: &str) -> Rows {
    let model = registry::checked(model, fingerprint);
    let texts: Vec<_> = contents.iter().map(|text| text.map(try_utf8)).collect();
    let texts = texts.iter().map(|text| text.as_ref().map(|text| text.as_deref().map(str::as_bytes).ok_or(())));
    rows(&model, Kind::Text, texts.collect())
}

/// One row for each input, in order; three NULLs for NULL. `Err` is a text that has no form in UTF-8.
fn rows(model: &Model, kind: Kind, inputs: Vec<Option<Result<&[u8], ()>>>) -> Rows {
    let readable: Vec<&[u8]> = inputs.iter().filter_map(|input| input.and_then(Result::ok)).collect();
    // Of a batch of images and texts each kind has its turn, though it may have no input.
    let embedded = if readable.is_empty() { Vec::new() } else { session::try_embed(model, kind, &readable).or_raise() };
    let mut embedded = embedded.into_iter();
    let mut next = || embedded.next().unwrap_or_else(|| Err(Error::internal("an input of the batch has no embedding")));
    let rows: Vec<_> = inputs
        .into_iter()
        .map(|input| match input {
            None => (None, None, None),
            Some(Err(())) => {
                let message = "text is not valid in the encoding UTF8".to_owned();
                (None, Some("22021".to_owned()), Some(message))
            }
            Some(Ok(_)) => match next() {
                Ok(embedding) => (Some(Vector(embedding)), None, None),
                Err(e) => (None, Some(unpack(sqlstate(&e))), Some(e.message)),
            },
        })
        .collect();
    TableIterator::new(rows)
}
