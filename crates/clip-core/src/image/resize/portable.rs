//! The two passes for any processor.

use super::block::{ROWS, TILE, Tile, Two};
use super::horizontal::Loops;
use super::kernels::{HALF, Kernels, Pair, to_level, whole};
use crate::guarded::look;

/// The loops in plain Rust.
#[derive(Clone, Copy)]
pub(super) struct Portable;

impl Loops for Portable {
    #[inline(always)]
    fn split(self, pixels: &[u8; 3 * TILE], tile: &mut Tile, row: usize) {
        for (i, pixel) in pixels.as_chunks::<3>().0.iter().enumerate() {
            for (channel, level) in tile.iter_mut().zip(pixel) {
                channel[row * TILE + i] = i16::from(*level);
            }
        }
    }

    #[inline(always)]
    fn turn(self, tile: &Tile, out: &mut [Two; TILE / 2]) {
        for (i, two) in out.iter_mut().enumerate() {
            for (two, levels) in two.iter_mut().zip(tile) {
                for (row, two) in two.iter_mut().enumerate() {
                    *two = [levels[row * TILE + 2 * i], levels[row * TILE + 2 * i + 1]];
                }
            }
        }
    }

    #[inline(always)]
    fn pixels(self, samples: &[Two], weights: &[Pair]) -> [[u8; 4]; ROWS] {
        let mut sums = [[[0i32; ROWS]; 3]; 2];
        for (two, pair) in samples.iter().zip(weights) {
            for (sums, weights) in sums.iter_mut().zip(pair) {
                for (sum, levels) in sums.as_flattened_mut().iter_mut().zip(two.as_flattened()) {
                    let [first, second] = [0, 1].map(|i| i32::from(levels[i]) * i32::from(weights[i]));
                    *sum = sum.wrapping_add(first.wrapping_add(second));
                }
            }
        }
        let [high, low] = sums;
        let level = |channel: usize, row| to_level(whole(high[channel][row], low[channel][row]).wrapping_add(HALF));
        std::array::from_fn(|row| [level(0, row), level(1, row), level(2, row), 0])
    }
}

/// The vertical pass: whole rows, weighted and summed.
pub(super) fn columns(narrow: &[u8], kernels: &Kernels, first_row: usize, stride: usize, out: &mut [u8]) {
    let mut sums = vec![0i32; stride];
    for ((start, weights), out_row) in kernels.taps.iter().zip(out.chunks_exact_mut(stride)) {
        look();
        sums.fill(HALF);
        let input = narrow[(start - first_row) * stride..].chunks_exact(stride);
        for (w, row) in kernels.weights[weights.clone()].iter().zip(input) {
            for (sum, sample) in sums.iter_mut().zip(row) {
                *sum = sum.wrapping_add(w.wrapping_mul(i32::from(*sample)));
            }
        }
        for (level, sum) in out_row.iter_mut().zip(&sums) {
            *level = to_level(*sum);
        }
    }
}
