//! A loaded model: texts and images in, embeddings out.

use std::cell::OnceCell;

use candle_core::Tensor;

use crate::calibrate::{Means, centre, normalize, uncentre};
use crate::classify;
use crate::compute::Context;
use crate::error::{Error, Result};
use crate::image::{self, Limits};
use crate::installed::{Installed, TOKENIZER};
use crate::merges;
use crate::precision::Precision;
use crate::spec::{Calibration, ModelSpec};
use crate::tensor_file::missing_file;
use crate::text::Tokenizer;
use crate::towers::{TextTower, VisionTower};
use crate::weights::Weights;

/// Items of one forward pass: enough to fill the cores, few enough that memory stays small and cancelling is quick.
const IMAGES_PER_PASS: usize = 8;
const TEXTS_PER_PASS: usize = 32;

/// An L2-normalised vector of the model's space.
pub type Embedding = Vec<f32>;

/// A model whose parts are read on first use, each on its own.
pub struct Model {
    installed: Installed,
    tokenizer: OnceCell<Tokenizer>,
    precision: Precision,
    weights: OnceCell<Weights>,
    text: OnceCell<TextTower>,
    vision: OnceCell<VisionTower>,
}

impl Model {
    /// With weights in `precision`, or in the fastest one that is installed; fails with `Unsupported` where that is not.
    pub fn new(installed: Installed, precision: Option<Precision>) -> Result<Self> {
        Ok(Self {
            precision: installed.precision(precision)?,
            installed,
            tokenizer: OnceCell::new(),
            weights: OnceCell::new(),
            text: OnceCell::new(),
            vision: OnceCell::new(),
        })
    }

    pub fn precision(&self) -> Precision {
        self.precision
    }

    pub fn installed(&self) -> &Installed {
        &self.installed
    }

    pub fn spec(&self) -> &ModelSpec {
        self.installed.spec()
    }

    fn means(&self) -> Option<&Means> {
        match &self.spec().calibration {
            Calibration::None => None,
            Calibration::Means(means) => Some(means),
        }
    }

    /// Zero-shot classification: the probability of each label, from embeddings of this model (see [`classify`]).
    ///
    /// The softmax's scale was learnt on plain vectors, so a calibrated model's are taken back to those.
    pub fn classify(&self, image: &[f32], labels: &[&[f32]]) -> Vec<f32> {
        let scale = self.spec().logit_scale;
        match self.means() {
            None => classify::probabilities(image, labels, scale),
            Some(means) => {
                let labels: Vec<_> = labels.iter().map(|label| uncentre(label, &means.text)).collect();
                classify::probabilities(&uncentre(image, &means.image), &labels, scale)
            }
        }
    }

    /// Reads everything that a first use would read.
    pub fn load(&self) -> Result<()> {
        self.tokenizer()?;
        self.text_tower()?;
        self.vision_tower().map(|_| ())
    }

    /// Has a tower been read?
    pub fn is_loaded(&self) -> bool {
        self.text.get().is_some() || self.vision.get().is_some()
    }

    pub fn embed_texts(&self, texts: &[&str], ctx: &Context) -> Result<Vec<Embedding>> {
        let tokenizer = self.tokenizer()?;
        let mut all = Vec::with_capacity(texts.len());
        for pass in texts.chunks(TEXTS_PER_PASS) {
            ctx.check()?;
            let ids = pass.iter().map(|text| tokenizer.encode(text)).collect::<Result<Vec<_>>>()?;
            all.extend(self.embed_tokens(&ids, ctx)?);
        }
        Ok(all)
    }

    /// Embeds token ids, one sequence a text, as the tokenizer gives them.
    pub fn embed_tokens(&self, ids: &[Vec<u32>], ctx: &Context) -> Result<Vec<Embedding>> {
        let ids: Vec<&[u32]> = ids.iter().map(Vec::as_slice).collect();
        finish(self.text_tower()?.forward(&ids, ctx)?, self.means().map(|means| &*means.text))
    }

    /// Embeds encoded images (JPEG, PNG, ...). The error of a bad one says which it is, counted from 1.
    pub fn embed_images(&self, images: &[&[u8]], limits: &Limits, ctx: &Context) -> Result<Vec<Embedding>> {
        let spec = &self.spec().image;
        let mut all = Vec::with_capacity(images.len());
        for (pass, chunk) in images.chunks(IMAGES_PER_PASS).enumerate() {
            let mut pixels = Vec::with_capacity(chunk.len());
            // As many at a time as there are threads, so that cancelling waits for one image at most.
            for (i, group) in chunk.chunks(ctx.compute.threads()).enumerate() {
                ctx.check()?;
                let first = pass * IMAGES_PER_PASS + i * ctx.compute.threads();
                let decoded = ctx.compute.team().map(group.len(), |i| image::pixel_values(group[i], limits, spec));
                for (j, result) in decoded.into_iter().enumerate() {
                    pixels.push(result.map_err(|e| match images.len() {
                        1 => e,
                        _ => e.context(format!("image {}", first + j + 1)),
                    })?);
                }
            }
            all.extend(self.embed_pixels(&pixels, ctx)?);
        }
        Ok(all)
    }

    /// Embeds pixel values, `[3, size, size]` an image, as the preprocessing gives them.
    pub fn embed_pixels(&self, pixels: &[Vec<f32>], ctx: &Context) -> Result<Vec<Embedding>> {
        finish(self.vision_tower()?.forward(pixels, ctx)?, self.means().map(|means| &*means.image))
    }

    pub fn tokenizer(&self) -> Result<&Tokenizer> {
        get_or_load(&self.tokenizer, || {
            let context_length = self.spec().text.context_length;
            if self.installed.manifest.files.contains_key(merges::FILE) {
                return Tokenizer::open_compact(&self.installed.dir.join(merges::FILE), context_length);
            }
            let path = self.installed.dir.join(TOKENIZER);
            let bytes = std::fs::read(&path).map_err(|e| missing_file(&path, &e))?;
            Tokenizer::from_bytes(&bytes, context_length)
        })
    }

    fn weights(&self) -> Result<&Weights> {
        get_or_load(&self.weights, || Weights::open(&self.installed, self.precision))
    }

    fn text_tower(&self) -> Result<&TextTower> {
        get_or_load(&self.text, || TextTower::load(self.weights()?, self.spec()))
    }

    fn vision_tower(&self) -> Result<&VisionTower> {
        get_or_load(&self.vision, || VisionTower::load(self.weights()?, self.spec()))
    }
}

fn get_or_load<T>(cell: &OnceCell<T>, load: impl FnOnce() -> Result<T>) -> Result<&T> {
    if cell.get().is_none() {
        // Nobody else can have filled it: the cell is not shared between threads.
        let _ = cell.set(load()?);
    }
    cell.get().ok_or_else(|| Error::internal("part of a model was not loaded"))
}

/// Rows to unit length, and where the spec has means, around the modality's; a row that has no direction is an error,
/// never a made-up vector.
fn finish(rows: Tensor, mean: Option<&[f32]>) -> Result<Vec<Embedding>> {
    let mut rows: Vec<Embedding> = rows.to_vec2()?;
    for row in &mut rows {
        let done = normalize(row).and_then(|()| mean.map_or(Some(()), |mean| centre(row, mean)));
        done.ok_or_else(|| Error::internal("the model gave a vector without a direction"))?;
    }
    Ok(rows)
}
