//! Layers of the layout that a checkpoint has in several parts: a convolution and its batch norm, branches side by side that
//! are added up, a skip connection, a learnt scale (timm, `fastvit.py`, `reparameterize`). All of them are linear, so one
//! layer does what they do.

use super::origin::Origin;
use crate::error::Result;

/// What a batch norm adds to the variance: timm's and torch's.
const BATCH_NORM_EPS: f64 = 1e-5;

/// What a tensor of the layout is made of.
pub enum Place {
    /// One tensor, or a part of it.
    Origin(Origin),
    /// Several.
    Fold(Fold),
}

impl Place {
    /// Names and shapes in the checkpoint.
    pub fn sources(&self) -> Vec<(String, Vec<usize>)> {
        match self {
            Self::Origin(origin) => origin.sources(),
            Self::Fold(fold) => fold.sources(),
        }
    }
}

/// A convolution as the checkpoint has it. Its kernel is `[outputs, inputs, side, side]`.
#[derive(Clone, Debug, Default)]
pub struct Convolution {
    /// Channels that it makes.
    pub outputs: usize,
    /// Channels that one of them is made of: one, where each channel has its own kernel.
    pub inputs: usize,
    /// Side of the kernel.
    pub side: usize,
    /// Added up.
    pub branches: Vec<Branch>,
    /// A factor for each output, `[outputs, 1, 1]`, on all branches.
    pub scale: Option<String>,
    /// The input is added, after the factor.
    pub skip: bool,
    /// A batch norm of the input.
    pub before: Option<String>,
    /// It is a linear layer, whose kernel is `[outputs, inputs]` and whose scale is still `[outputs, 1, 1]`.
    pub matrix: bool,
}

/// A branch of a convolution.
#[derive(Clone, Debug, Default)]
pub struct Branch {
    /// The kernel's tensor and its side, which is that of the convolution or less; `None`: the input itself.
    pub kernel: Option<(String, usize)>,
    /// One value an output.
    pub bias: Option<String>,
    /// A batch norm of the output.
    pub norm: Option<String>,
    /// It is subtracted.
    pub minus: bool,
}

/// Which tensor of the layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// As the checkpoint orders it.
    Weight,
    /// `[outputs, side, side, inputs]`: a pixel's values lie side by side.
    PixelWeight,
    /// `[side, side, outputs]`, where each channel has its own kernel.
    Kernel,
    /// One value an output.
    Bias,
}

/// A tensor of the layout that is made of several of a checkpoint.
pub struct Fold {
    /// What it is made of.
    pub from: Convolution,
    /// Which tensor of it.
    pub half: Half,
}

/// Reads a tensor of a checkpoint by name and shape.
type Read<'a> = &'a dyn Fn(&str, &[usize]) -> Result<Vec<f32>>;

impl Fold {
    /// Names and shapes of all tensors that it is made of.
    pub fn sources(&self) -> Vec<(String, Vec<usize>)> {
        let Convolution { outputs, inputs, branches, scale, before, .. } = &self.from;
        let mut all = Vec::new();
        let norm = |name: &String, width: usize| NORM.map(|part| (format!("{name}.{part}"), vec![width]));
        for Branch { kernel, bias, norm: after, .. } in branches {
            all.extend(kernel.iter().map(|(name, side)| (name.clone(), self.kernel_shape(*side))));
            all.extend(bias.iter().map(|name| (name.clone(), vec![*outputs])));
            all.extend(after.iter().flat_map(|name| norm(name, *outputs)));
        }
        all.extend(scale.iter().map(|name| (name.clone(), vec![*outputs, 1, 1])));
        all.extend(before.iter().flat_map(|name| norm(name, *inputs)));
        all
    }

    /// A linear layer's matrix has two dimensions.
    fn kernel_shape(&self, side: usize) -> Vec<usize> {
        let Convolution { outputs, inputs, matrix, .. } = &self.from;
        if *matrix { vec![*outputs, *inputs] } else { vec![*outputs, *inputs, side, side] }
    }

    /// The tensor's values. In f64, so that sums are rounded once.
    pub fn read(&self, read: Read) -> Result<Vec<f32>> {
        let Convolution { outputs, inputs, side, .. } = self.from;
        let (kernel, bias) = self.sum(read)?;
        let values = match self.half {
            Half::Bias => bias,
            Half::Weight => kernel,
            Half::PixelWeight => reordered(&kernel, [outputs, inputs, side * side], [0, 2, 1]),
            Half::Kernel => reordered(&kernel, [outputs, inputs, side * side], [2, 0, 1]),
        };
        Ok(values.into_iter().map(|value| value as f32).collect())
    }

    /// Kernel and bias of the one convolution that does all of it.
    fn sum(&self, read: Read) -> Result<(Vec<f64>, Vec<f64>)> {
        let Convolution { outputs, inputs, side, branches, scale, skip, before, .. } = &self.from;
        let (size, area) = (inputs * side * side, side * side);
        let (mut kernel, mut bias) = (vec![0.0; outputs * size], vec![0.0; *outputs]);
        for branch in branches {
            let sign = if branch.minus { -1.0 } else { 1.0 };
            let (factors, offsets) = match &branch.norm {
                Some(name) => batch_norm(name, *outputs, read)?,
                None => (vec![1.0; *outputs], vec![0.0; *outputs]),
            };
            let own = match &branch.bias {
                Some(name) => read(name, &[*outputs])?,
                None => vec![0.0; *outputs],
            };
            for (((bias, own), factor), offset) in bias.iter_mut().zip(own).zip(&factors).zip(offsets) {
                *bias += sign * (f64::from(own) * factor + offset);
            }
            match &branch.kernel {
                Some((name, small)) => {
                    let values = read(name, &self.kernel_shape(*small))?;
                    let margin = (side - small) / 2;
                    for (i, value) in values.into_iter().enumerate() {
                        let (plane, y, x) = (i / (small * small), i / small % small, i % small);
                        let at = plane * area + (y + margin) * side + x + margin;
                        kernel[at] += sign * f64::from(value) * factors[plane / inputs];
                    }
                }
                None => self.add_input(&mut kernel, |output| sign * factors[output]),
            }
        }
        if let Some(name) = scale {
            let factors = read(name, &[*outputs, 1, 1])?;
            for ((kernel, bias), factor) in kernel.chunks_exact_mut(size).zip(&mut bias).zip(factors) {
                kernel.iter_mut().for_each(|value| *value *= f64::from(factor));
                *bias *= f64::from(factor);
            }
        }
        if *skip {
            self.add_input(&mut kernel, |_| 1.0);
        }
        if let Some(name) = before {
            let (factors, offsets) = batch_norm(name, *inputs, read)?;
            for (kernel, bias) in kernel.chunks_exact_mut(size).zip(&mut bias) {
                *bias += kernel.iter().zip(&offsets).map(|(value, offset)| value * offset).sum::<f64>();
                kernel.iter_mut().zip(&factors).for_each(|(value, factor)| *value *= factor);
            }
        }
        Ok((kernel, bias))
    }

    /// Adds the kernel that gives the input itself, times a factor for each channel.
    fn add_input(&self, kernel: &mut [f64], factor: impl Fn(usize) -> f64) {
        let Convolution { outputs, inputs, side, .. } = self.from;
        for output in 0..outputs {
            let plane = output * inputs + output % inputs;
            kernel[(plane * side + side / 2) * side + side / 2] += factor(output);
        }
    }
}

/// What a batch norm has, beside a count of its training's steps.
const NORM: [&str; 4] = ["weight", "bias", "running_mean", "running_var"];

/// The factor and the offset that a batch norm is for each channel.
fn batch_norm(name: &str, width: usize, read: Read) -> Result<(Vec<f64>, Vec<f64>)> {
    let part = |part: &str| read(&format!("{name}.{part}"), &[width]);
    let [weight, bias, mean, variance] = NORM;
    let (weight, bias, mean, variance) = (part(weight)?, part(bias)?, part(mean)?, part(variance)?);
    let factor = |(weight, variance): (&f32, &f32)| f64::from(*weight) / (f64::from(*variance) + BATCH_NORM_EPS).sqrt();
    let factors: Vec<f64> = weight.iter().zip(&variance).map(factor).collect();
    let offset = |((bias, mean), factor): ((&f32, &f32), &f64)| f64::from(*bias) - f64::from(*mean) * factor;
    let offsets = bias.iter().zip(&mean).zip(&factors).map(offset).collect();
    Ok((factors, offsets))
}

/// Values of `shape` with their dimensions in another order, the outermost first.
fn reordered(values: &[f64], shape: [usize; 3], order: [usize; 3]) -> Vec<f64> {
    let strides = [shape[1] * shape[2], shape[2], 1];
    let [a, b, c] = order;
    let mut all = Vec::with_capacity(values.len());
    for i in 0..shape[a] {
        for j in 0..shape[b] {
            all.extend((0..shape[c]).map(|k| values[i * strides[a] + j * strides[b] + k * strides[c]]));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A channel each: two kernels and the input with norms, less a norm of the input, scaled, and the input again.
    #[test]
    fn branches_become_one_kernel() {
        let norm = |name: &str| Some(name.to_owned());
        let kernel = |name: &str, side| Some((name.to_owned(), side));
        let from = Convolution {
            outputs: 2,
            inputs: 1,
            side: 3,
            branches: vec![
                Branch { kernel: kernel("large", 3), norm: norm("a"), ..Branch::default() },
                Branch { kernel: kernel("small", 1), norm: norm("b"), ..Branch::default() },
                Branch { norm: norm("c"), ..Branch::default() },
                Branch { norm: norm("a"), minus: true, ..Branch::default() },
            ],
            scale: Some("scale".into()),
            skip: true,
            ..Convolution::default()
        };
        let read = |name: &str, shape: &[usize]| {
            let count = shape.iter().product::<usize>();
            Ok(match name {
                "large" => (0..count).map(|i| i as f32).collect(),
                "small" => vec![10.0, 20.0],
                "scale" => vec![0.5, 2.0],
                "a.weight" | "b.weight" | "c.weight" => vec![2.0, 4.0],
                "a.bias" | "b.bias" | "c.bias" => vec![1.0, 3.0],
                "a.running_mean" | "b.running_mean" | "c.running_mean" => vec![0.5, 0.25],
                // less what is added to it
                "a.running_var" | "b.running_var" | "c.running_var" => vec![4.0 - 1e-5, 16.0 - 1e-5],
                _ => panic!("{name}"),
            })
        };
        let half = |half| Fold { from: from.clone(), half }.read(&read).unwrap();
        // every norm is the input plus 0.5 or 2.75
        let first: Vec<f32> = (0..9).map(|i| 0.5 * (i as f32 + if i == 4 { 10.0 } else { 0.0 })).collect();
        let second: Vec<f32> = (9..18).map(|i| 2.0 * (i as f32 + if i == 13 { 20.0 } else { 0.0 })).collect();
        let expected: Vec<f32> = first.into_iter().chain(second).collect();
        let close = |a: Vec<f32>, b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-4) && a.len() == b.len();
        let mut weight = expected;
        weight[4] += 1.0;
        weight[13] += 1.0;
        assert!(close(half(Half::Weight), &weight));
        assert!(close(half(Half::Bias), &[0.5 * 2.0 * 0.5, 2.0 * 2.0 * 2.75]));
        let kernel: Vec<f32> = (0..18).map(|i| weight[i % 2 * 9 + i / 2]).collect();
        assert!(close(half(Half::Kernel), &kernel));
        assert_eq!(Fold { from, half: Half::Bias }.sources().len(), 3 + 4 * 4);
    }

    /// Of the input of a linear layer, whose matrix is `[2, 3]`.
    #[test]
    fn a_norm_before_a_matrix() {
        let branches = vec![Branch { kernel: Some(("m".into(), 1)), ..Branch::default() }];
        let from = Convolution {
            outputs: 2,
            inputs: 3,
            side: 1,
            branches,
            before: Some("n".into()),
            matrix: true,
            ..Convolution::default()
        };
        let read = |name: &str, shape: &[usize]| {
            Ok(match name {
                "m" => {
                    assert_eq!(shape, [2, 3]);
                    vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
                }
                "n.weight" => vec![1.0, 2.0, 3.0],
                "n.running_var" => vec![1.0 - 1e-5; 3],
                "n.bias" => vec![1.0; 3],
                _ => vec![0.0; 3],
            })
        };
        let half = |half| Fold { from: from.clone(), half }.read(&read).unwrap();
        let rounded = |values: Vec<f32>| values.into_iter().map(|v| v.round() as i32).collect::<Vec<_>>();
        assert_eq!(rounded(half(Half::Weight)), [1, 4, 9, 4, 10, 18]);
        assert_eq!(rounded(half(Half::Bias)), [6, 15]);
    }
}
