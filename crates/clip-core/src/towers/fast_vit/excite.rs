//! Squeeze and excitation (timm, `squeeze_excite.py`): the mean over an image's pixels says how much each value counts.

use super::simd::gelu;
use crate::compute::Compute;
use crate::error::{Error, Result};
use crate::weights::Weights;

/// Two layers of one row an image, in f32 in every precision.
pub struct Excite {
    first: Layer,
    second: Layer,
    width: usize,
}

/// `[outputs, inputs]` and `[outputs]`.
struct Layer {
    matrix: Vec<f32>,
    bias: Vec<f32>,
}

impl Layer {
    fn load(weights: &Weights, name: &str, inputs: usize) -> Result<Self> {
        let (matrix, bias) = (weights.values(&format!("{name}.kernel"))?, weights.values(&format!("{name}.bias"))?);
        if matrix.len() != inputs * bias.len() || inputs == 0 {
            return Err(Error::internal(format!("\"{name}\" has {} values, expected rows of {inputs}", matrix.len())));
        }
        Ok(Self { matrix, bias })
    }

    fn apply(&self, x: &[f32]) -> Vec<f32> {
        let rows = self.matrix.chunks_exact(x.len()).zip(&self.bias);
        rows.map(|(row, bias)| row.iter().zip(x).fold(*bias, |sum, (weight, x)| sum + weight * x)).collect()
    }
}

impl Excite {
    /// Reads the two layers of `name`, for pixels of `width` values.
    pub fn load(weights: &Weights, name: &str, width: usize) -> Result<Self> {
        let first = Layer::load(weights, &format!("{name}.fc1"), width)?;
        let second = Layer::load(weights, &format!("{name}.fc2"), first.bias.len())?;
        Ok(Self { first, second, width })
    }

    /// Multiplies the values of so many images by their factors, and takes the GELU of that.
    pub fn apply(&self, x: &mut [f32], images: usize, compute: &Compute) {
        let means = means(x, images, self.width);
        let each = x.len() / images.max(1);
        for (image, mean) in x.chunks_exact_mut(each.max(1)).zip(means.chunks_exact(self.width)) {
            let mut between = self.first.apply(mean);
            between.iter_mut().for_each(|value| *value = value.max(0.0));
            let mut factors = self.second.apply(&between);
            factors.iter_mut().for_each(|value| *value = 1.0 / (1.0 + (-*value).exp()));
            gelu(image, self.width, Some(&factors), compute);
        }
    }
}

/// The mean over the pixels of each image: of `[images, pixels, width]` it makes `[images, width]`.
pub fn means(x: &[f32], images: usize, width: usize) -> Vec<f32> {
    let each = x.len() / images.max(1);
    let pixels = (each / width.max(1)).max(1);
    let mut means = vec![0.0; images * width];
    for (image, mean) in x.chunks_exact(each.max(1)).zip(means.chunks_exact_mut(width.max(1))) {
        for pixel in image.chunks_exact(width) {
            mean.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += value);
        }
        mean.iter_mut().for_each(|sum| *sum /= pixels as f32);
    }
    means
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two images of two pixels of two values.
    #[test]
    fn factors_are_an_image_s_own() {
        let first = Layer { matrix: vec![1.0, 0.0], bias: vec![-1.0] };
        let second = Layer { matrix: vec![0.0, 1e9], bias: vec![0.0, -1.0] };
        let excite = Excite { first, second, width: 2 };
        let mut x = vec![1.0, 3.0, 3.0, 3.0, 0.0, 3.0, 0.0, 3.0];
        excite.apply(&mut x, 2, &Compute::new(2).unwrap());
        let gelu = |x: f32| (f64::from(x) * 0.5 * (1.0 + libm_erf(f64::from(x) / 2f64.sqrt()))) as f32;
        // the mean of the first values is 2 and 0: one less is 1, and negative
        let sigmoid = 1.0 / (1.0 + 1f32.exp());
        let expected = [gelu(0.5), gelu(3.0), gelu(1.5), gelu(3.0), 0.0, gelu(3.0 * sigmoid), 0.0, gelu(3.0 * sigmoid)];
        assert!(x.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5), "{x:?}");
    }

    /// By its series.
    fn libm_erf(x: f64) -> f64 {
        let (mut sum, mut term) = (0.0, x);
        for n in 0..200 {
            sum += term / f64::from(2 * n + 1);
            term *= -x * x / f64::from(n + 1);
        }
        sum * 2.0 / std::f64::consts::PI.sqrt()
    }
}
