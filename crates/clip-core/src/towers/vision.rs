//! The vision tower (transformers, `modeling_clip.py`, `CLIPVisionTransformer`; `modeling_siglip.py`,
//! `SiglipVisionModel`; timm, `eva.py`, `Eva`).

use candle_core::{Device, Tensor};
use packed_gemm::Precision;
use scopeguard::defer;

use super::attention::{Positions, Turns};
use super::grid::{Picture, Places};
use super::layers::{Encoder, Sequences};
use super::norm::LayerNorm;
use super::ops::Linear;
use super::pool::PoolingHead;
use super::stem::Patches;
use crate::compute::{Compute, Context};
use crate::error::{Error, Result};
use crate::layout::VISION;
use crate::spec::{ModelSpec, Pool, ResizeRule, VisionHead, VisionSpec};
use crate::weights::Weights;

/// Rows of the encoder's input that one thread makes at a time.
const ROWS_PER_TASK: usize = 16;

/// Pixel values in, `[dimensions]` an image out.
pub struct TransformerTower {
    spec: VisionSpec,
    /// Patches of an image at most, where images are of any aspect.
    most: Option<usize>,
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
    /// CLIP's and EVA's: a row of its own, the first. Jina CLIP's needs no projection.
    Class { post_norm: LayerNorm, projection: Option<Linear> },
    /// SigLIP's, which needs no projection, and PE-Core's, which has one.
    Pool { head: Box<PoolingHead>, projection: Option<Linear> },
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
        let pool = |norm, heads| -> Result<_> {
            Ok(Box::new(PoolingHead::load(weights, &format!("{VISION}.head"), norm, tower, heads)?))
        };
        let head = match parts.head {
            VisionHead::Projection => {
                let projection = Some(Linear::load_without_bias(weights, "visual_projection.weight")?);
                Head::Class { post_norm, projection }
            }
            VisionHead::Linear => {
                Head::Class { post_norm, projection: Some(Linear::load(weights, "visual_projection")?) }
            }
            VisionHead::Class => Head::Class { post_norm, projection: None },
            VisionHead::Attention => Head::Pool { head: pool(post_norm, tower.heads)?, projection: None },
            VisionHead::AttentionLinear(Pool { heads, .. }) => {
                let projection = Some(Linear::load(weights, "visual_projection")?);
                Head::Pool { head: pool(post_norm, heads)?, projection }
            }
            VisionHead::Mean => return Err(Error::internal("a transformer has no mean over all pixels")),
        };
        let rows = spec.positions();
        if positions.len() != rows * tower.hidden {
            return Err(Error::internal(format!("{} values of positions, expected {rows} rows", positions.len())));
        }
        let most = match spec.image.resize {
            ResizeRule::Patches { most, .. } => Some(most as usize),
            ResizeRule::ShortestEdge(_) | ResizeRule::Squash(_) => None,
        };
        let (side, before) = (spec.vision.side(), usize::from(parts.class_token));
        let turns = parts.rope.map(|rope| Turns::new(&rope, side, before, tower.hidden / tower.heads));
        let encoder_positions = turns.map(Positions::Rotary);
        let encoder = Encoder::load(weights, VISION, tower, false, parts.layers)?.with_positions(encoder_positions);
        Ok(Self {
            most,
            spec: spec.vision.clone(),
            patches: Patches::load(weights, spec)?,
            positions,
            pre_norm,
            encoder,
            head,
        })
    }

    /// `[images, dimensions]` for the pixel values of any number of images.
    pub fn forward(&self, images: &[Picture], ctx: &Context) -> Result<Tensor> {
        defer! { ctx.compute.free_rows() }
        images.iter().try_for_each(|image| self.check(image))?;
        ctx.check()?;
        let (x, lengths) = self.embed(images, ctx.compute)?;
        let sequences = Sequences { pooled: vec![0; lengths.len()], lengths };
        match &self.head {
            Head::Class { post_norm, projection } => {
                let class = self.encoder.forward(x, &sequences, ctx)?;
                let Some(projection) = projection else {
                    post_norm.in_place(&class, ctx.compute)?;
                    return Ok(class);
                };
                projection.forward_normed(post_norm, &class, ctx.compute)
            }
            Head::Pool { head, projection } => {
                let x = self.encoder.forward_all(x, &sequences, ctx)?;
                ctx.check()?;
                let x = head.forward(&x, &sequences.lengths, ctx.compute)?;
                projection.as_ref().map_or(Ok(x.clone()), |projection| projection.forward(&x, ctx.compute))
            }
        }
    }

    /// Has the picture as many values as pixels, and a size that the tower sees?
    fn check(&self, image: &Picture) -> Result<()> {
        let (size, patch) = (self.spec.image_size, self.spec.patch_size);
        let (columns, rows) = (image.width / patch, image.height / patch);
        let fits = match self.most {
            None => (image.width, image.height) == (size, size),
            Some(most) => {
                let whole = image.width.is_multiple_of(patch) && image.height.is_multiple_of(patch);
                whole && (1..=most).contains(&columns.saturating_mul(rows))
            }
        };
        if fits && image.values.len() == 3 * image.width * image.height {
            return Ok(());
        }
        let Picture { values, width, height } = image;
        let given = format!("{} pixel values of a picture of {width} x {height}", values.len());
        Err(Error::internal(match self.most {
            None => format!("{given}, expected 3 x {size} x {size}"),
            Some(most) => format!("{given}, expected up to {most} patches of {patch} x {patch}"),
        }))
    }

    /// The encoder's input, the rows of all images one after the other, and the rows of each.
    fn embed(&self, images: &[Picture], compute: &Compute) -> Result<(Tensor, Vec<usize>)> {
        let (size, patch, hidden) = (self.spec.image_size, self.spec.patch_size, self.spec.tower.hidden);
        let (grid, before) = (size / patch, self.positions.len() / hidden - self.spec.patches());
        let sizes = images.iter().map(|image| (image.width / patch, image.height / patch));
        let places = Places::new(sizes, before, self.most.map(|_| grid));
        let mut embedded = compute.rows_to_read(Precision::F32);
        self.patches.embed(images, &places, compute, &mut embedded)?;
        let row = |i: usize, out: &mut [f32]| {
            let (within, patch) = places.row(i);
            let position = || &self.positions[within * hidden..][..hidden];
            match patch {
                Some(patch) => {
                    embedded.read(patch, 0, out);
                    if !places.add_resized(patch, &self.positions, grid, out) {
                        out.iter_mut().zip(position()).for_each(|(out, value)| *out += value);
                    }
                }
                None => out.copy_from_slice(position()),
            }
        };
        let lengths = places.lengths();
        let rows: usize = lengths.iter().sum();
        let mut out = vec![0.0; rows * hidden];
        compute.for_each_chunk(&mut out, ROWS_PER_TASK * hidden, |task, out| {
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
        Ok((Tensor::from_vec(out, (rows, hidden), &Device::Cpu)?, lengths))
    }
}
