//! The two passes for any processor.

use super::horizontal::Loops;
use super::kernels::{CHUNK, Chunk, HALF, Kernels, to_level, whole};
use super::line::Line;

/// The loops in plain Rust.
#[derive(Clone, Copy)]
pub(super) struct Portable;

impl Loops for Portable {
    #[inline(always)]
    fn split(self, pixels: &[u8; 3 * CHUNK]) -> [[i16; CHUNK]; 3] {
        std::array::from_fn(|channel| std::array::from_fn(|i| pixels[3 * i + channel].into()))
    }

    #[inline(always)]
    fn two_pixels(self, lines: &[Line; 2], at: usize, weights: &[Chunk]) -> [[u8; 3]; 2] {
        lines.each_ref().map(|line| {
            [0, 1, 2].map(|channel| {
                let (mut high, mut low) = (0i32, 0i32);
                for (samples, [w_high, w_low]) in line.chunks(channel, at, weights.len()).iter().zip(weights) {
                    for ((s, h), l) in samples.iter().zip(w_high).zip(w_low) {
                        high = high.wrapping_add(i32::from(*s) * i32::from(*h));
                        low = low.wrapping_add(i32::from(*s) * i32::from(*l));
                    }
                }
                to_level(whole(high, low).wrapping_add(HALF))
            })
        })
    }
}

/// The vertical pass: whole rows, weighted and summed.
pub(super) fn columns(narrow: &[u8], kernels: &Kernels, first_row: usize, stride: usize) -> Vec<u8> {
    let mut out = vec![0u8; kernels.taps.len() * stride];
    let mut sums = vec![0i32; stride];
    for ((start, weights), out_row) in kernels.taps.iter().zip(out.chunks_exact_mut(stride)) {
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
    out
}
