//! The vision tower (transformers, `modeling_clip.py`, `CLIPVisionTransformer`; `modeling_siglip.py`,
//! `SiglipVisionModel`).

use std::sync::{Mutex, PoisonError};

use candle_core::{Device, Tensor};
use packed_gemm::Precision;
use scopeguard::defer;

use super::layers::{Encoder, Sequences};
use super::norm::LayerNorm;
use super::ops::Linear;
use super::pool::PoolingHead;
use super::stem::Patches;
use crate::compute::{Compute, Context};
use crate::error::{Error, Result};
use crate::layout::VISION;
use crate::spec::{ModelSpec, Norms, VisionHead, VisionSpec};
use crate::weights::Weights;

/// Rows of the encoder's input that one thread makes at a time.
const ROWS_PER_TASK: usize = 16;

/// Pixel values in, `[dimensions]` an image out.
pub struct TransformerTower {
    spec: VisionSpec,
    patches: Patches,
    /// `[rows, hidden]`: what is added to the patches' rows; a class's row is complete.
    positions: Vec<f32>,
    /// Between the embeddings and the first layer.
    pre_norm: Option<LayerNorm>,
    encoder: Encoder,
    head: Head,
}

/// What makes one vector of all rows.
enum Head {
    /// CLIP's: a row of its own, the first.
    Class { post_norm: LayerNorm, projection: Linear },
    /// SigLIP's, which needs no projection.
    Pool(Box<PoolingHead>),
}

impl TransformerTower {
    /// Reads the tower. The class token and its position become one row here, once.
    ///
    /// `Internal` where the number of positions is not that of the image's patches: an import has compared them.
    pub fn load(weights: &Weights, spec: &ModelSpec) -> Result<Self> {
        let (tower, eps) = (&spec.vision.tower, spec.vision.tower.layer_norm_eps);
        let embeddings = format!("{VISION}.embeddings");
        let mut positions = weights.values(&format!("{embeddings}.position_embedding.weight"))?;
        let post_norm = LayerNorm::load(weights, &format!("{VISION}.post_layernorm"), eps)?;
        let parts = spec.vision_parts();
        if parts.class_token {
            let class = weights.values(&format!("{embeddings}.class_embedding"))?;
            if parts.conv_stem {
                positions.splice(0..0, class);
            } else {
                positions.iter_mut().zip(class).for_each(|(position, class)| *position += class);
            }
        }
        let pre_norm = match parts.pre_norm {
            true => Some(LayerNorm::load(weights, &format!("{VISION}.pre_layrnorm"), eps)?),
            false => None,
        };
        let head = match parts.head {
            VisionHead::Projection => {
                Head::Class { post_norm, projection: Linear::load_without_bias(weights, "visual_projection.weight")? }
            }
            VisionHead::Mean => return Err(Error::internal("a transformer has no mean over all pixels")),
            VisionHead::Biased => Head::Class { post_norm, projection: Linear::load(weights, "visual_projection")? },
            VisionHead::Attention => {
                Head::Pool(Box::new(PoolingHead::load(weights, &format!("{VISION}.head"), post_norm, tower)?))
            }
        };
        let rows = spec.positions();
        if positions.len() != rows * tower.hidden {
            return Err(Error::internal(format!("{} values of positions, expected {rows} rows", positions.len())));
        }
        Ok(Self {
            spec: spec.vision.clone(),
            patches: Patches::load(weights, spec)?,
            positions,
            pre_norm,
            encoder: Encoder::load(weights, VISION, tower, false, Norms::Before)?,
            head,
        })
    }

    /// `[images, dimensions]` for the pixel values of any number of images, each `[3, size, size]`.
    pub fn forward(&self, images: &[Vec<f32>], ctx: &Context) -> Result<Tensor> {
        defer! { ctx.compute.free_rows() }
        let (n, size) = (images.len(), self.spec.image_size);
        if let Some(bad) = images.iter().find(|image| image.len() != 3 * size * size) {
            return Err(Error::internal(format!("{} pixel values, expected 3 x {size} x {size}", bad.len())));
        }
        ctx.check()?;
        let (x, rows) = self.embed(images, ctx.compute)?;
        let sequences = Sequences { lengths: vec![rows; n], pooled: vec![0; n] };
        match &self.head {
            Head::Class { post_norm, projection } => {
                let class = self.encoder.forward(x, &sequences, ctx)?;
                projection.forward_normed(post_norm, &class, ctx.compute)
            }
            Head::Pool(head) => {
                let x = self.encoder.forward_all(x, &sequences, ctx)?;
                ctx.check()?;
                head.forward(&x, n, rows, ctx.compute)
            }
        }
    }

    /// The encoder's input, `[images * rows, hidden]`, and the rows of an image.
    fn embed(&self, images: &[Vec<f32>], compute: &Compute) -> Result<(Tensor, usize)> {
        let (size, hidden) = (self.spec.image_size, self.spec.tower.hidden);
        let (side, patches, rows) = (size / self.spec.patch_size, self.spec.patches(), self.positions.len() / hidden);
        let mut embedded = compute.rows_to_read(Precision::F32);
        self.patches.embed(images, size, side, compute, &mut embedded)?;
        let before = rows - patches;
        let row = |i: usize, out: &mut [f32]| {
            let position = &self.positions[i % rows * hidden..][..hidden];
            match (i % rows).checked_sub(before) {
                Some(patch) => {
                    embedded.read(i / rows * patches + patch, 0, out);
                    out.iter_mut().zip(position).for_each(|(out, value)| *out += value);
                }
                None => out.copy_from_slice(position),
            }
        };
        let mut out = vec![0.0; images.len() * rows * hidden];
        let tasks: Vec<_> = out.chunks_mut(ROWS_PER_TASK * hidden).map(Mutex::new).collect();
        compute.pool().for_each(tasks.len(), |task| {
            let mut out = tasks[task].lock().unwrap_or_else(PoisonError::into_inner);
            let mut scratch = vec![0.0; hidden];
            for (i, out) in out.chunks_exact_mut(hidden).enumerate() {
                match &self.pre_norm {
                    Some(norm) => {
                        row(task * ROWS_PER_TASK + i, &mut scratch);
                        norm.apply(&scratch, out);
                    }
                    None => row(task * ROWS_PER_TASK + i, out),
                }
            }
        });
        drop(tasks);
        Ok((Tensor::from_vec(out, (images.len() * rows, hidden), &Device::Cpu)?, rows))
    }
}
