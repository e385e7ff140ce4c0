//! The inner loops of the horizontal pass with NEON: the portable ones' sums in another order, which changes nothing, as
//! integers wrap. Of the vertical one the compiler makes vectors by itself.

#![allow(unsafe_code)]

use std::arch::aarch64::*;

use super::block::{ROWS, TILE, Tile, Two};
use super::horizontal::Loops;
use super::kernels::{HALF, LOW_BITS, PRECISION_BITS, Pair};

const SHIFT: i32 = LOW_BITS as i32;
const FRACTION: i32 = PRECISION_BITS as i32;

/// NEON, which every processor of arm64 has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Neon;

impl Loops for Neon {
    #[inline(always)]
    fn split(self, pixels: &[u8; 3 * TILE], tile: &mut Tile, row: usize) {
        // SAFETY: 48 bytes, and each channel gets 16 levels of its own.
        unsafe {
            let channels = vld3q_u8(pixels.as_ptr());
            for (channel, levels) in tile.iter_mut().zip([channels.0, channels.1, channels.2]) {
                let out: &mut [i16; TILE] = &mut channel.as_chunks_mut().0[row];
                vst1q_s16(out.as_mut_ptr(), vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(levels))));
                vst1q_s16(out.as_mut_ptr().add(TILE / 2), vreinterpretq_s16_u16(vmovl_high_u8(levels)));
            }
        }
    }

    /// Two levels side by side are one number of 32 bits: per channel, an 8 × 8 matrix of such to transpose.
    #[inline(always)]
    fn turn(self, tile: &Tile, out: &mut [Two; TILE / 2]) {
        for (channel, levels) in tile.iter().enumerate() {
            let rows: &[[i16; TILE]] = levels.as_chunks().0;
            for (half, rows) in rows.as_chunks::<4>().0.iter().enumerate() {
                for (columns, out) in out.as_chunks_mut::<4>().0.iter_mut().enumerate() {
                    // SAFETY: eight levels of each row, and as many of each column.
                    unsafe {
                        let r =
                            rows.each_ref().map(|row| vreinterpretq_s32_s16(vld1q_s16(row[8 * columns..].as_ptr())));
                        let (a, b) = (vtrn1q_s32(r[0], r[1]), vtrn2q_s32(r[0], r[1]));
                        let (c, d) = (vtrn1q_s32(r[2], r[3]), vtrn2q_s32(r[2], r[3]));
                        let [a, b, c, d] = [a, b, c, d].map(|pairs| vreinterpretq_s64_s32(pairs));
                        let turned = [vtrn1q_s64(a, c), vtrn1q_s64(b, d), vtrn2q_s64(a, c), vtrn2q_s64(b, d)];
                        for (out, column) in out.iter_mut().zip(turned) {
                            let out: &mut [[i16; 2]; 4] = &mut out[channel].as_chunks_mut().0[half];
                            vst1q_s16(out.as_flattened_mut().as_mut_ptr(), vreinterpretq_s16_s64(column));
                        }
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn pixels(self, samples: &[Two], weights: &[Pair]) -> [[u8; 4]; ROWS] {
        // SAFETY: a channel of two pixels is 16 levels, and four bytes for each row are 32.
        unsafe {
            // Per channel, the products of two rows in each vector. Those side by side are added in the end.
            let (mut high, mut low) = ([[vdupq_n_s32(0); 4]; 3], [[vdupq_n_s32(0); 4]; 3]);
            for (two, [w_high, w_low]) in samples.iter().zip(weights) {
                let [w_high, w_low] = [w_high, w_low].map(|w| {
                    let w = vld1_dup_s32(w.as_ptr().cast());
                    vreinterpretq_s16_s32(vcombine_s32(w, w))
                });
                for channel in 0..3 {
                    for half in 0..2 {
                        let levels = vld1q_s16(two[channel].as_flattened()[8 * half..].as_ptr());
                        for (sums, w) in [(&mut high, w_high), (&mut low, w_low)] {
                            let sums = &mut sums[channel];
                            sums[2 * half] = vmlal_s16(sums[2 * half], vget_low_s16(levels), vget_low_s16(w));
                            sums[2 * half + 1] = vmlal_high_s16(sums[2 * half + 1], levels, w);
                        }
                    }
                }
            }
            let mut levels = [vdup_n_u8(0); 4];
            for channel in 0..3 {
                let (high, low) = (high[channel], low[channel]);
                let mut halves = [vdup_n_s16(0); 2];
                for half in 0..2 {
                    let high = vpaddq_s32(high[2 * half], high[2 * half + 1]);
                    let low = vpaddq_s32(low[2 * half], low[2 * half + 1]);
                    let sum = vaddq_s32(vaddq_s32(vshlq_n_s32::<SHIFT>(high), low), vdupq_n_s32(HALF));
                    halves[half] = vqmovn_s32(vshrq_n_s32::<FRACTION>(sum));
                }
                levels[channel] = vqmovun_s16(vcombine_s16(halves[0], halves[1]));
            }
            let mut pixels = [[0; 4]; ROWS];
            let [red, green, blue, none] = levels;
            vst4_u8(pixels.as_flattened_mut().as_mut_ptr(), uint8x8x4_t(red, green, blue, none));
            pixels
        }
    }
}
