//! `clip_query`: embeds with the model that a table's rows were embedded with.

use clip_core::Modality;
use pgrx::pg_sys;

use super::embed::embed_one;
use super::once::once_functions;
use crate::attachment::registry;
use crate::backend::reading::Reading;
use crate::pg::datum::Vector;

once_functions! {
    clip_query_text_wrapper(Value, Varlena), Attachments, |given| query(given.oid(0), None, Modality::Text, given.bytes(1));
    clip_query_text_column_wrapper(Value, Varlena, Name), Attachments, |given| {
        query(given.oid(0), Some(given.name(2)), Modality::Text, given.bytes(1))
    };
    clip_query_image_wrapper(Value, Varlena), Attachments, |given| query(given.oid(0), None, Modality::Image, given.bytes(1));
    clip_query_image_column_wrapper(Value, Varlena, Name), Attachments, |given| {
        query(given.oid(0), Some(given.name(2)), Modality::Image, given.bytes(1))
    };
}

fn query(relation: pg_sys::Oid, column: Option<&core::ffi::CStr>, modality: Modality, input: &[u8]) -> Vector {
    let model = registry::model_of(relation, column);
    embed_one(&model, modality, input, &Reading::of_queries())
}
