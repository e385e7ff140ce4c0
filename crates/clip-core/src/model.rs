//! A loaded model: texts and images in, embeddings out.

use std::sync::OnceLock;

use candle_core::Tensor;

use crate::calibrate::{Means, centre, normalize, uncentre};
use crate::classify;
use crate::compute::Context;
use crate::error::{Error, Result};
use crate::image::Limits;
use crate::installed::{Installed, TOKENIZER};
use crate::merges;
use crate::pixels;
use crate::precision::Precision;
use crate::spec::{Calibration, ModelSpec};
use crate::tensor_file::missing_file;
use crate::text::Tokenizer;
use crate::towers::{TextTower, VisionTower};
use crate::weights::Weights;

/// Items of one forward pass: enough to fill the cores, few enough that what a layer hands to the next one stays in the
/// caches and cancelling is quick.
const IMAGES_PER_PASS: usize = 8;
const TEXTS_PER_PASS: usize = 32;

/// An L2-normalised vector of the model's space.
pub type Embedding = Vec<f32>;

/// A model whose parts are read on first use, each on its own.
pub struct Model {
    installed: Installed,
    tokenizer: OnceLock<Tokenizer>,
    precision: Precision,
    weights: OnceLock<Weights>,
    text: OnceLock<TextTower>,
    vision: OnceLock<VisionTower>,
}

impl Model {
    /// With weights in `precision`, or in the fastest one that is installed; fails with `Unsupported` where that is not.
    pub fn new(installed: Installed, precision: Option<Precision>) -> Result<Self> {
        Ok(Self {
            precision: installed.precision(precision)?,
            installed,
            tokenizer: OnceLock::new(),
            weights: OnceLock::new(),
            text: OnceLock::new(),
            vision: OnceLock::new(),
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
    /// The scale was learnt on plain vectors, so a calibrated model's are taken back to those.
    pub fn classify(&self, image: &[f32], labels: &[&[f32]]) -> Vec<f32> {
        let spec = self.spec();
        match self.means() {
            None => classify::probabilities(image, labels, spec),
            Some(means) => {
                let labels: Vec<_> = labels.iter().map(|label| uncentre(label, &means.text)).collect();
                classify::probabilities(&uncentre(image, &means.image), &labels, spec)
            }
        }
    }

    /// Reads everything that a first use would read, and tokenizes once: expressions are compiled when they are first used.
    pub fn load(&self) -> Result<()> {
        self.tokenizer()?.encode("a photo of 1 cat")?;
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

    /// Embeds encoded images (JPEG, PNG, ...). The error of a bad one has its place in [`Error::item`].
    pub fn embed_images(&self, images: &[&[u8]], limits: &Limits, ctx: &Context) -> Result<Vec<Embedding>> {
        let spec = &self.spec().image;
        let mut all = Vec::with_capacity(images.len());
        for (pass, chunk) in images.chunks(IMAGES_PER_PASS).enumerate() {
            let decoded = pixels::decode_all(chunk, limits, spec, ctx)?;
            let place = |i: usize| pass * IMAGES_PER_PASS + i;
            let pixels = decoded.into_iter().enumerate().map(|(i, result)| result.map_err(|e| e.at(place(i))));
            let pixels = pixels.collect::<Result<Vec<_>>>()?;
            all.extend(self.embed_pixels(&pixels, ctx)?);
        }
        Ok(all)
    }

    /// As [`Model::embed_images`], where a bad image is a failure of its own and the others have their embeddings.
    pub fn try_embed_images(&self, images: &[&[u8]], limits: &Limits, ctx: &Context) -> Result<Vec<Result<Embedding>>> {
        let spec = &self.spec().image;
        let mut all = Vec::with_capacity(images.len());
        for chunk in images.chunks(IMAGES_PER_PASS) {
            let decoded = pixels::decode_each(chunk, limits, spec, ctx)?;
            let (mut pixels, mut failures) = (Vec::with_capacity(chunk.len()), Vec::with_capacity(chunk.len()));
            for result in decoded {
                failures.push(result.map(|values| pixels.push(values)).err());
            }
            let mut embedded = Vec::new();
            if !pixels.is_empty() {
                embedded = finish_each(self.vision_tower()?.forward(&pixels, ctx)?, self.means().map(|m| &*m.image))?;
            }
            let mut embedded = embedded.into_iter();
            for failure in failures {
                all.push(match failure {
                    Some(e) => Err(e),
                    None => embedded.next().ok_or_else(|| Error::internal("an image has no embedding"))?,
                });
            }
        }
        Ok(all)
    }

    /// Embeds pixel values, `[3, size, size]` an image, as the preprocessing gives them.
    pub fn embed_pixels(&self, pixels: &[Vec<f32>], ctx: &Context) -> Result<Vec<Embedding>> {
        let (tower, mean) = (self.vision_tower()?, self.means().map(|means| &*means.image));
        let mut all = Vec::with_capacity(pixels.len());
        for pass in pixels.chunks(IMAGES_PER_PASS) {
            all.extend(finish(tower.forward(pass, ctx)?, mean)?);
        }
        Ok(all)
    }

    pub fn tokenizer(&self) -> Result<&Tokenizer> {
        get_or_load(&self.tokenizer, || {
            let text = &self.spec().text;
            if self.installed.manifest.files.contains_key(merges::FILE) {
                return Tokenizer::open_compact(&self.installed.dir.join(merges::FILE), text.context_length);
            }
            let path = self.installed.dir.join(TOKENIZER);
            let bytes = std::fs::read(&path).map_err(|e| missing_file(&path, &e))?;
            Tokenizer::with_cleaning(&bytes, text.context_length, text.cleaning)
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

fn get_or_load<T>(cell: &OnceLock<T>, load: impl FnOnce() -> Result<T>) -> Result<&T> {
    if cell.get().is_none() {
        // Where another thread was faster, its part is as good.
        let _ = cell.set(load()?);
    }
    cell.get().ok_or_else(|| Error::internal("part of a model was not loaded"))
}

/// Rows to unit length, and where the spec has means, around the modality's; a row that has no direction is an error,
/// never a made-up vector.
fn finish(rows: Tensor, mean: Option<&[f32]>) -> Result<Vec<Embedding>> {
    finish_each(rows, mean)?.into_iter().collect()
}

fn finish_each(rows: Tensor, mean: Option<&[f32]>) -> Result<Vec<Result<Embedding>>> {
    let rows: Vec<Embedding> = rows.to_vec2()?;
    let finished = rows.into_iter().map(|mut row| {
        let done = normalize(&mut row).and_then(|()| mean.map_or(Some(()), |mean| centre(&mut row, mean)));
        done.map(|()| row).ok_or_else(|| Error::internal("the model gave a vector without a direction"))
    });
    Ok(finished.collect())
}
