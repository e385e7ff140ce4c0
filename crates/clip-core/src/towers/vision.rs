//! The vision tower (transformers, `modeling_clip.py`, `CLIPVisionTransformer`).

use candle_core::{Device, Tensor};

use super::layers::{Encoder, Sequences};
use super::norm::LayerNorm;
use super::ops::Linear;
use crate::compute::{Compute, Context};
use crate::error::{Error, Result};
use crate::layout::VISION;
use crate::spec::{ModelSpec, VisionSpec};
use crate::weights::Weights;

pub struct VisionTower {
    spec: VisionSpec,
    /// `[hidden]`
    class: Tensor,
    patches: Linear,
    /// `[1 + patches, hidden]`
    positions: Tensor,
    pre_norm: LayerNorm,
    encoder: Encoder,
    post_norm: LayerNorm,
    projection: Linear,
}

impl VisionTower {
    pub fn load(weights: &Weights, spec: &ModelSpec) -> Result<Self> {
        let (tower, eps) = (&spec.vision.tower, spec.vision.tower.layer_norm_eps);
        let positions = weights.values(&format!("{VISION}.embeddings.position_embedding.weight"))?;
        let shape = (positions.len() / tower.hidden, tower.hidden);
        Ok(Self {
            spec: spec.vision.clone(),
            class: Tensor::new(weights.values(&format!("{VISION}.embeddings.class_embedding"))?, &Device::Cpu)?,
            // A convolution whose stride is its size is a product with each patch as one row.
            patches: Linear::load_without_bias(weights, &format!("{VISION}.embeddings.patch_embedding.weight"))?,
            positions: Tensor::from_vec(positions, shape, &Device::Cpu)?,
            pre_norm: LayerNorm::load(weights, &format!("{VISION}.pre_layrnorm"), eps)?,
            encoder: Encoder::load(weights, VISION, tower, false)?,
            post_norm: LayerNorm::load(weights, &format!("{VISION}.post_layernorm"), eps)?,
            projection: Linear::load_without_bias(weights, "visual_projection.weight")?,
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
        let class = self.encoder.forward(x, &Sequences { lengths: vec![rows; n], pooled: vec![0; n] }, ctx)?;
        self.projection.forward_normed(&self.post_norm, &class, ctx.compute)
    }

    /// The encoder's input, `[images * rows, hidden]`, and the rows of an image: one for the class, one a patch.
    fn embed(&self, images: &[Vec<f32>], compute: &Compute) -> Result<(Tensor, usize)> {
        let (n, patch) = (images.len(), self.spec.patch_size);
        let side = self.spec.image_size / patch;
        let pixels = Tensor::from_vec(images.concat(), (n, 3, side, patch, side * patch), &Device::Cpu)?
            .reshape(&[n, 3, side, patch, side, patch])?
            .permute([0, 2, 4, 1, 3, 5])?
            .contiguous()?
            .reshape((n * side * side, 3 * patch * patch))?;
        let patches = self.patches.forward(&pixels, compute)?.reshape((n, side * side, ()))?;
        let hidden = self.spec.tower.hidden;
        let class = self.class.reshape((1, 1, hidden))?.broadcast_as((n, 1, hidden))?;
        let rows = side * side + 1;
        let x = Tensor::cat(&[&class.contiguous()?, &patches], 1)?.broadcast_add(&self.positions)?;
        Ok((self.pre_norm.forward(&x.reshape((n * rows, hidden))?)?, rows))
    }
}
