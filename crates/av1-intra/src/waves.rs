//! Transforms of one dimension, of several rows or columns at once (section 7.13.2).

use lanes::within;
use oxideav_av1::transform::COS128_LOOKUP;

/// Rows or columns that are transformed at once.
pub const LANES: usize = 8;
pub type Lane = [i32; LANES];

const SINES: [i32; 5] = [0, 1321, 2482, 3344, 3803];

/// `brev`: where the standard puts a sample before a cosine transform.
#[inline(always)]
pub const fn place_of(i: usize, log2: usize) -> usize {
    i.reverse_bits() >> (usize::BITS as usize - log2)
}

fn reversed(bits: usize, number: usize) -> usize {
    place_of(number, bits)
}

/// The same of all samples, by the transform's length: processors have no instruction for it.
pub const PLACES: [[u8; 64]; 7] = {
    let mut places = [[0; 64]; 7];
    let mut log2 = 1;
    while log2 < 7 {
        let mut i = 0;
        while i < 1 << log2 {
            places[log2][i] = place_of(i, log2) as u8;
            i += 1;
        }
        log2 += 1;
    }
    places
};

fn cosine(angle: usize) -> i32 {
    match angle & 255 {
        angle @ 0..=64 => COS128_LOOKUP[angle],
        angle @ 65..=128 => -COS128_LOOKUP[128 - angle],
        angle @ 129..=192 => -COS128_LOOKUP[angle - 128],
        angle => COS128_LOOKUP[256 - angle],
    }
}

#[inline(always)]
fn round(value: i32) -> i32 {
    value.wrapping_add(1 << 11) >> 12
}

/// `B(a, b, angle, 0)`.
#[inline(always)]
fn turn(t: &mut [Lane; 64], a: usize, b: usize, angle: usize) {
    let (cos, sin) = (cosine(angle), cosine(angle.wrapping_sub(64)));
    let (one, other) = (t[a & 63], t[b & 63]);
    // Sums that are lawful fit, and those of damaged data may be anything.
    for i in 0..LANES {
        t[a & 63][i] = round(one[i].wrapping_mul(cos).wrapping_sub(other[i].wrapping_mul(sin)));
        t[b & 63][i] = round(one[i].wrapping_mul(sin).wrapping_add(other[i].wrapping_mul(cos)));
    }
}

/// `B(a, b, angle, 1)`.
#[inline(always)]
fn turn_over(t: &mut [Lane; 64], a: usize, b: usize, angle: usize) {
    turn(t, a, b, angle);
    t.swap(a & 63, b & 63);
}

/// `H(a, b, over)`.
#[inline(always)]
fn both(t: &mut [Lane; 64], a: usize, b: usize, over: bool, bits: u32) {
    let (a, b) = if over { (b & 63, a & 63) } else { (a & 63, b & 63) };
    let (least, most) = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1);
    let (one, other) = (t[a], t[b]);
    for i in 0..LANES {
        t[a][i] = within(one[i].wrapping_add(other[i]), least, most);
        t[b][i] = within(one[i].wrapping_sub(other[i]), least, most);
    }
}

/// Of samples in the order of [`place_of`]. The steps are numbered as in the standard.
#[inline(always)]
pub fn dct(t: &mut [Lane; 64], n: usize, r: u32) {
    if n == 6 {
        for i in 0..16 {
            turn(t, 32 + i, 63 - i, 63 - 4 * reversed(4, i)); // 2
        }
    }
    if n >= 5 {
        for i in 0..8 {
            turn(t, 16 + i, 31 - i, 6 + (reversed(3, 7 - i) << 3)); // 3
        }
    }
    if n == 6 {
        for i in 0..16 {
            both(t, 32 + i * 2, 33 + i * 2, i & 1 == 1, r); // 4
        }
    }
    if n >= 4 {
        for i in 0..4 {
            turn(t, 8 + i, 15 - i, 12 + (reversed(2, 3 - i) << 4)); // 5
        }
    }
    if n >= 5 {
        for i in 0..8 {
            both(t, 16 + 2 * i, 17 + 2 * i, i & 1 == 1, r); // 6
        }
    }
    if n == 6 {
        for (i, j) in pairs(4, 2) {
            turn_over(t, 62 - i * 4 - j, 33 + i * 4 + j, (60 + 64 * j).wrapping_sub(16 * reversed(2, i))); // 7
        }
    }
    if n >= 3 {
        for i in 0..2 {
            turn(t, 4 + i, 7 - i, 56 - 32 * i); // 8
        }
    }
    if n >= 4 {
        for i in 0..4 {
            both(t, 8 + 2 * i, 9 + 2 * i, i & 1 == 1, r); // 9
        }
    }
    if n >= 5 {
        for (i, j) in pairs(2, 2) {
            turn_over(t, 30 - 4 * i - j, 17 + 4 * i + j, 24 + (j << 6) + ((1 - i) << 5)); // 10
        }
    }
    if n == 6 {
        for (i, j) in pairs(8, 2) {
            both(t, 32 + i * 4 + j, 35 + i * 4 - j, i & 1 == 1, r); // 11
        }
    }
    turn_over(t, 0, 1, 32); // 12
    turn(t, 2, 3, 48);
    if n >= 3 {
        for i in 0..2 {
            both(t, 4 + 2 * i, 5 + 2 * i, i == 1, r); // 13
        }
    }
    if n >= 4 {
        for i in 0..2 {
            turn_over(t, 14 - i, 9 + i, 48 + 64 * i); // 14
        }
    }
    if n >= 5 {
        for (i, j) in pairs(4, 2) {
            both(t, 16 + 4 * i + j, 19 + 4 * i - j, i & 1 == 1, r); // 15
        }
    }
    if n == 6 {
        for (i, j) in pairs(2, 4) {
            turn_over(t, 61 - i * 8 - j, 34 + i * 8 + j, 56 - i * 32 + (j >> 1) * 64); // 16
        }
    }
    for i in 0..2 {
        both(t, i, 3 - i, false, r); // 17
    }
    if n >= 3 {
        turn_over(t, 6, 5, 32); // 18
    }
    if n >= 4 {
        for (i, j) in pairs(2, 2) {
            both(t, 8 + 4 * i + j, 11 + 4 * i - j, i == 1, r); // 19
        }
    }
    if n >= 5 {
        for i in 0..4 {
            turn_over(t, 29 - i, 18 + i, 48 + (i >> 1) * 64); // 20
        }
    }
    if n == 6 {
        for (i, j) in pairs(4, 4) {
            both(t, 32 + 8 * i + j, 39 + 8 * i - j, i & 1 == 1, r); // 21
        }
    }
    if n >= 3 {
        for i in 0..4 {
            both(t, i, 7 - i, false, r); // 22
        }
    }
    if n >= 4 {
        for i in 0..2 {
            turn_over(t, 13 - i, 10 + i, 32); // 23
        }
    }
    if n >= 5 {
        for (i, j) in pairs(2, 4) {
            both(t, 16 + i * 8 + j, 23 + i * 8 - j, i == 1, r); // 24
        }
    }
    if n == 6 {
        for i in 0..8 {
            turn_over(t, 59 - i, 36 + i, if i < 4 { 48 } else { 112 }); // 25
        }
    }
    if n >= 4 {
        for i in 0..8 {
            both(t, i, 15 - i, false, r); // 26
        }
    }
    if n >= 5 {
        for i in 0..4 {
            turn_over(t, 27 - i, 20 + i, 32); // 27
        }
    }
    if n == 6 {
        for i in 0..8 {
            both(t, 32 + i, 47 - i, false, r); // 28
            both(t, 48 + i, 63 - i, true, r);
        }
    }
    if n >= 5 {
        for i in 0..16 {
            both(t, i, 31 - i, false, r); // 29
        }
    }
    if n == 6 {
        for i in 0..8 {
            turn_over(t, 55 - i, 40 + i, 32); // 30
        }
        for i in 0..32 {
            both(t, i, 63 - i, false, r); // 31
        }
    }
}

#[inline(always)]
fn pairs(many: usize, each: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..many).flat_map(move |i| (0..each).map(move |j| (i, j)))
}

#[inline(always)]
pub fn adst(t: &mut [Lane; 64], n: usize, r: u32) {
    match n {
        2 => adst_4(t),
        3 => {
            adst_in(t, 3);
            for i in 0..4 {
                turn_over(t, 2 * i, 2 * i + 1, 60 - 16 * i);
            }
            for i in 0..4 {
                both(t, i, 4 + i, false, r);
            }
            for i in 0..2 {
                turn_over(t, 4 + 3 * i, 5 + i, 48 - 32 * i);
            }
            for (i, j) in pairs(2, 2) {
                both(t, 4 * j + i, 2 + 4 * j + i, false, r);
            }
            for i in 0..2 {
                turn_over(t, 2 + 4 * i, 3 + 4 * i, 32);
            }
            adst_out(t, 3);
        }
        _ => {
            adst_in(t, 4);
            for i in 0..8 {
                turn_over(t, 2 * i, 2 * i + 1, 62 - 8 * i);
            }
            for i in 0..8 {
                both(t, i, 8 + i, false, r);
            }
            for i in 0..2 {
                turn_over(t, 8 + 2 * i, 9 + 2 * i, 56 - 32 * i);
                turn_over(t, 13 + 2 * i, 12 + 2 * i, 8 + 32 * i);
            }
            for (i, j) in pairs(4, 2) {
                both(t, 8 * j + i, 4 + 8 * j + i, false, r);
            }
            for (i, j) in pairs(2, 2) {
                turn_over(t, 4 + 8 * j + 3 * i, 5 + 8 * j + i, 48 - 32 * i);
            }
            for (i, j) in pairs(2, 4) {
                both(t, 4 * j + i, 2 + 4 * j + i, false, r);
            }
            for i in 0..4 {
                turn_over(t, 2 + 4 * i, 3 + 4 * i, 32);
            }
            adst_out(t, 4);
        }
    }
}

#[inline(always)]
fn adst_in(t: &mut [Lane; 64], n: usize) {
    let mut before = [[0; LANES]; 16];
    before.copy_from_slice(&t[..16]);
    let many = 1 << n;
    for i in 0..many {
        t[i] = before[if i & 1 == 1 { i - 1 } else { many - i - 1 }];
    }
}

#[inline(always)]
fn adst_out(t: &mut [Lane; 64], n: usize) {
    let mut before = [[0; LANES]; 16];
    before.copy_from_slice(&t[..16]);
    for (i, to) in t.iter_mut().enumerate().take(1 << n) {
        let gray = i ^ (i >> 1);
        let from = before[place_of(gray & 15, 4) >> (4 - n)];
        *to = if i & 1 == 1 { from.map(i32::wrapping_neg) } else { from };
    }
}

#[inline(always)]
fn first_four(t: &[Lane; 64], lane: usize) -> [i32; 4] {
    std::array::from_fn(|i| t[i][lane])
}

#[inline(always)]
fn adst_4(t: &mut [Lane; 64]) {
    for i in 0..LANES {
        let [a, b, c, d] = first_four(t, i);
        let times = |sine: usize, value: i32| SINES[sine].wrapping_mul(value);
        let s0 = times(1, a).wrapping_add(times(4, c)).wrapping_add(times(2, d));
        let s1 = times(2, a).wrapping_sub(times(1, c)).wrapping_sub(times(4, d));
        let s2 = times(3, a.wrapping_sub(c).wrapping_add(d));
        let s3 = times(3, b);
        let sums = [s0.wrapping_add(s3), s1.wrapping_add(s3), s2, s0.wrapping_add(s1).wrapping_sub(s3)];
        for (to, sum) in t.iter_mut().zip(sums) {
            to[i] = round(sum);
        }
    }
}

#[inline(always)]
pub fn identity(t: &mut [Lane; 64], n: usize) {
    for lane in t.iter_mut().take(1 << n) {
        for value in lane {
            let scaled = |by: i64| ((i64::from(*value) * by + (1 << 11)) >> 12) as i32;
            *value = match n {
                2 => scaled(5793),
                3 => value.wrapping_mul(2),
                4 => scaled(11586),
                _ => value.wrapping_mul(4),
            };
        }
    }
}

/// Of four samples without a loss.
#[inline(always)]
pub fn walsh(t: &mut [Lane; 64], shift: u32) {
    for i in 0..LANES {
        let [mut a, mut c, mut d, mut b] = first_four(t, i).map(|value| value >> shift);
        a = a.wrapping_add(c);
        d = d.wrapping_sub(b);
        let e = a.wrapping_sub(d) >> 1;
        b = e.wrapping_sub(b);
        c = e.wrapping_sub(c);
        a = a.wrapping_sub(b);
        d = d.wrapping_add(c);
        for (to, value) in t.iter_mut().zip([a, b, c, d]) {
            to[i] = value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The inverse cosine transform by its definition.
    #[test]
    fn cosines() {
        for log2 in 2..=6 {
            let many = 1 << log2;
            for wave in 0..many {
                let mut lanes = [[0; LANES]; 64];
                lanes[place_of(wave, log2)] = [1 << 14; LANES];
                dct(&mut lanes, log2, 24);
                for (i, lane) in lanes.iter().enumerate().take(many) {
                    let scale = if wave == 0 { 0.5f64.sqrt() } else { 1.0 };
                    let angle = std::f64::consts::PI * (2 * i + 1) as f64 * wave as f64 / (2 * many) as f64;
                    let expected = scale * angle.cos() * f64::from(1 << 14);
                    assert!((f64::from(lane[3]) - expected).abs() < 12.0, "{many} {wave} {i}: {} {expected}", lane[3]);
                }
            }
        }
    }

    #[test]
    fn walsh_is_exact() {
        let mut lanes = [[0; LANES]; 64];
        lanes[0] = [40; LANES];
        walsh(&mut lanes, 2);
        assert_eq!(first_four(&lanes, 0).iter().sum::<i32>(), 2 * 10);
    }
}
