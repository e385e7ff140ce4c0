//! The functions behind the SQL declarations in `sql/`, each under the name of its symbol.

mod arguments;
mod batch;
mod buffer;
mod circumstances;
mod classify;
mod combine;
mod cost;
mod embed;
mod image_hash;
mod image_parts;
mod info;
mod note;
mod once;
mod query;
mod search;
mod stats;
mod tables;
