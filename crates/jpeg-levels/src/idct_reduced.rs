//! The inverse transform into four, two or one samples across and down, of each block's low frequencies. Follows the vector code of
//! libjpeg-turbo (`jidctred-sse2.asm`) for four and two, `jidctred.c` for one. They differ where coefficients are out of all
//! proportion: in which sums wrap, and which saturate.

use pulp::{NullaryFnOnce, bytemuck};

use crate::block::{BLOCK, load};
use crate::idct::{self, Factors};

/// Constants of both transforms times 2^13, by their names in `jidctred.c`.
const F_0_211: i32 = 1730;
const F_0_509: i32 = 4176;
const F_0_601: i32 = 4926;
const F_0_720: i32 = 5906;
const F_0_850: i32 = 6967;
const F_1_061: i32 = 8697;
const F_1_272: i32 = 10426;
const F_1_451: i32 = 11893;
const F_2_172: i32 = 17799;
const F_3_624: i32 = 29692;
use idct::{F_0_765, F_0_899, F_1_847, F_2_562};

/// Blocks side by side, into `size` rows of `size` samples each: 4, 2 or 1. `stride`: samples from one row to the next.
pub fn run(size: usize, blocks: &[[u8; BLOCK]], factors: &Factors, out: &mut [u8], stride: usize) {
    match size {
        4 => crate::vectors::run(Run::<4> { blocks, factors, out, stride }),
        2 => crate::vectors::run(Run::<2> { blocks, factors, out, stride }),
        _ => crate::vectors::run(Run::<1> { blocks, factors, out, stride }),
    }
}

struct Run<'r, const N: usize> {
    blocks: &'r [[u8; BLOCK]],
    factors: &'r Factors,
    out: &'r mut [u8],
    stride: usize,
}

impl<const N: usize> NullaryFnOnce for Run<'_, N> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { blocks, factors, out, stride } = self;
        for (x, block) in blocks.iter().enumerate() {
            let mut samples = [[0; N]; N];
            let flat = samples.as_flattened_mut();
            match N {
                4 => flat.copy_from_slice(four(block, factors).as_flattened()),
                2 => flat.copy_from_slice(two(block, factors).as_flattened()),
                _ => flat[0] = one(block, factors),
            }
            for (y, samples) in samples.iter().enumerate() {
                if let Some(line) = out.get_mut(y * stride + N * x..).and_then(<[u8]>::first_chunk_mut) {
                    *line = *samples;
                }
            }
        }
    }
}

// Loops by index and no closures: those of iterators and arrays stay calls where vector instructions are switched on for one function.

#[inline(always)]
fn four(block: &[u8; BLOCK], factors: &Factors) -> [[u8; 4]; 4] {
    if let Some(level) = idct::flat(block, factors) {
        return [[level; 4]; 4];
    }
    let coefficients = load(block);
    let rows = dequantized(&coefficients, factors);
    // Of the coefficients, not of the products. The fifth row has no part in four samples.
    let mut any = 0;
    for (i, c) in coefficients.iter().enumerate().skip(8) {
        any |= if i / 8 == 4 { 0 } else { *c };
    }
    let mut columns = [[0; 8]; 4];
    if any == 0 {
        for x in 0..8 {
            let mean = rows[0][x] << 2;
            for row in &mut columns {
                row[x] = mean;
            }
        }
    } else {
        columns = four_of_eight::<8, 12>(&rows);
    }
    let mut turned = [[0; 4]; 8];
    for x in 0..8 {
        for y in 0..4 {
            turned[x][y] = columns[y][x];
        }
    }
    let samples = four_of_eight::<4, 19>(&turned);
    let mut out = [[0; 4]; 4];
    for y in 0..4 {
        for x in 0..4 {
            out[y][x] = level(samples[x][y]);
        }
    }
    out
}

/// Four samples of eight frequencies each, down `N` columns.
#[inline(always)]
fn four_of_eight<const N: usize, const SHIFT: i32>(rows: &[[i16; N]; 8]) -> [[i16; N]; 4] {
    let mut out = [[0; N]; 4];
    for x in 0..N {
        let mean = i32::from(rows[0][x]) << 14;
        let side = pair(rows[2][x], F_1_847, rows[6][x], -F_0_765);
        let (outer, inner) = (mean.wrapping_add(side), mean.wrapping_sub(side));
        let (low, high) = ((rows[1][x], rows[3][x]), (rows[5][x], rows[7][x]));
        let to_inner = pair(low.0, F_1_061, low.1, -F_2_172).wrapping_add(pair(high.0, F_1_451, high.1, -F_0_211));
        let to_outer = pair(low.0, F_2_562, low.1, F_0_899).wrapping_add(pair(high.0, -F_0_601, high.1, -F_0_509));
        out[0][x] = rounded::<SHIFT>(outer.wrapping_add(to_outer));
        out[3][x] = rounded::<SHIFT>(outer.wrapping_sub(to_outer));
        out[1][x] = rounded::<SHIFT>(inner.wrapping_add(to_inner));
        out[2][x] = rounded::<SHIFT>(inner.wrapping_sub(to_inner));
    }
    out
}

#[inline(always)]
fn two(block: &[u8; BLOCK], factors: &Factors) -> [[u8; 2]; 2] {
    let rows = dequantized(&load(block), factors);
    // Down the columns. The mean's sums keep 32 bits, those of the odd frequencies become 16.
    let mut columns = [[0; 8]; 2];
    for x in 0..8 {
        let mean = i32::from(rows[0][x]) << 15;
        let odd = odd(rows[1][x], rows[3][x], rows[5][x], rows[7][x]);
        columns[0][x] = mean.wrapping_add(odd).wrapping_add(1 << 12) >> 13;
        columns[1][x] = mean.wrapping_sub(odd).wrapping_add(1 << 12) >> 13;
    }
    let mut out = [[0; 2]; 2];
    for (out, c) in out.iter_mut().zip(&columns) {
        let mean = c[0].wrapping_shl(15);
        let odd = odd(saturated(c[1]), saturated(c[3]), saturated(c[5]), saturated(c[7]));
        *out = [level(rounded::<20>(mean.wrapping_add(odd))), level(rounded::<20>(mean.wrapping_sub(odd)))];
    }
    out
}

/// What the odd frequencies add to the first of two samples.
#[inline(always)]
fn odd(a: i16, b: i16, c: i16, d: i16) -> i32 {
    pair(a, F_3_624, b, -F_1_272).wrapping_add(pair(c, F_0_850, d, -F_0_720))
}

/// The sum of two products.
#[inline(always)]
fn pair(a: i16, by: i32, b: i16, and: i32) -> i32 {
    (i32::from(a) * by).wrapping_add(i32::from(b) * and)
}

/// An eighth of the mean. Those out of range wrap, as the places of libjpeg's table do (`RANGE_MASK`).
#[inline(always)]
fn one(block: &[u8; BLOCK], factors: &Factors) -> u8 {
    let mean = i32::from(i16::from_ne_bytes([block[0], block[1]])) * i32::from(factors[0]);
    let place = ((mean + 4) >> 3) & 1023;
    let centred = if place < 512 { place } else { place - 1024 };
    level(centred as i16)
}

#[inline(always)]
fn dequantized(coefficients: &[i16; 64], factors: &Factors) -> [[i16; 8]; 8] {
    let mut rows = [0i16; 64];
    for i in 0..64 {
        rows[i] = coefficients[i].wrapping_mul(factors[i]);
    }
    bytemuck::cast(rows)
}

#[inline(always)]
fn rounded<const SHIFT: i32>(v: i32) -> i16 {
    saturated(v.wrapping_add(1 << (SHIFT - 1)) >> SHIFT)
}

#[inline(always)]
fn saturated(v: i32) -> i16 {
    v.clamp(i16::MIN.into(), i16::MAX.into()) as i16
}

#[inline(always)]
fn level(v: i16) -> u8 {
    (v.clamp(-128, 127) + 128) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reduced transforms are those of the block's low frequencies: of a smooth block about its means.
    #[test]
    fn a_ramp_stays_one() {
        let mut block = [0i16; 64];
        (block[0], block[1], block[8]) = (80, -300, 120);
        let bytes = bytemuck::cast_ref(&block);
        let mut whole = [0; 64];
        idct::portable(std::slice::from_ref(bytes), &[1; 64], &mut whole, 8);
        for size in [4, 2, 1] {
            let mut out = vec![0; size * size];
            run(size, std::slice::from_ref(bytes), &[1; 64], &mut out, size);
            let each = 8 / size;
            for (place, &sample) in out.iter().enumerate() {
                let (y, x) = (place / size * each, place % size * each);
                let sum: u32 = (0..each * each).map(|i| u32::from(whole[(y + i / each) * 8 + x + i % each])).sum();
                let mean = sum as f32 / (each * each) as f32;
                assert!((mean - f32::from(sample)).abs() <= 2.0, "{size}: {mean} {sample}");
            }
        }
    }

    #[test]
    fn a_flat_block_is_no_exception_of_four() {
        for mean in (-2048..2048).step_by(7) {
            let mut block = [0i16; 64];
            (block[0], block[32]) = (mean, 1);
            let full = four(bytemuck::cast_ref(&block), &[3; 64]);
            block[32] = 0;
            assert_eq!(full, four(bytemuck::cast_ref(&block), &[3; 64]), "{mean}");
        }
    }
}
