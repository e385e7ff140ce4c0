//! The inverse transform. Follows libjpeg-turbo's ISLOW transform as its vector code has it (`jidctint-avx2.asm`), which differs
//! from `jidctint.c` where coefficients are out of all proportion: products and sums wrap at 16 bits, and the results of both
//! passes saturate.
//!
//! Here is the portable code, of one block at a time; [`crate::idct_avx2`] has the same for two, and [`crate::idct_reduced`] the
//! transforms into fewer samples.

use pulp::bytemuck;

use crate::block::{BLOCK, load};
use crate::markers::Steps;

/// Constants of the transform times 2^13, by their names in `jidctint.c` (`FIX_0_298631336`).
pub const F_0_298: i32 = 2446;
pub const F_0_390: i32 = 3196;
pub const F_0_541: i32 = 4433;
pub const F_0_765: i32 = 6270;
pub const F_0_899: i32 = 7373;
pub const F_1_175: i32 = 9633;
pub const F_1_501: i32 = 12299;
pub const F_1_847: i32 = 15137;
pub const F_1_961: i32 = 16069;
pub const F_2_053: i32 = 16819;
pub const F_2_562: i32 = 20995;
pub const F_3_072: i32 = 25172;

/// Fractional bits that are dropped after the columns, and after the rows.
pub const COLUMNS: i32 = 11;
/// After the rows.
pub const ROWS: i32 = 18;

/// Quantization steps as they are multiplied with: the upper half of those above 32767 is lost.
pub type Factors = [i16; 64];

/// A component's steps as factors.
pub fn factors(steps: Option<&Steps>) -> Factors {
    // A component without a scan is flat.
    steps.map_or([0; 64], |steps| steps.map(|s| s as i16))
}

/// Blocks side by side, into `size` rows of `size` samples each: 8, 4, 2 or 1.
pub fn run(size: usize, blocks: &[[u8; BLOCK]], factors: &Factors, out: &mut [u8], stride: usize) {
    if size != 8 {
        return crate::idct_reduced::run(size, blocks, factors, out, stride);
    }
    #[cfg(target_arch = "x86_64")]
    if let Some(simd) = crate::vectors::v3() {
        return simd.vectorize(crate::idct_avx2::Run { simd, blocks, factors, out, stride });
    }
    portable(blocks, factors, out, stride);
}

/// Blocks side by side, into eight rows of samples, in plain Rust. `stride`: samples from one row to the next.
pub fn portable(blocks: &[[u8; BLOCK]], factors: &Factors, out: &mut [u8], stride: usize) {
    for (x, block) in blocks.iter().enumerate() {
        let samples = match flat(block, factors) {
            Some(level) => [[level; 8]; 8],
            None => transform(&load(block), factors),
        };
        for (line, samples) in out.chunks_mut(stride).zip(&samples) {
            if let Some(line) = line.get_mut(8 * x..8 * x + 8) {
                line.copy_from_slice(samples);
            }
        }
    }
}

/// Of a block with nothing but a mean, its level.
#[inline(always)]
pub fn flat(block: &[u8; BLOCK], factors: &Factors) -> Option<u8> {
    let words: &[[u8; 8]; 16] = bytemuck::cast_ref(block);
    let mut any = u64::from_le_bytes(words[0]) & !0xffff;
    for word in &words[1..] {
        any |= u64::from_ne_bytes(*word);
    }
    if any != 0 {
        return None;
    }
    let mean = i16::from_ne_bytes([block[0], block[1]]).wrapping_mul(factors[0]) << 2;
    let level = (i32::from(mean) + (1 << (ROWS - 14))) >> (ROWS - 13);
    Some((level.clamp(-128, 127) + 128) as u8)
}

fn transform(coefficients: &[i16; 64], factors: &Factors) -> [[u8; 8]; 8] {
    let mut rows = [[0i16; 8]; 8];
    for (value, (c, f)) in rows.as_flattened_mut().iter_mut().zip(coefficients.iter().zip(factors)) {
        *value = c.wrapping_mul(*f);
    }
    // Of the coefficients, not of the products.
    let columns =
        if coefficients[8..].iter().all(|&c| c == 0) { [rows[0].map(|v| v << 2); 8] } else { pass::<COLUMNS>(&rows) };
    let samples = transposed(&pass::<ROWS>(&transposed(&columns)));
    samples.map(|row| row.map(|v| (v.clamp(-128, 127) + 128) as u8))
}

fn transposed(rows: &[[i16; 8]; 8]) -> [[i16; 8]; 8] {
    std::array::from_fn(|y| std::array::from_fn(|x| rows[x][y]))
}

/// Eight transforms of length eight, down the columns.
#[inline(always)]
fn pass<const SHIFT: i32>(rows: &[[i16; 8]; 8]) -> [[i16; 8]; 8] {
    let mut out = [[0; 8]; 8];
    for x in 0..8 {
        let r = |y: usize| i32::from(rows[y][x]);
        let sum = |a: usize, b: usize| i32::from(rows[a][x].wrapping_add(rows[b][x]));

        let even = sum(0, 4) << 13;
        let odd = i32::from(rows[0][x].wrapping_sub(rows[4][x])) << 13;
        let t2 = r(2).wrapping_mul(F_0_541).wrapping_add(r(6).wrapping_mul(F_0_541 - F_1_847));
        let t3 = r(2).wrapping_mul(F_0_541 + F_0_765).wrapping_add(r(6).wrapping_mul(F_0_541));
        let half = [even.wrapping_add(t3), odd.wrapping_add(t2), odd.wrapping_sub(t2), even.wrapping_sub(t3)];

        let (a, b) = (sum(7, 3), sum(1, 5));
        let z3 = a.wrapping_mul(F_1_175 - F_1_961).wrapping_add(b.wrapping_mul(F_1_175));
        let z4 = a.wrapping_mul(F_1_175).wrapping_add(b.wrapping_mul(F_1_175 - F_0_390));
        let mixed =
            |a: i32, f: i32, b: i32, g: i32, z: i32| a.wrapping_mul(f).wrapping_add(b.wrapping_mul(g)).wrapping_add(z);
        let rest = [
            mixed(r(7), -F_0_899, r(1), F_1_501 - F_0_899, z4),
            mixed(r(5), -F_2_562, r(3), F_3_072 - F_2_562, z3),
            mixed(r(5), F_2_053 - F_2_562, r(3), -F_2_562, z4),
            mixed(r(7), F_0_298 - F_0_899, r(1), -F_0_899, z3),
        ];
        let rounded =
            |v: i32| (v.wrapping_add(1 << (SHIFT - 1)) >> SHIFT).clamp(i16::MIN.into(), i16::MAX.into()) as i16;
        for y in 0..4 {
            out[y][x] = rounded(half[y].wrapping_add(rest[y]));
            out[7 - y][x] = rounded(half[y].wrapping_sub(rest[y]));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks of all kinds: sparse, dense, of extreme numbers.
    fn blocks() -> (Vec<[i16; 64]>, Vec<Factors>) {
        let mut state = 1u64;
        let mut random = move || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) as u32
        };
        let blocks = (0..999).map(|i| {
            let (density, size) = (random() % 65, 1 << (random() % 16));
            let mut block = [0i16; 64];
            for (place, value) in block.iter_mut().enumerate() {
                if random() % 64 < density && (i % 5 != 0 || place < 8) {
                    *value = (random() % (2 * size) as u32).wrapping_sub(size as u32) as i16;
                }
            }
            block
        });
        let blocks = blocks.collect();
        let factors = vec![[1; 64], [255; 64], [-1; 64], std::array::from_fn(|i| 1 + 3 * i as i16), [i16::MIN; 64]];
        (blocks, factors)
    }

    #[test]
    fn vectors_give_what_the_portable_code_gives() {
        let (blocks, factors) = blocks();
        for factors in factors {
            for count in [1, 2, 3, blocks.len()] {
                let stride = 8 * count + 8;
                let mut expected = vec![7; 8 * stride];
                let mut given = expected.clone();
                let bytes: &[[u8; BLOCK]] = bytemuck::cast_slice(&blocks[..count]);
                portable(bytes, &factors, &mut expected, stride);
                run(8, bytes, &factors, &mut given, stride);
                assert!(given == expected);
            }
        }
    }

    #[test]
    fn a_flat_block_is_no_exception() {
        for mean in (-2048..2048).step_by(7) {
            for factor in [1, 3, 16, 99] {
                let mut block = [0i16; 64];
                block[0] = mean;
                let level = flat(bytemuck::cast_ref(&block), &[factor; 64]);
                let samples = transform(&block, &[factor; 64]);
                assert!(samples.as_flattened().iter().all(|&s| Some(s) == level), "{mean} {factor}");
            }
        }
    }
}
