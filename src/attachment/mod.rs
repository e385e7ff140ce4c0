//! An embedded column of a table: what its vectors are made of, and how its triggers are told.

mod altered;
pub mod registry;
mod source;
mod trigger_spec;
mod update;

pub use source::{Sources, UnknownModality};
pub use trigger_spec::{Images, TriggerSpec, source_columns, wrong};
pub use update::{Change, Source, Vector};
