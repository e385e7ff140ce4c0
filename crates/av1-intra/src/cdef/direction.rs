//! Where to a block's lines are inclined (section 7.15.2).

use lanes::each;
use oxideav_av1::cdef::DIV_TABLE;
use pulp::{Simd, WithSimd};

use super::{AROUND, BEFORE, Band};

/// In which of eight directions a block of 8 x 8 luma samples varies least, and how much less than across it.
pub struct Direction<'a> {
    pub band: &'a Band,
    /// Its row and its column in the band.
    pub place: (usize, usize),
    /// Bits that samples have beyond eight.
    pub scale: u32,
}

/// Of each direction, the sums along its lines.
type Sums = [[i16; 16]; 8];

/// Adds numbers, moved by a count of places.
#[inline(always)]
fn add_moved<const N: usize>(sums: &mut [i16; 16], by: usize, numbers: [i16; N]) {
    let moved: [i16; 16] = each(|k| if k >= by && k - by < N { numbers[k - by] } else { 0 });
    *sums = each(|k| sums[k] + moved[k]);
}

/// Adds a block's row to the sums of all directions, each moved as its lines are inclined.
#[inline(always)]
fn add_row<const ROW: usize>(sums: &mut Sums, line: [i16; 8]) {
    let pairs: [i16; 4] = each(|k| line[2 * k] + line[2 * k + 1]);
    add_moved(&mut sums[0], ROW, line);
    add_moved::<4>(&mut sums[1], ROW, pairs);
    sums[2][ROW] = pairs[0] + pairs[1] + pairs[2] + pairs[3];
    add_moved::<4>(&mut sums[3], ROW, each(|k| pairs[3 - k]));
    add_moved::<8>(&mut sums[4], ROW, each(|k| line[7 - k]));
    add_moved(&mut sums[5], 3 - ROW / 2, line);
    add_moved(&mut sums[6], 0, line);
    add_moved(&mut sums[7], ROW / 2, line);
}

impl WithSimd for Direction<'_> {
    type Output = (usize, u32);

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Self::Output {
        let start = (self.place.0 + AROUND) * self.band.stride + BEFORE + self.place.1;
        let line = |row: usize| {
            let line = self.band.data.get(start + row * self.band.stride..).and_then(|line| line.first_chunk::<8>());
            line.map_or([0; 8], |line| each(|k| (line[k] >> self.scale) as i16 - 128))
        };
        let mut sums = [[0; 16]; 8];
        add_row::<0>(&mut sums, line(0));
        add_row::<1>(&mut sums, line(1));
        add_row::<2>(&mut sums, line(2));
        add_row::<3>(&mut sums, line(3));
        add_row::<4>(&mut sums, line(4));
        add_row::<5>(&mut sums, line(5));
        add_row::<6>(&mut sums, line(6));
        add_row::<7>(&mut sums, line(7));
        let mut costs = [0i32; 8];
        let square = |number: i16| i32::from(number) * i32::from(number);
        for direction in [2, 6] {
            costs[direction] = sums[direction].iter().take(8).map(|&sum| square(sum) * DIV_TABLE[8]).sum();
        }
        for direction in [0, 4] {
            for i in 0..7 {
                costs[direction] += (square(sums[direction][i]) + square(sums[direction][14 - i])) * DIV_TABLE[i + 1];
            }
            costs[direction] += square(sums[direction][7]) * DIV_TABLE[8];
        }
        for direction in [1, 3, 5, 7] {
            for j in 0..5 {
                costs[direction] += square(sums[direction][3 + j]) * DIV_TABLE[8];
            }
            for j in 0..3 {
                costs[direction] +=
                    (square(sums[direction][j]) + square(sums[direction][10 - j])) * DIV_TABLE[2 * j + 2];
            }
        }
        let (mut best, mut most) = (0, 0);
        for (i, &cost) in costs.iter().enumerate() {
            if cost > most {
                (best, most) = (i, cost);
            }
        }
        (best, ((most - costs[(best + 4) & 7]) >> 10) as u32)
    }
}
