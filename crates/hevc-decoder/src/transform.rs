//! From coefficients to residuals (clause 8.6.4).

use lanes::{NullaryFnOnce, run};

use crate::residual::LARGEST;

/// 64 √2 cos(j π / 64), as the standard has it, and 64 at its end.
const COSINES: [i16; 33] = [
    0, 90, 90, 90, 89, 88, 87, 85, 83, 82, 80, 78, 75, 73, 70, 67, 64, 61, 57, 54, 50, 46, 43, 38, 36, 31, 25, 22, 18,
    13, 9, 4, 0,
];

/// The matrix of N points: rows are frequencies, and of each the left half is here.
const fn matrix<const N: usize>() -> [[i16; 16]; 32] {
    let mut matrix = [[0; 16]; 32];
    let mut k = 0;
    while k < N {
        let mut n = 0;
        while n < N / 2 {
            // Angles in steps of π / 64.
            let angle = k * (32 / N) * (2 * n + 1) % 128;
            let angle = if angle > 64 { 128 - angle } else { angle };
            matrix[k][n] = if k == 0 {
                64
            } else if angle > 32 {
                -COSINES[64 - angle]
            } else {
                COSINES[angle]
            };
            n += 1;
        }
        k += 1;
    }
    matrix
}

const MATRIX_4: [[i16; 16]; 32] = matrix::<4>();
const MATRIX_8: [[i16; 16]; 32] = matrix::<8>();
const MATRIX_16: [[i16; 16]; 32] = matrix::<16>();
const MATRIX_32: [[i16; 16]; 32] = matrix::<32>();

/// Of sine, for luma blocks of 4 x 4.
const SINES: [[i32; 4]; 4] = [[29, 55, 74, 84], [74, 74, 0, -74], [84, -29, -74, 55], [55, -84, 74, -29]];

/// A block's coefficients, and how many of its columns and rows are not zero.
pub struct Coefficients {
    /// Row by row, without gaps.
    pub levels: [i16; LARGEST],
    /// Columns up to the last one that is not zero.
    pub columns: usize,
    /// Rows up to the last one that is not zero.
    pub rows: usize,
}

impl Coefficients {
    /// Zeros.
    pub fn new() -> Self {
        Self { levels: [0; LARGEST], columns: 0, rows: 0 }
    }

    /// Zeros, for a block of so many samples.
    pub fn clear(&mut self, area: usize) {
        if let Some(levels) = self.levels.get_mut(..area) {
            levels.fill(0);
        }
        (self.columns, self.rows) = (0, 0);
    }
}

/// The inverse of the cosine transform.
pub fn cosine(coefficients: &Coefficients, log2: u32, depth: u32, out: &mut [i32; LARGEST]) {
    let shift = 20 - depth;
    if coefficients.columns == 1 && coefficients.rows == 1 {
        let first = (64 * i32::from(coefficients.levels[0]) + 64) >> 7;
        let level = (64 * first + (1 << (shift - 1))) >> shift;
        return out.iter_mut().take(1 << (2 * log2)).for_each(|out| *out = level);
    }
    match log2 {
        2 => run(Inverse::<4, 2> { coefficients, matrix: &MATRIX_4, shift, out }),
        3 => run(Inverse::<8, 4> { coefficients, matrix: &MATRIX_8, shift, out }),
        4 => run(Inverse::<16, 8> { coefficients, matrix: &MATRIX_16, shift, out }),
        _ => run(Inverse::<32, 16> { coefficients, matrix: &MATRIX_32, shift, out }),
    }
}

struct Inverse<'a, const N: usize, const H: usize> {
    coefficients: &'a Coefficients,
    matrix: &'static [[i16; 16]; 32],
    shift: u32,
    out: &'a mut [i32; LARGEST],
}

impl<const N: usize, const H: usize> NullaryFnOnce for Inverse<'_, N, H> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { coefficients, matrix, shift, out } = self;
        let source = coefficients.levels.as_chunks::<N>().0;
        let mut between = [[0i16; N]; N];
        // Down the columns: frequencies of even number give halves that are alike, those of odd number opposite ones.
        for y in 0..H {
            let (mut even, mut odd) = ([0i32; N], [0i32; N]);
            let frequencies = matrix.iter().zip(source).take(coefficients.rows);
            for (k, (factors, levels)) in frequencies.enumerate() {
                let (factor, sums) = (i32::from(factors[y]), if k % 2 == 0 { &mut even } else { &mut odd });
                for (sum, &level) in sums.iter_mut().zip(levels) {
                    *sum += factor * i32::from(level);
                }
            }
            for x in 0..N {
                let clip = |sum: i32| ((sum + 64) >> 7).clamp(-32768, 32767) as i16;
                between[y][x] = clip(even[x] + odd[x]);
                between[N - 1 - y][x] = clip(even[x] - odd[x]);
            }
        }
        // Along the rows.
        for (out, levels) in out.as_chunks_mut::<N>().0.iter_mut().zip(&between) {
            let (mut even, mut odd) = ([0i32; H], [0i32; H]);
            let frequencies = matrix.iter().zip(levels).take(coefficients.columns);
            for (k, (factors, &level)) in frequencies.enumerate() {
                let sums = if k % 2 == 0 { &mut even } else { &mut odd };
                for (sum, &factor) in sums.iter_mut().zip(factors) {
                    *sum += i32::from(factor) * i32::from(level);
                }
            }
            for x in 0..H {
                let round = |sum: i32| (sum + (1 << (shift - 1))) >> shift;
                out[x] = round(even[x] + odd[x]);
                out[N - 1 - x] = round(even[x] - odd[x]);
            }
        }
    }
}

/// The inverse of the sine transform.
pub fn sine(coefficients: &Coefficients, depth: u32, out: &mut [i32; LARGEST]) {
    let shift = 20 - depth;
    let source = coefficients.levels.as_chunks::<4>().0;
    let mut between = [[0i32; 4]; 4];
    for (levels, factors) in source.iter().zip(&SINES) {
        for (row, &factor) in between.iter_mut().zip(factors) {
            for (sum, &level) in row.iter_mut().zip(levels) {
                *sum += factor * i32::from(level);
            }
        }
    }
    for (out, row) in out.as_chunks_mut::<4>().0.iter_mut().zip(&between) {
        let mut sums = [1 << (shift - 1); 4];
        for (&level, factors) in row.iter().zip(&SINES) {
            let level = ((level + 64) >> 7).clamp(-32768, 32767);
            for (sum, &factor) in sums.iter_mut().zip(factors) {
                *sum += level * factor;
            }
        }
        for (out, sum) in out.iter_mut().zip(sums) {
            *out = sum >> shift;
        }
    }
}

/// Residuals that were coded as they are, in blocks of 4 x 4.
pub fn skip(coefficients: &Coefficients, depth: u32, out: &mut [i32; LARGEST]) {
    let shift = 20 - depth;
    for (out, &level) in out.iter_mut().zip(&coefficients.levels).take(16) {
        *out = ((i32::from(level) << 7) + (1 << (shift - 1))) >> shift;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_the_standard() {
        assert_eq!(MATRIX_4[1][..2], [83, 36]);
        assert_eq!(MATRIX_8[3][..4], [75, -18, -89, -50]);
        assert_eq!(MATRIX_16[1][..8], [90, 87, 80, 70, 57, 43, 25, 9]);
        assert_eq!(MATRIX_32[31], [4, -13, 22, -31, 38, -46, 54, -61, 67, -73, 78, -82, 85, -88, 90, -90]);
    }

    #[test]
    fn a_constant_block_by_both_ways() {
        let (mut one, mut other) = (Box::new([0; LARGEST]), Box::new([0; LARGEST]));
        for log2 in 2..6 {
            for level in [-32768, -300, -1, 1, 77, 32767] {
                let mut coefficients = Coefficients::new();
                coefficients.levels[0] = level;
                (coefficients.columns, coefficients.rows) = (1, 1);
                cosine(&coefficients, log2, 8, &mut one);
                coefficients.rows = 2;
                cosine(&coefficients, log2, 8, &mut other);
                assert_eq!(one, other);
            }
        }
    }
}
