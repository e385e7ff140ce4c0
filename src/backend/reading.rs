//! What settings say of how an input becomes a vector, beside model and precision.

use clip_core::image::ReadOptions;

use crate::guc;

/// How images are read, and which language texts are in.
pub struct Reading {
    pub images: ReadOptions,
    /// `None`: that which the model's tokenizer names.
    pub language: Option<String>,
}

impl Reading {
    /// Of what a session asks with.
    pub fn of_queries() -> Self {
        Self { images: guc::read_options(), language: guc::text_language() }
    }

    /// Of rows, whoever's session embeds them: a language that somebody has SET for queries is not theirs.
    pub fn of_rows() -> Self {
        Self { images: guc::read_options(), language: guc::text_language_of_rows() }
    }

    /// Where a function is given a model, and IMMUTABLE: by no setting but those that refuse.
    pub fn immutable_or_default(model: Option<&str>) -> Self {
        match model {
            Some(_) => Self { images: ReadOptions::from(&guc::limits()), language: None },
            None => Self::of_queries(),
        }
    }
}
