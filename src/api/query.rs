//! `clip_query`: embeds with the model that a table's rows were embedded with.

use pgrx::{pg_extern, pg_sys};

use super::embed::embed_one;
use crate::datum::Vector;
use crate::registry;
use crate::stats::Kind;

#[pg_extern(sql = false)]
fn clip_query_text(relation: pg_sys::Oid, content: &[u8]) -> Vector {
    query(relation, None, Kind::Text, content)
}

#[pg_extern(sql = false)]
fn clip_query_text_column(relation: pg_sys::Oid, content: &[u8], embedding_column: &core::ffi::CStr) -> Vector {
    query(relation, Some(embedding_column), Kind::Text, content)
}

#[pg_extern(sql = false)]
fn clip_query_image(relation: pg_sys::Oid, image: &[u8]) -> Vector {
    query(relation, None, Kind::Image, image)
}

#[pg_extern(sql = false)]
fn clip_query_image_column(relation: pg_sys::Oid, image: &[u8], embedding_column: &core::ffi::CStr) -> Vector {
    query(relation, Some(embedding_column), Kind::Image, image)
}

fn query(relation: pg_sys::Oid, column: Option<&core::ffi::CStr>, kind: Kind, input: &[u8]) -> Vector {
    let model = registry::model_of(relation, column);
    embed_one(&model, kind, input)
}
