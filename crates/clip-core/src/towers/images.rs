//! The vision tower of a model, of either kind.

use candle_core::Tensor;

use super::fast_vit::FastVitTower;
use super::grid::Picture;
use super::vision::TransformerTower;
use crate::compute::Context;
use crate::error::Result;
use crate::spec::{ModelSpec, VisionLayers};
use crate::weights::Weights;

/// Pixel values in, `[dimensions]` an image out.
pub enum VisionTower {
    /// Patches that see each other.
    Transformer(Box<TransformerTower>),
    /// Convolutions, and attention on small grids.
    FastVit(Box<FastVitTower>),
}

impl VisionTower {
    /// Reads the tower.
    pub fn load(weights: &Weights, spec: &ModelSpec) -> Result<Self> {
        Ok(match spec.vision.layers {
            VisionLayers::FastVit(size) => Self::FastVit(Box::new(FastVitTower::load(weights, spec, size)?)),
            _ => Self::Transformer(Box::new(TransformerTower::load(weights, spec)?)),
        })
    }

    /// `[images, dimensions]` for the pixel values of any number of images.
    pub fn forward(&self, images: &[Picture], ctx: &Context) -> Result<Tensor> {
        match self {
            Self::Transformer(tower) => tower.forward(images, ctx),
            Self::FastVit(tower) => tower.forward(images, ctx),
        }
    }
}
