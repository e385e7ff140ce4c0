//! The vision tower (transformers, `modeling_clip.py`, `CLIPVisionTransformer`; `modeling_siglip.py`,
//! `SiglipVisionModel`).

use candle_core::{Device, Tensor};

use super::layers::{Encoder, Sequences};
use super::norm::LayerNorm;
use super::ops::Linear;
use super::pool::PoolingHead;
use crate::compute::{Compute, Context};
use crate::error::{Error, Result};
use crate::layout::VISION;
use crate::spec::{Architecture, ModelSpec, VisionSpec};
use crate::weights::Weights;

pub struct VisionTower {
    spec: VisionSpec,
    patches: Linear,
    /// `[rows, hidden]`
    positions: Tensor,
    encoder: Encoder,
    post_norm: LayerNorm,
    head: Head,
}

/// What makes one vector of all rows.
enum Head {
    /// CLIP's: a row of its own, the first.
    Class { embedding: Tensor, pre_norm: LayerNorm, projection: Linear },
    /// SigLIP's, which needs no projection.
    Pool(Box<PoolingHead>),
}

impl VisionTower {
    pub fn load(weights: &Weights, spec: &ModelSpec) -> Result<Self> {
        let (tower, eps) = (&spec.vision.tower, spec.vision.tower.layer_norm_eps);
        let embeddings = format!("{VISION}.embeddings");
        let positions = weights.values(&format!("{embeddings}.position_embedding.weight"))?;
        let shape = (positions.len() / tower.hidden, tower.hidden);
        // A convolution whose stride is its size is a product with each patch as one row.
        let patches = format!("{embeddings}.patch_embedding");
        let (patches, head) = match spec.architecture {
            Architecture::Clip => {
                let class = weights.values(&format!("{embeddings}.class_embedding"))?;
                let head = Head::Class {
                    embedding: Tensor::new(class, &Device::Cpu)?,
                    pre_norm: LayerNorm::load(weights, &format!("{VISION}.pre_layrnorm"), eps)?,
                    projection: Linear::load_without_bias(weights, "visual_projection.weight")?,
                };
                (Linear::load_without_bias(weights, &format!("{patches}.weight"))?, head)
            }
            Architecture::Siglip => {
                let head = PoolingHead::load(weights, &format!("{VISION}.head"), tower)?;
                (Linear::load(weights, &patches)?, Head::Pool(Box::new(head)))
            }
        };
        Ok(Self {
            spec: spec.vision.clone(),
            patches,
            positions: Tensor::from_vec(positions, shape, &Device::Cpu)?,
            encoder: Encoder::load(weights, VISION, tower, false)?,
            post_norm: LayerNorm::load(weights, &format!("{VISION}.post_layernorm"), eps)?,
            head,
        })
    }

    /// `[images, dimensions]` for the pixel values of any number of images, each `[3, size, size]`.
    pub fn forward(&self, images: &[Vec<f32>], ctx: &Context) -> Result<Tensor> {
        let (n, size) = (images.len(), self.spec.image_size);
        if let Some(bad) = images.iter().find(|image| image.len() != 3 * size * size) {
            return Err(Error::internal(format!("{} pixel values, expected 3 x {size} x {size}", bad.len())));
        }
        ctx.check()?;
        let (x, rows) = self.embed(images, ctx.compute)?;
        let sequences = Sequences { lengths: vec![rows; n], pooled: vec![0; n] };
        match &self.head {
            Head::Class { projection, .. } => {
                let class = self.encoder.forward(x, &sequences, ctx)?;
                projection.forward_normed(&self.post_norm, &class, ctx.compute)
            }
            Head::Pool(head) => {
                let x = self.encoder.forward_all(x, &sequences, ctx)?;
                ctx.check()?;
                head.forward(&self.post_norm, &x, n, rows, ctx.compute)
            }
        }
    }

    /// The encoder's input, `[images * rows, hidden]`, and the rows of an image.
    fn embed(&self, images: &[Vec<f32>], compute: &Compute) -> Result<(Tensor, usize)> {
        let (n, size, patch) = (images.len(), self.spec.image_size, self.spec.patch_size);
        let side = size / patch;
        let mut pixels = Tensor::from_vec(images.concat(), (n, 3, size, size), &Device::Cpu)?;
        if side * patch < size {
            // No patch covers what is left over at the right and at the bottom, as with an unpadded convolution.
            pixels = pixels.narrow(2, 0, side * patch)?.narrow(3, 0, side * patch)?.contiguous()?;
        }
        let pixels = pixels
            .reshape(&[n, 3, side, patch, side, patch])?
            .permute([0, 2, 4, 1, 3, 5])?
            .contiguous()?
            .reshape((n * side * side, 3 * patch * patch))?;
        let patches = self.patches.forward(&pixels, compute)?.reshape((n, side * side, ()))?;
        let (hidden, rows) = (self.spec.tower.hidden, self.positions.dim(0)?);
        let x = match &self.head {
            Head::Class { embedding, .. } => {
                let class = embedding.reshape((1, 1, hidden))?.broadcast_as((n, 1, hidden))?;
                Tensor::cat(&[&class.contiguous()?, &patches], 1)?
            }
            Head::Pool(_) => patches,
        };
        let x = x.broadcast_add(&self.positions)?.reshape((n * rows, hidden))?;
        match &self.head {
            Head::Class { pre_norm, .. } => Ok((pre_norm.forward(&x)?, rows)),
            Head::Pool(_) => Ok((x, rows)),
        }
    }
}
