//! `embed`: the engine's embeddings on standard output.

use std::io::{self, Write};

use clip_core::image::ReadOptions;
use clip_core::{Compute, Context, Error, Model, ModelDir, Precision, Result};
use serde::Serialize;

use crate::args::Input;
use crate::files::read;
use crate::remarks::warn;

#[derive(Serialize)]
struct Line<'a> {
    kind: &'static str,
    dims: usize,
    embedding: &'a [f32],
}

/// How inputs are read.
pub struct Reading<'a> {
    pub images: ReadOptions,
    /// Of texts; `None`: the model's own.
    pub language: Option<&'a str>,
}

pub fn embed(
    name: &str,
    precision: Option<Precision>,
    inputs: &[Input],
    reading: &Reading,
    threads: usize,
    models: &ModelDir,
) -> Result<()> {
    let model = Model::new(models.open(name)?, precision)?;
    let compute = Compute::new(threads)?;
    let ctx = Context { compute: &compute, stop: &|| false };
    for input in inputs {
        let (kind, embeddings) = match input {
            Input::Text(text) => ("text", model.embed_texts_in(&[text], reading.language, &ctx)?),
            Input::Image(path) => {
                let embedded =
                    model.embed_images(&[&read(path)?], reading.images, &ctx).map_err(|e| e.context(path.display()))?;
                embedded.iter().for_each(|embedding| warn(path, embedding.remarks));
                ("image", embedded)
            }
        };
        for embedding in embeddings {
            let line = serde_json::to_string(&Line { kind, dims: embedding.len(), embedding: &embedding })
                .map_err(|e| Error::internal(e.to_string()))?;
            writeln!(io::stdout(), "{line}").map_err(|e| Error::internal(e.to_string()))?;
        }
    }
    Ok(())
}
