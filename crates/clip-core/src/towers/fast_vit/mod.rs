//! FastViT, the vision tower of MobileCLIP S (timm, `fastvit.py`), with its branches put together by the import.
//!
//! A pixel's values lie side by side, pixels row by row, images one after the other. So a convolution of one pixel is a
//! product, and the pixels of an image are the rows that attention mixes.

mod depthwise;
mod excite;
mod simd;

use std::mem::take;

use candle_core::{Device, Tensor};
use scopeguard::defer;

use self::depthwise::Depthwise;
use self::excite::Excite;
use super::attention::{Attention, Queries};
use super::grid::Picture;
use super::norm::LayerNorm;
use super::ops::{AttentionBlock, Linear, Mlp};
use crate::compute::{Compute, Context};
use crate::error::{Error, Result};
use crate::layout::VISION;
use crate::spec::{Activation, FastVit, ModelSpec};
use crate::weights::Weights;

/// Grids of so many pixels a side and more are computed image by image: what a layer hands to the next one stays in the caches.
/// Smaller ones have too few pixels for that, and weights would be read for each image.
const LARGE: usize = 32;

/// Pixel values in, `[dimensions]` an image out.
pub struct FastVitTower {
    size: usize,
    stem: (Linear, Depthwise, Linear),
    stages: Vec<Stage>,
    last: Depthwise,
    excite: Excite,
    projection: Linear,
}

/// Blocks on one grid.
struct Stage {
    down: Option<Down>,
    positions: Option<Depthwise>,
    blocks: Vec<Block>,
}

/// From a grid to one of half the side.
struct Down {
    convolution: Depthwise,
    excite: Option<Excite>,
    linear: Linear,
}

/// What mixes pixels, then an MLP after a convolution, with a residual around it.
struct Block {
    mixer: Mixer,
    convolution: Depthwise,
    mlp: Mlp,
}

/// What mixes pixels.
enum Mixer {
    /// A convolution, with its residual in it.
    Neighbours(Depthwise),
    /// Attention, with a residual around it.
    All { block: Box<AttentionBlock>, heads: usize },
}

impl FastVitTower {
    /// Reads the tower.
    pub fn load(weights: &Weights, spec: &ModelSpec, size: FastVit) -> Result<Self> {
        let gelu = |linear: Linear| linear.with_activation(Activation::Gelu);
        let stem = format!("{VISION}.stem");
        let (stages, mut before) = (size.stages(), 0);
        let mut read = Vec::new();
        for (i, stage) in stages.iter().enumerate() {
            let (name, width) = (format!("{VISION}.stages.{i}"), stage.width);
            let down = || -> Result<Down> {
                let name = format!("{name}.downsample");
                let excite = match stage.excite {
                    true => Some(Excite::load(weights, &format!("{name}.excite"), width)?),
                    false => None,
                };
                Ok(Down {
                    convolution: Depthwise::load(weights, &name, [7, 2], [before, width])?,
                    excite,
                    linear: gelu(Linear::load(weights, &format!("{name}.proj"))?),
                })
            };
            let block = |j: usize| Block::load(weights, &format!("{name}.blocks.{j}"), *stage, size);
            read.push(Stage {
                down: if i > 0 { Some(down()?) } else { None },
                positions: match stage.attention {
                    true => Some(Depthwise::load(weights, &format!("{name}.positions"), [7, 1], [width, width])?),
                    false => None,
                },
                blocks: (0..stage.depth).map(block).collect::<Result<_>>()?,
            });
            before = width;
        }
        let (first, last) = (stages.first().map_or(0, |stage| stage.width), format!("{VISION}.final"));
        Ok(Self {
            size: spec.vision.image_size,
            stem: (
                gelu(Linear::load(weights, &format!("{stem}.0"))?),
                Depthwise::load(weights, &format!("{stem}.1"), [3, 2], [first, first])?,
                gelu(Linear::load(weights, &format!("{stem}.2"))?),
            ),
            stages: read,
            last: Depthwise::load(weights, &last, [3, 1], [before, size.last_width()])?,
            excite: Excite::load(weights, &format!("{last}.excite"), size.last_width())?,
            projection: Linear::load(weights, "visual_projection")?,
        })
    }

    /// `[images, dimensions]` for the pixel values of any number of images, each `[3, size, size]`.
    pub fn forward(&self, images: &[Picture], ctx: &Context) -> Result<Tensor> {
        defer! { ctx.compute.free_rows() }
        let (n, size) = (images.len(), self.size);
        if let Some(bad) = images.iter().find(|image| image.values.len() != 3 * size * size) {
            let given = bad.values.len();
            return Err(Error::internal(format!("{given} pixel values, expected 3 x {size} x {size}")));
        }
        let (mut x, mut grid, mut done) = (Vec::new(), size, 0);
        for image in images {
            ctx.check()?;
            let (mut one, mut side) = self.embed(image.values, ctx.compute)?;
            done = 0;
            for stage in &self.stages {
                if side < LARGE {
                    break;
                }
                (one, side) = stage.forward(one, 1, side, ctx)?;
                done += 1;
            }
            x.extend(one);
            grid = side;
        }
        for stage in &self.stages[done..] {
            (x, grid) = stage.forward(x, n, grid, ctx)?;
        }
        ctx.check()?;
        let mut last = self.last.forward(&x, n, grid, ctx.compute)?;
        self.excite.apply(&mut last, n, ctx.compute);
        let width = self.last.outputs();
        let means = Tensor::from_vec(excite::means(&last, n, width), (n, width), &Device::Cpu)?;
        self.projection.forward(&means, ctx.compute)
    }

    /// The first stage's rows, and the pixels of a side.
    fn embed(&self, image: &[f32], compute: &Compute) -> Result<(Vec<f32>, usize)> {
        let (first, second, third) = &self.stem;
        let (size, side) = (self.size, self.size.div_ceil(2));
        // Three by three pixels, and zeros beyond the edges; a pixel's values side by side.
        let row = |i: usize, row: &mut [f32]| {
            for (at, out) in row.as_chunks_mut::<3>().0.iter_mut().enumerate() {
                let (y, x) = ((i / side * 2 + at / 3).wrapping_sub(1), (i % side * 2 + at % 3).wrapping_sub(1));
                let inside = y < size && x < size;
                *out = std::array::from_fn(|c| if inside { image[(c * size + y) * size + x] } else { 0.0 });
            }
        };
        let x = first.of_rows_to_values(side * side, 27, compute, row)?;
        let mut x = second.forward(&x, 1, side, compute)?;
        simd::gelu(&mut x, second.outputs(), None, compute);
        Ok((third.of_values(&x, second.outputs(), compute)?, side.div_ceil(2)))
    }
}

impl Stage {
    /// The rows of so many images after the stage, and the pixels of a side.
    fn forward(&self, mut x: Vec<f32>, images: usize, mut grid: usize, ctx: &Context) -> Result<(Vec<f32>, usize)> {
        if let Some(Down { convolution, excite, linear }) = &self.down {
            ctx.check()?;
            x = convolution.forward(&x, images, grid, ctx.compute)?;
            grid = grid.div_ceil(2);
            match excite {
                Some(excite) => excite.apply(&mut x, images, ctx.compute),
                None => simd::gelu(&mut x, convolution.outputs(), None, ctx.compute),
            }
            x = linear.of_values(&x, convolution.outputs(), ctx.compute)?;
        }
        if let Some(positions) = &self.positions {
            x = positions.forward(&x, images, grid, ctx.compute)?;
        }
        for block in &self.blocks {
            ctx.check()?;
            block.forward(&mut x, images, grid, ctx.compute)?;
        }
        Ok((x, grid))
    }
}

impl Block {
    fn load(weights: &Weights, name: &str, stage: crate::spec::Stage, size: FastVit) -> Result<Self> {
        let part = |part: &str| format!("{name}.{part}");
        let (width, eps) = (stage.width, size.vision().tower.layer_norm_eps);
        let mixer = if stage.attention {
            let (norm, qkv) = match size.has_layer_norm() {
                true => (
                    Some(LayerNorm::load(weights, &part("norm"), eps)?),
                    Linear::load_without_bias(weights, &part("attention.qkv.weight"))?,
                ),
                false => (None, Linear::load(weights, &part("attention.qkv"))?),
            };
            let block = Box::new(AttentionBlock::new(norm, qkv, Linear::load(weights, &part("attention.out"))?));
            Mixer::All { block, heads: FastVit::heads(width) }
        } else {
            Mixer::Neighbours(Depthwise::load(weights, &part("mixer"), [3, 1], [width, width])?)
        };
        let up = Linear::load(weights, &part("fc1"))?.with_activation(Activation::Gelu);
        Ok(Self {
            mixer,
            convolution: Depthwise::load(weights, &part("conv"), [7, 1], [width, width])?,
            mlp: Mlp::new(None, up, Linear::load(weights, &part("fc2"))?),
        })
    }

    /// Runs the block on the rows of so many images.
    fn forward(&self, x: &mut Vec<f32>, images: usize, grid: usize, compute: &Compute) -> Result<()> {
        match &self.mixer {
            Mixer::Neighbours(convolution) => *x = convolution.forward(x, images, grid, compute)?,
            Mixer::All { block, heads } => {
                let rows = Tensor::from_vec(take(x), (images * grid * grid, self.convolution.outputs()), &Device::Cpu)?;
                let lengths = vec![grid * grid; images];
                let queries = Queries::All;
                let attention = Attention { heads: *heads, lengths: &lengths, causal: false, queries, positions: None };
                block.add_to(&attention, &rows, compute)?;
                *x = rows.flatten_all()?.to_vec1()?;
            }
        }
        let between = self.convolution.forward(x, images, grid, compute)?;
        self.mlp.add_of(&between, x, self.convolution.outputs(), compute)
    }
}
