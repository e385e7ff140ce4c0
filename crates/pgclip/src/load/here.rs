//! `--embed-here`: vectors that are computed by this program.

use std::sync::Mutex;

use clip_core::image::ReadOptions;
use clip_core::{Compute, Context, Error, ErrorKind, Model, Result};

use super::options::Options;
use super::report::Failure;
use super::table::Table;
use super::work::Row;

pub struct Engine {
    model: Model,
    compute: Compute,
    options: ReadOptions,
    language: Option<String>,
    /// One batch at a time, which has all threads.
    turn: Mutex<()>,
    texts: bool,
}

impl Engine {
    /// The table's model, as it is installed here.
    pub fn new(options: &Options, table: &Table) -> Result<Self> {
        let hint = format!(
            "Install it with `pgclip pull` or `pgclip import`, from the files that the server's {} is of.",
            table.model
        );
        let installed = options.models.open()?.open(&table.model).map_err(|e| match e.kind {
            ErrorKind::UnknownModel => e.with_hint(hint.clone()),
            _ => e,
        })?;
        if installed.manifest.fingerprint != table.fingerprint {
            let message = format!("model \"{}\" here is another than the one of table {}", table.model, table.name);
            return Err(Error::new(ErrorKind::InvalidModel, message).with_hint(hint));
        }
        if table.keeps_images && !table.is_async {
            let message = format!(
                "table {} keeps images and embeds them as they are written, so that vectors from here would be overwritten",
                table.name
            );
            return Err(Error::new(ErrorKind::InvalidArgument, message)
                .with_hint(format!("Run SELECT clip_set_mode('{}', 'async').", table.name)));
        }
        let model = Model::new(installed, None)?;
        model.load()?;
        // In mode sync the server embeds texts whatever comes with them.
        let texts = table.is_async;
        Ok(Self {
            model,
            compute: Compute::new(options.threads)?,
            options: options.reading.options(),
            language: options.language.clone(),
            turn: Mutex::new(()),
            texts,
        })
    }

    /// Vectors in the place of images, and beside texts. What cannot be embedded leaves the batch.
    pub fn embed(&self, rows: &mut Vec<Row>, keep_images: bool) -> Result<Vec<Failure>> {
        let ctx = Context { compute: &self.compute, stop: &|| false };
        let _turn = self.turn.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let images: Vec<&[u8]> = rows.iter().filter_map(|row| row.image.as_deref()).collect();
        let mut embedded = self.model.try_embed_images(&images, self.options, &ctx)?.into_iter();
        let texts: Vec<&str> =
            rows.iter().filter(|row| row.is_text && self.texts).map(|row| row.reference.as_str()).collect();
        let mut of_texts = self.model.embed_texts_in(&texts, self.language.as_deref(), &ctx)?.into_iter();
        let mut failures = Vec::new();
        for mut row in std::mem::take(rows) {
            if row.image.is_some() {
                match embedded.next() {
                    Some(Ok(vector)) => {
                        crate::remarks::warn(row.file.as_ref(), vector.remarks);
                        row.vector = Some(vector.to_vec());
                        if !keep_images {
                            row.image = None;
                        }
                    }
                    Some(Err(e)) => {
                        failures.push(Failure::new(row.file, e.to_string()));
                        continue;
                    }
                    None => return Err(Error::internal("an image has no embedding")),
                }
            } else if row.is_text && self.texts {
                row.vector = of_texts.next().map(|vector| vector.to_vec());
            }
            rows.push(row);
        }
        Ok(failures)
    }
}
