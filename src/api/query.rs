//! `clip_query`: embeds with the model that a table's rows were embedded with.

use clip_core::Modality;
use pgrx::{pg_extern, pg_sys};

use super::embed::embed_one;
use crate::datum::Vector;
use crate::registry;

#[pg_extern(sql = false)]
fn clip_query_text(relation: pg_sys::Oid, content: &[u8]) -> Vector {
    query(relation, None, Modality::Text, content)
}

#[pg_extern(sql = false)]
fn clip_query_text_column(relation: pg_sys::Oid, content: &[u8], embedding_column: &core::ffi::CStr) -> Vector {
    query(relation, Some(embedding_column), Modality::Text, content)
}

#[pg_extern(sql = false)]
fn clip_query_image(relation: pg_sys::Oid, image: &[u8]) -> Vector {
    query(relation, None, Modality::Image, image)
}

#[pg_extern(sql = false)]
fn clip_query_image_column(relation: pg_sys::Oid, image: &[u8], embedding_column: &core::ffi::CStr) -> Vector {
    query(relation, Some(embedding_column), Modality::Image, image)
}

fn query(relation: pg_sys::Oid, column: Option<&core::ffi::CStr>, modality: Modality, input: &[u8]) -> Vector {
    let model = registry::model_of(relation, column);
    embed_one(&model, modality, input)
}
