//! `clip_embed_text`, `clip_embed_image`, with the session's model or a named one.

use clip_core::{Modality, Model};

use super::once::once_functions;
use crate::backend::reading::Reading;
use crate::backend::{remarks, session};
use crate::error::OrRaise;
use crate::pg::datum::{Vector, to_utf8};

once_functions! {
    clip_embed_text_wrapper(Varlena), Settings, |given| one(Modality::Text, None, given.bytes(0));
    clip_embed_text_model_wrapper(Varlena, Varlena), Settings, |given| one(Modality::Text, Some(&given.text(1)), given.bytes(0));
    clip_embed_image_wrapper(Varlena), Settings, |given| one(Modality::Image, None, given.bytes(0));
    clip_embed_image_model_wrapper(Varlena, Varlena), Settings, |given| one(Modality::Image, Some(&given.text(1)), given.bytes(0));
}

fn one(modality: Modality, model: Option<&str>, input: &[u8]) -> Vector {
    let reading = Reading::immutable_or_default(model);
    let model = session::immutable_or_default(model).or_raise();
    embed_one(&model, modality, input, &reading)
}

/// One input with a model; text comes in the database's encoding.
pub(super) fn embed_one(model: &Model, modality: Modality, input: &[u8], reading: &Reading) -> Vector {
    let text;
    let input = match modality {
        Modality::Image => input,
        Modality::Text => {
            text = to_utf8(input);
            text.as_bytes()
        }
    };
    let embedding = session::embed_one_as(model, modality, input, reading).or_raise();
    remarks::warn_of(&embedding);
    Vector(embedding)
}
