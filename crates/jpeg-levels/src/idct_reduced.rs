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
        4 => crate::vectors::run(Run { transform: four, blocks, factors, out, stride }),
        2 => crate::vectors::run(Run { transform: two, blocks, factors, out, stride }),
        _ => crate::vectors::run(Run { transform: one, blocks, factors, out, stride }),
    }
}

struct Run<'r, T> {
    transform: T,
    blocks: &'r [[u8; BLOCK]],
    factors: &'r Factors,
    out: &'r mut [u8],
    stride: usize,
}

impl<const N: usize, T: Fn(&[u8; BLOCK], &Factors) -> [[u8; N]; N]> NullaryFnOnce for Run<'_, T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { transform, blocks, factors, out, stride } = self;
        for (x, block) in blocks.iter().enumerate() {
            let samples = transform(block, factors);
            for (line, samples) in out.chunks_mut(stride).zip(&samples) {
                if let Some(line) = line.get_mut(N * x..N * x + N) {
                    line.copy_from_slice(samples);
                }
            }
        }
    }
}

#[inline(always)]
fn four(block: &[u8; BLOCK], factors: &Factors) -> [[u8; 4]; 4] {
    if let Some(level) = idct::flat(block, factors) {
        return [[level; 4]; 4];
    }
    let coefficients = load(block);
    let rows = dequantized(&coefficients, factors);
    // Of the coefficients, not of the products. The fifth row has no part in four samples.
    let means_alone = coefficients[8..32].iter().chain(&coefficients[40..]).all(|&c| c == 0);
    let columns = if means_alone { [rows[0].map(|v| v << 2); 4] } else { four_of_eight::<8, 12>(&rows) };
    let turned: [[i16; 4]; 8] = std::array::from_fn(|x| std::array::from_fn(|y| columns[y][x]));
    let samples = four_of_eight::<4, 19>(&turned);
    std::array::from_fn(|y| std::array::from_fn(|x| level(samples[x][y])))
}

/// Four samples of eight frequencies each, down `N` columns.
#[inline(always)]
fn four_of_eight<const N: usize, const SHIFT: i32>(rows: &[[i16; N]; 8]) -> [[i16; N]; 4] {
    let mut out = [[0; N]; 4];
    for x in 0..N {
        let product = |y: usize, factor: i32| i32::from(rows[y][x]) * factor;
        let sum = |a: i32, b: i32| a.wrapping_add(b);
        let (mean, side) = (product(0, 1 << 14), sum(product(2, F_1_847), product(6, -F_0_765)));
        let (outer, inner) = (sum(mean, side), mean.wrapping_sub(side));
        let odd = |f: [i32; 4]| {
            sum(sum(product(5, f[2]), product(7, f[3])), sum(product(1, f[0]), product(3, f[1])))
        };
        let to_inner = odd([F_1_061, -F_2_172, F_1_451, -F_0_211]);
        let to_outer = odd([F_2_562, F_0_899, -F_0_601, -F_0_509]);
        out[0][x] = rounded::<SHIFT>(sum(outer, to_outer));
        out[3][x] = rounded::<SHIFT>(outer.wrapping_sub(to_outer));
        out[1][x] = rounded::<SHIFT>(sum(inner, to_inner));
        out[2][x] = rounded::<SHIFT>(inner.wrapping_sub(to_inner));
    }
    out
}

#[inline(always)]
fn two(block: &[u8; BLOCK], factors: &Factors) -> [[u8; 2]; 2] {
    let rows = dequantized(&load(block), factors);
    let odd = |x: [i32; 4]| {
        let [a, b, c, d] = [x[0] * F_3_624, x[1] * -F_1_272, x[2] * F_0_850, x[3] * -F_0_720];
        a.wrapping_add(b).wrapping_add(c.wrapping_add(d))
    };
    // Down the columns: both means as sums of 32 bits, the odd frequencies as saturated ones of 16.
    let column = |x: usize| {
        let value = |y: usize| i32::from(rows[y][x]);
        let (mean, odd) = (value(0) << 15, odd([1, 3, 5, 7].map(value)));
        let descaled = |v: i32| v.wrapping_add(1 << 12) >> 13;
        [descaled(mean.wrapping_add(odd)), descaled(mean.wrapping_sub(odd))]
    };
    let (means, odds) = (column(0), [1, 3, 5, 7].map(column));
    std::array::from_fn(|y| {
        let mean = means[y].wrapping_shl(15);
        let odd = odd(odds.map(|column| i32::from(saturated(column[y]))));
        [level(rounded::<20>(mean.wrapping_add(odd))), level(rounded::<20>(mean.wrapping_sub(odd)))]
    })
}

/// An eighth of the mean. Those out of range wrap, as the places of libjpeg's table do (`RANGE_MASK`).
#[inline(always)]
fn one(block: &[u8; BLOCK], factors: &Factors) -> [[u8; 1]; 1] {
    let mean = i32::from(i16::from_ne_bytes([block[0], block[1]])) * i32::from(factors[0]);
    let place = (mean + 4 >> 3) & 1023;
    let centred = if place < 512 { place } else { place - 1024 };
    [[level(centred as i16)]]
}

#[inline(always)]
fn dequantized(coefficients: &[i16; 64], factors: &Factors) -> [[i16; 8]; 8] {
    let mut rows = [0i16; 64];
    for (value, (c, f)) in rows.iter_mut().zip(coefficients.iter().zip(factors)) {
        *value = c.wrapping_mul(*f);
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
