//! `clip_embed_text`, `clip_embed_image`, with the session's model or a named one.

use pgrx::pg_extern;

use crate::datum::{Vector, to_utf8};
use crate::error::OrRaise;
use crate::session;
use crate::stats::Kind;

#[pg_extern(sql = false)]
fn clip_embed_text(content: &[u8]) -> Vector {
    one(Kind::Text, None, content)
}

#[pg_extern(sql = false)]
fn clip_embed_text_model(content: &[u8], model: &str) -> Vector {
    one(Kind::Text, Some(model), content)
}

#[pg_extern(sql = false)]
fn clip_embed_image(image: &[u8]) -> Vector {
    one(Kind::Image, None, image)
}

#[pg_extern(sql = false)]
fn clip_embed_image_model(image: &[u8], model: &str) -> Vector {
    one(Kind::Image, Some(model), image)
}

fn one(kind: Kind, model: Option<&str>, input: &[u8]) -> Vector {
    let model = session::immutable_or_default(model).or_raise();
    embed_one(&model, kind, input)
}

/// One input with a model; text comes in the database's encoding.
pub(super) fn embed_one(model: &clip_core::Model, kind: Kind, input: &[u8]) -> Vector {
    let text;
    let input = match kind {
        Kind::Image => input,
        Kind::Text => {
            text = to_utf8(input);
            text.as_bytes()
        }
    };
    Vector(session::embed_one(model, kind, input).or_raise())
}
