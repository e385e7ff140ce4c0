//! `clip_embed_texts`, `clip_embed_images`: one forward pass for many inputs, order and shape kept, NULL in gives NULL out.

use clip_core::{Error, Modality};
use pgrx::Array;

use super::once::once_functions;
use crate::backend::reading::Reading;
use crate::backend::{remarks, session};
use crate::error::OrRaise;
use crate::pg::datum::{VectorArray, utf8_all};

once_functions! {
    clip_embed_texts_wrapper(Varlena), Settings, |given| many(Modality::Text, None, given.array(0));
    clip_embed_texts_model_wrapper(Varlena, Varlena), Settings, |given| many(Modality::Text, Some(&given.text(1)), given.array(0));
    clip_embed_images_wrapper(Varlena), Settings, |given| many(Modality::Image, None, given.array(0));
    clip_embed_images_model_wrapper(Varlena, Varlena), Settings, |given| many(Modality::Image, Some(&given.text(1)), given.array(0));
}

fn many(modality: Modality, model: Option<&str>, inputs: Array<&[u8]>) -> VectorArray {
    let reading = Reading::immutable_or_default(model);
    let model = session::immutable_or_default(model).or_raise();
    let given: Vec<Option<&[u8]>> = inputs.iter().collect();
    let present = given.iter().flatten().copied();
    let embedded = match modality {
        Modality::Image => {
            session::embed_as(&model, modality, &present.collect::<Vec<_>>(), &reading).map_err(|e| by_place(e, &given))
        }
        Modality::Text => {
            let texts = utf8_all(present);
            let texts: Vec<&[u8]> = texts.iter().map(|text| text.as_bytes()).collect();
            session::embed_as(&model, modality, &texts, &reading)
        }
    };
    let mut embedded = embedded.or_raise().into_iter();
    let elements: Vec<_> = given.iter().map(|input| input.and_then(|_| embedded.next())).collect();
    for (place, embedding) in elements.iter().enumerate() {
        if let Some(message) = embedding.as_deref().and_then(remarks::incomplete) {
            remarks::warn(format!("image {}: {message}", place + 1));
        }
    }
    VectorArray::new(elements, inputs)
}

/// The same failure with the image's place in the array, NULLs included.
fn by_place(e: Error, given: &[Option<&[u8]>]) -> Error {
    let mut places = given.iter().enumerate().filter(|(_, image)| image.is_some()).map(|(place, _)| place);
    match e.item.and_then(|item| places.nth(item)) {
        Some(place) => e.context(format!("image {}", place + 1)),
        None => e,
    }
}
