//! Convolutions in which each channel has a kernel of its own.

use std::sync::{Mutex, PoisonError};

use pulp::Simd;

use super::simd::{Loop, dispatch, multiply_add};
use crate::compute::Compute;
use crate::error::{Error, Result};
use crate::weights::Weights;

/// Channels that are computed together: a cache line, and a vector of AVX-512.
const BLOCK: usize = 16;
/// Rows of outputs that a thread computes at a time, at most.
const ROWS: usize = 16;

/// The values of a pixel of one block of channels.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; BLOCK]);

impl Line {
    const ZERO: Self = Self([0.0; BLOCK]);
}

/// A convolution of `[pixels, inputs]` with zeros around the image. Each channel makes one or several others, which lie
/// side by side.
pub struct Depthwise {
    side: usize,
    stride: usize,
    inputs: usize,
    outputs: usize,
    /// Of each block of channels the kernel, `[side, side]`, then the bias.
    blocks: Vec<Vec<Line>>,
}

impl Depthwise {
    /// Reads kernel and bias of `name`, of `[side, stride]` and of `[inputs, outputs]`.
    ///
    /// `Internal` for sizes that do not fit, and for a side and stride that there is no code for.
    pub fn load(weights: &Weights, name: &str, size: [usize; 2], channels: [usize; 2]) -> Result<Self> {
        let (kernel, bias) = (weights.values(&format!("{name}.kernel"))?, weights.values(&format!("{name}.bias"))?);
        Self::new(&kernel, &bias, size, channels).map_err(|e| e.context(name.to_owned()))
    }

    /// `kernel`: `[side, side, outputs]`.
    fn new(kernel: &[f32], bias: &[f32], [side, stride]: [usize; 2], [inputs, outputs]: [usize; 2]) -> Result<Self> {
        let known = matches!((side, stride), (3 | 7, 1 | 2));
        let fits = kernel.len() == side * side * outputs && bias.len() == outputs;
        if !known || !fits || inputs == 0 || !outputs.is_multiple_of(inputs) {
            return Err(Error::internal(format!("no convolution of {side} x {side}, {inputs} to {outputs} channels")));
        }
        let block = |first: usize| {
            let values = kernel.chunks_exact(outputs).chain([bias]);
            values.map(|row| line(&row[first..outputs.min(first + BLOCK)])).collect()
        };
        let blocks = (0..outputs).step_by(BLOCK).map(block).collect();
        Ok(Self { side, stride, inputs, outputs, blocks })
    }

    /// Values of a pixel that it makes.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Convolves so many images of `grid` pixels a side.
    pub fn forward(&self, x: &[f32], images: usize, grid: usize, compute: &Compute) -> Result<Vec<f32>> {
        if x.len() != images * grid * grid * self.inputs || grid == 0 {
            return Err(Error::internal(format!("{} values, expected {images} x {grid} x {grid} pixels", x.len())));
        }
        let out_grid = (grid - 1) / self.stride + 1;
        let (each, line) = (out_grid * out_grid * self.outputs, out_grid * self.outputs);
        let parts = (2 * compute.threads()).div_ceil(images.max(1));
        let rows = out_grid.div_ceil(parts).clamp(1, ROWS);
        let mut out = vec![0.0; images * each];
        let bands = out.chunks_mut(each).enumerate().flat_map(|(image, out)| {
            out.chunks_mut(rows * line).enumerate().map(move |(i, out)| Mutex::new((image, i * rows, out)))
        });
        let bands: Vec<_> = bands.collect();
        compute.pool().for_each(bands.len(), |i| {
            let mut band = bands[i].lock().unwrap_or_else(PoisonError::into_inner);
            let (image, top, out) = &mut *band;
            let image = &x[*image * grid * grid * self.inputs..][..grid * grid * self.inputs];
            self.band(image, grid, *top, out_grid, out, compute);
        });
        drop(bands);
        Ok(out)
    }

    /// Some rows of one image's outputs, from `top` on.
    fn band(&self, image: &[f32], grid: usize, top: usize, out_grid: usize, out: &mut [f32], compute: &Compute) {
        let Self { side, stride, inputs, outputs, .. } = *self;
        let (rows, margin) = (out.len() / (out_grid * outputs), side / 2);
        let (height, width) = ((rows - 1) * stride + side, (out_grid - 1) * stride + side);
        // Zeros stay around what each block writes into it.
        let mut padded = vec![Line::ZERO; height * width];
        for (block, kernel) in self.blocks.iter().enumerate() {
            let first = block * BLOCK;
            let channels = BLOCK.min(outputs - first);
            for (y, line) in padded.chunks_exact_mut(width).enumerate() {
                let Some(from) = (top * stride + y).checked_sub(margin).filter(|y| *y < grid) else { continue };
                let pixels = image[from * grid * inputs..][..grid * inputs].chunks_exact(inputs);
                copy(pixels, &mut line[margin..], first, channels, outputs / inputs);
            }
            let Some((bias, kernel)) = kernel.split_last() else { continue };
            let (lines, out) = (&padded[..], &mut out[first..]);
            dispatch(
                compute.kernel(),
                Sweep { side, stride, lines, width, kernel, bias, out, rows, out_grid, outputs, channels },
            );
        }
    }
}

/// Some channels of each pixel, from `first` on. Each is there several times.
fn copy<'a>(pixels: impl Iterator<Item = &'a [f32]>, to: &mut [Line], first: usize, channels: usize, times: usize) {
    for (pixel, line) in pixels.zip(to) {
        if times == 1 {
            match pixel[first..].first_chunk::<BLOCK>() {
                Some(values) => line.0 = *values,
                None => line.0[..channels].copy_from_slice(&pixel[first..][..channels]),
            }
        } else {
            for (i, value) in line.0[..channels].iter_mut().enumerate() {
                *value = pixel[(first + i) / times];
            }
        }
    }
}

fn line(values: &[f32]) -> Line {
    let mut line = Line::ZERO;
    line.0[..values.len()].copy_from_slice(values);
    line
}

/// One block of channels of a band.
struct Sweep<'a> {
    side: usize,
    stride: usize,
    /// Inputs, `width` a row.
    lines: &'a [Line],
    width: usize,
    kernel: &'a [Line],
    bias: &'a Line,
    /// From the first channel of the first pixel on.
    out: &'a mut [f32],
    rows: usize,
    out_grid: usize,
    /// All channels of a pixel.
    outputs: usize,
    /// Those of the block.
    channels: usize,
}

impl Loop for Sweep<'_> {
    #[inline(always)]
    fn run<S: Simd, const FUSED: bool>(self, simd: S) {
        match (self.side, self.stride) {
            (3, 1) => self.sweep::<S, FUSED, 3, 1>(simd),
            (3, _) => self.sweep::<S, FUSED, 3, 2>(simd),
            (_, 1) => self.sweep::<S, FUSED, 7, 1>(simd),
            _ => self.sweep::<S, FUSED, 7, 2>(simd),
        }
    }
}

impl Sweep<'_> {
    #[inline(always)]
    fn sweep<S: Simd, const FUSED: bool, const SIDE: usize, const STRIDE: usize>(self, simd: S) {
        let Self { lines, width, kernel, bias, out, rows, out_grid, outputs, channels, .. } = self;
        for y in 0..rows {
            let lines = &lines[y * STRIDE * width..][..SIDE * width];
            let mut x = 0;
            while x < out_grid {
                let out = &mut out[(y * out_grid + x) * outputs..];
                let lines = &lines[x * STRIDE..];
                x += match out_grid - x {
                    8.. => tile::<S, FUSED, SIDE, STRIDE, 8>(simd, lines, width, kernel, bias, out, outputs, channels),
                    4.. => tile::<S, FUSED, SIDE, STRIDE, 4>(simd, lines, width, kernel, bias, out, outputs, channels),
                    _ => tile::<S, FUSED, SIDE, STRIDE, 1>(simd, lines, width, kernel, bias, out, outputs, channels),
                };
            }
        }
    }
}

/// So many outputs of a row, whose sums stay in registers. Gives how many that are.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
fn tile<S: Simd, const FUSED: bool, const SIDE: usize, const STRIDE: usize, const TILE: usize>(
    simd: S,
    lines: &[Line],
    width: usize,
    kernel: &[Line],
    bias: &Line,
    out: &mut [f32],
    outputs: usize,
    channels: usize,
) -> usize {
    for v in 0..BLOCK / S::F32_LANES {
        let mut sums = [S::as_simd_f32s(&bias.0).0[v]; TILE];
        for row in 0..SIDE {
            let line = &lines[row * width..][..(TILE - 1) * STRIDE + SIDE];
            let weights = &kernel[row * SIDE..][..SIDE];
            for step in 0..SIDE {
                let weight = S::as_simd_f32s(&weights[step].0).0[v];
                for t in 0..TILE {
                    let x = S::as_simd_f32s(&line[t * STRIDE + step].0).0[v];
                    sums[t] = multiply_add::<S, FUSED>(simd, weight, x, sums[t]);
                }
            }
        }
        let from = v * S::F32_LANES;
        for t in 0..TILE {
            if channels == BLOCK {
                S::as_mut_simd_f32s(&mut out[t * outputs + from..][..S::F32_LANES]).0[0] = sums[t];
            } else if from < channels {
                let mut values = [0.0; BLOCK];
                S::as_mut_simd_f32s(&mut values).0[0] = sums[t];
                let count = S::F32_LANES.min(channels - from);
                out[t * outputs + from..][..count].copy_from_slice(&values[..count]);
            }
        }
    }
    TILE
}

#[cfg(test)]
mod tests {
    use super::*;
    use packed_gemm::Kernel;

    /// Against the sums written out, for every kernel of the machine.
    #[test]
    fn every_size_stride_and_kernel() {
        for (side, stride, grid, inputs, times) in
            [(3, 1, 5, 16, 1), (3, 2, 9, 24, 1), (7, 1, 13, 8, 1), (7, 2, 17, 20, 2), (7, 2, 6, 16, 1), (3, 1, 1, 4, 2)]
        {
            let (outputs, images) = (inputs * times, 3);
            let value = |i: usize| ((i * 7919 + 13) % 101) as f32 / 50.0 - 1.0;
            let kernel: Vec<f32> = (0..side * side * outputs).map(value).collect();
            let bias: Vec<f32> = (0..outputs).map(|i| value(i + 5)).collect();
            let x: Vec<f32> = (0..images * grid * grid * inputs).map(|i| value(i + 3)).collect();
            let out_grid = (grid - 1) / stride + 1;
            let mut expected = Vec::new();
            for i in 0..images * out_grid * out_grid * outputs {
                let (channel, at) = (i % outputs, i / outputs);
                let (image, y, x0) = (at / out_grid / out_grid, at / out_grid % out_grid, at % out_grid);
                let mut sum = f64::from(bias[channel]);
                for (ky, kx) in (0..side * side).map(|k| (k / side, k % side)) {
                    let (py, px) =
                        ((y * stride + ky).wrapping_sub(side / 2), (x0 * stride + kx).wrapping_sub(side / 2));
                    if py < grid && px < grid {
                        let pixel = x[((image * grid + py) * grid + px) * inputs + channel / times];
                        sum += f64::from(pixel) * f64::from(kernel[(ky * side + kx) * outputs + channel]);
                    }
                }
                expected.push(sum as f32);
            }
            let depthwise = Depthwise::new(&kernel, &bias, [side, stride], [inputs, outputs]).unwrap();
            for machine in [Kernel::Portable, Kernel::best()] {
                for threads in [1, 3] {
                    let compute = Compute::with_kernel(threads, machine).unwrap();
                    let given = depthwise.forward(&x, images, grid, &compute).unwrap();
                    assert_eq!(given.len(), expected.len());
                    let close = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-4;
                    assert!(given.iter().zip(&expected).all(close), "{side}, {stride}, {machine:?}");
                }
            }
        }
    }

    #[test]
    fn what_does_not_fit() {
        let new = |kernel: usize, size, channels| Depthwise::new(&vec![0.0; kernel], &[0.0; 4], size, channels).is_ok();
        assert!(new(36, [3, 1], [4, 4]) && new(36, [3, 2], [2, 4]));
        assert!(!new(100, [5, 1], [4, 4]) && !new(36, [3, 3], [4, 4]) && !new(35, [3, 1], [4, 4]));
        assert!(!new(36, [3, 1], [3, 4]) && !new(36, [3, 1], [0, 4]));
        let depthwise = Depthwise::new(&[0.0; 36], &[0.0; 4], [3, 1], [4, 4]).unwrap();
        assert!(depthwise.forward(&[0.0; 15], 1, 2, &Compute::new(1).unwrap()).is_err());
    }
}
