//! `clip_embed_text`, `clip_embed_image`, with the session's model or a named one.

use clip_core::Modality;
use pgrx::pg_extern;

use crate::datum::{Vector, to_utf8};
use crate::error::OrRaise;
use crate::session;

#[pg_extern(sql = false)]
fn clip_embed_text(content: &[u8]) -> Vector {
    one(Modality::Text, None, content)
}

#[pg_extern(sql = false)]
fn clip_embed_text_model(content: &[u8], model: &str) -> Vector {
    one(Modality::Text, Some(model), content)
}

#[pg_extern(sql = false)]
fn clip_embed_image(image: &[u8]) -> Vector {
    one(Modality::Image, None, image)
}

#[pg_extern(sql = false)]
fn clip_embed_image_model(image: &[u8], model: &str) -> Vector {
    one(Modality::Image, Some(model), image)
}

fn one(modality: Modality, model: Option<&str>, input: &[u8]) -> Vector {
    let model = session::immutable_or_default(model).or_raise();
    embed_one(&model, modality, input)
}

/// One input with a model; text comes in the database's encoding.
pub(super) fn embed_one(model: &clip_core::Model, modality: Modality, input: &[u8]) -> Vector {
    let text;
    let input = match modality {
        Modality::Image => input,
        Modality::Text => {
            text = to_utf8(input);
            text.as_bytes()
        }
    };
    Vector(session::embed_one(model, modality, input).or_raise())
}
