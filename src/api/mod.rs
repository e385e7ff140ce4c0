//! The functions behind the SQL declarations in `sql/`, each under the name of its symbol.

mod batch;
mod classify;
mod embed;
mod info;
mod note;
mod query;
mod search;
mod stats;
mod tables;
