//! From pixels to the rows of patches: one product, or convolutions one after the other.

use packed_gemm::{Precision, Rows};

use super::grid::{Picture, Places};
use super::ops::Linear;
use crate::compute::Compute;
use crate::error::Result;
use crate::layout::{STEM, VISION};
use crate::spec::{Activation, ModelSpec, StemLayer, stem};
use crate::weights::Weights;

/// What makes a row of each patch.
pub enum Patches {
    /// A convolution whose stride is its side, which is a product with each patch as one row.
    Linear {
        /// The product.
        linear: Linear,
        /// Side of a patch.
        side: usize,
    },
    /// Three such convolutions (timm, `ConvStem`).
    Stem(Vec<(Linear, StemLayer)>),
}

impl Patches {
    /// Reads the layers.
    pub fn load(weights: &Weights, spec: &ModelSpec) -> Result<Self> {
        let parts = spec.vision_parts();
        if !parts.conv_stem {
            let (name, side) = (format!("{VISION}.embeddings.patch_embedding"), spec.vision.patch_size);
            let linear = match parts.patch_bias {
                true => Linear::load(weights, &name)?,
                false => Linear::load_without_bias(weights, &format!("{name}.weight"))?,
            };
            return Ok(Self::Linear { linear, side });
        }
        let layers = stem(spec.vision.tower.hidden);
        let last = layers.len() - 1;
        let read = |(i, layer): (usize, StemLayer)| {
            let linear = Linear::load(weights, &format!("{STEM}.{i}"))?;
            Ok((if i < last { linear.with_activation(Activation::Gelu) } else { linear }, layer))
        };
        Ok(Self::Stem(layers.into_iter().enumerate().map(read).collect::<Result<_>>()?))
    }

    /// Makes `out` the rows of all patches, one image after the other.
    ///
    /// No patch covers what is left over at the right and at the bottom, as with an unpadded convolution.
    pub fn embed(&self, images: &[Picture], places: &Places, compute: &Compute, out: &mut Rows) -> Result<()> {
        match self {
            Self::Linear { linear, side } => {
                let row = |i: usize, row: &mut [f32]| {
                    let (at, x, y) = places.patch(i);
                    let Picture { values, width, height } = &images[at];
                    for (line, out) in row.chunks_exact_mut(*side).enumerate() {
                        let (channel, y) = (line / side, y * side + line % side);
                        out.copy_from_slice(&values[(channel * height + y) * width + x * side..][..*side]);
                    }
                };
                linear.of_rows(places.patches(), 3 * side * side, compute, row, out)
            }
            Self::Stem(layers) => convolve(layers, images, compute, out),
        }
    }
}

/// Of images that are squares of one size. The squares of a layer that make one pixel of the next layer lie one after the other. So the next layer reads rows that
/// are there as they are, several at a time.
fn convolve(layers: &[(Linear, StemLayer)], images: &[Picture], compute: &Compute, out: &mut Rows) -> Result<()> {
    // The tower has looked: they are squares of one size.
    let size = images.first().map_or(0, |image| image.width);
    let grid = size / layers.iter().map(|(_, layer)| layer.side).product::<usize>().max(1);
    let sizes: Vec<StemLayer> = layers.iter().map(|(_, layer)| *layer).collect();
    let mut before = compute.rows_to_read(Precision::F32);
    for (at, (linear, layer)) in layers.iter().enumerate() {
        let StemLayer { inputs, side, .. } = *layer;
        // Squares of a patch.
        let squares: usize = sizes[at + 1..].iter().map(|layer| layer.side * layer.side).product();
        let (count, width) = (images.len() * grid * grid * squares, side * side * inputs);
        let of_image = grid * grid * squares;
        let mut now = compute.rows_to_read(Precision::F32);
        let to = if at + 1 == layers.len() { &mut *out } else { &mut *now };
        if at == 0 {
            let row = |i: usize, row: &mut [f32]| {
                let (image, (y, x)) = (images[i / of_image].values, corner(i % of_image, &sizes, grid));
                // A pixel's values lie side by side here, and far apart in the image.
                for (i, out) in row.iter_mut().enumerate() {
                    let (channel, dy, dx) = (i % inputs, i / inputs / side, i / inputs % side);
                    *out = image[(channel * size + y + dy) * size + x + dx];
                }
            };
            linear.of_rows(count, width, compute, row, to)?;
        } else {
            let row = |i: usize, row: &mut [f32]| {
                for (j, out) in row.chunks_exact_mut(inputs).enumerate() {
                    before.read(i * side * side + j, 0, out);
                }
            };
            linear.of_rows(count, width, compute, row, to)?;
        }
        before = now;
    }
    Ok(())
}

/// Where a square of the first layer begins: which part of a patch it is, told by the places of the layers after it, the next
/// one's first, and which patch.
fn corner(square: usize, layers: &[StemLayer], grid: usize) -> (usize, usize) {
    let (mut y, mut x, mut rest, mut unit) = (0, 0, square, 1);
    let sides = layers.iter().map(|layer| layer.side);
    for (before, side) in sides.clone().zip(sides.skip(1)) {
        unit *= before;
        let place = rest % (side * side);
        (y, x, rest) = (y + place / side * unit, x + place % side * unit, rest / (side * side));
    }
    unit *= layers.last().map_or(1, |layer| layer.side);
    (y + rest / grid * unit, x + rest % grid * unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of four patches: each square once, those that become one pixel one after the other.
    #[test]
    fn squares_in_the_order_of_the_next_layer() {
        let corners: Vec<_> = (0..64).map(|i| corner(i, &stem(8), 2)).collect();
        assert_eq!(corners[..6], [(0, 0), (0, 4), (4, 0), (4, 4), (0, 8), (0, 12)]);
        assert_eq!((corners[15], corners[16], corners[32]), ((12, 12), (0, 16), (16, 0)));
        let mut sorted = corners.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..64).map(|i| (i / 8 * 4, i % 8 * 4)).collect::<Vec<_>>());
    }
}
