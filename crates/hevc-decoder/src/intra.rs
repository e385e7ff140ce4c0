//! Prediction of a block from its neighbours (clause 8.4.4.2).

/// The neighbours of the largest block: from the lower left up, the corner, then to the right.
pub type Border = [u16; 129];

/// INTRA_PLANAR.
pub const PLANAR: u8 = 0;
/// INTRA_DC.
pub const DC: u8 = 1;
/// INTRA_ANGULAR10.
pub const HORIZONTAL: u8 = 10;
/// INTRA_ANGULAR26.
pub const VERTICAL: u8 = 26;

/// By the mode, from 2 on.
#[rustfmt::skip]
const ANGLES: [i32; 33] = [
    32, 26, 21, 17, 13, 9, 5, 2, 0, -2, -5, -9, -13, -17, -21, -26, -32, -26, -21, -17, -13, -9, -5, -2, 0, 2, 5, 9, 13, 17, 21, 26, 32,
];
/// Of angles below 0, by the mode, from 11 on.
const INVERSE: [i32; 15] =
    [-4096, -1638, -910, -630, -482, -390, -315, -256, -315, -390, -482, -630, -910, -1638, -4096];

/// What the prediction of a block depends on.
#[derive(Clone, Copy, Debug)]
pub struct Prediction {
    /// Of its side in samples, 2 to 5.
    pub log2: u32,
    /// 0 to 34 (table 8-1).
    pub mode: u8,
    /// Bits of a sample.
    pub depth: u32,
    /// Samples at the border of the block are smoothed, in luma.
    pub luma: bool,
    /// Neighbours are smoothed, in luma and 4:4:4.
    pub smooth: bool,
    /// And those of the largest blocks may be made straight.
    pub strong: bool,
}

/// The block, row by row, without gaps.
pub fn predict(border: &mut Border, prediction: &Prediction, out: &mut [u16; 1024]) {
    let n = 1usize << prediction.log2;
    if prediction.smooth && is_smoothed(prediction) {
        smooth(border, n, prediction);
    }
    match prediction.mode {
        PLANAR => planar(border, prediction.log2, out),
        DC => dc(border, prediction, out),
        _ => angular(border, prediction, out),
    }
}

fn is_smoothed(prediction: &Prediction) -> bool {
    let Prediction { log2, mode, .. } = *prediction;
    let distance = if mode == PLANAR { 10 } else { mode.abs_diff(HORIZONTAL).min(mode.abs_diff(VERTICAL)) };
    let most = match log2 {
        3 => 7,
        4 => 1,
        _ => 0,
    };
    mode != DC && log2 > 2 && distance > most
}

fn smooth(border: &mut Border, n: usize, prediction: &Prediction) {
    let (first, corner, last) =
        (i32::from(border[0]), i32::from(border[(2 * n) & 127]), i32::from(border[(4 * n).min(128)]));
    if prediction.strong && n == 32 {
        let (left, above) = (i32::from(border[32]), i32::from(border[96]));
        let flat = 1 << (prediction.depth - 5);
        if (first + corner - 2 * left).abs() < flat && (last + corner - 2 * above).abs() < flat {
            for i in 1..64 {
                border[i as usize] = ((first * (64 - i) + corner * i + 32) >> 6) as u16;
                border[64 + i as usize] = ((corner * (64 - i) + last * i + 32) >> 6) as u16;
            }
            return;
        }
    }
    let mut before = u32::from(border[0]);
    let mut here = u32::from(border[1]);
    for i in 1..(4 * n).min(128) {
        let next = u32::from(border[i + 1]);
        border[i] = ((before + 2 * here + next + 2) >> 2) as u16;
        (before, here) = (here, next);
    }
}

/// The left neighbours from above down, and the upper ones from the left on, with one more each.
fn sides(border: &Border, n: usize) -> ([i32; 33], [i32; 33]) {
    let (mut left, mut above) = ([0; 33], [0; 33]);
    for i in 0..=n.min(32) {
        left[i] = i32::from(border[(2 * n - 1).saturating_sub(i) & 127]);
        above[i] = i32::from(border[(2 * n + 1 + i).min(128)]);
    }
    (left, above)
}

fn planar(border: &Border, log2: u32, out: &mut [u16; 1024]) {
    let n = 1usize << log2;
    let (left, above) = sides(border, n);
    let (right, below) = (above[n & 63], left[n & 63]);
    for (y, row) in out.chunks_exact_mut(n).take(n).enumerate() {
        let (down, side) = (y as i32 + 1, left[y & 31]);
        for (x, (out, above)) in row.iter_mut().zip(&above).enumerate() {
            let across = x as i32 + 1;
            let n = n as i32;
            *out =
                (((n - across) * side + across * right + (n - down) * above + down * below + n) >> (log2 + 1)) as u16;
        }
    }
}

fn dc(border: &Border, prediction: &Prediction, out: &mut [u16; 1024]) {
    let n = 1usize << prediction.log2;
    let (left, above) = sides(border, n);
    let sum: i32 = left.iter().take(n).chain(above.iter().take(n)).sum();
    let mean = (sum + n as i32) >> (prediction.log2 + 1);
    out.iter_mut().take(n * n).for_each(|out| *out = mean as u16);
    if prediction.luma && n < 32 {
        for (out, above) in out.iter_mut().zip(&above).take(n) {
            *out = ((above + 3 * mean + 2) >> 2) as u16;
        }
        for (row, left) in out.chunks_exact_mut(n).zip(&left).take(n) {
            row[0] = ((left + 3 * mean + 2) >> 2) as u16;
        }
        out[0] = ((left[0] + 2 * mean + above[0] + 2) >> 2) as u16;
    }
}

fn angular(border: &Border, prediction: &Prediction, out: &mut [u16; 1024]) {
    let Prediction { log2, mode, depth, luma, .. } = *prediction;
    let n = 1usize << log2;
    let mode = usize::from(mode.clamp(2, 34));
    let across = mode < 18;
    let angle = ANGLES[mode - 2];
    // From the main side's neighbour at -1 on, with room before it. The other side is the border read backwards.
    let main = |i: usize| if across { border[(2 * n).saturating_sub(i)] } else { border[(2 * n + i).min(128)] };
    let other = |i: usize| if across { border[(2 * n + i).min(128)] } else { border[(2 * n).saturating_sub(i)] };
    let mut line = [0u16; 32 + 65 + 31];
    let count = if angle < 0 { n } else { 2 * n };
    for (i, place) in line.iter_mut().skip(32).take(count + 1).enumerate() {
        *place = main(i);
    }
    if angle < 0 {
        let inverse = INVERSE.get(mode - 11).copied().unwrap_or(-256);
        let furthest = ((n as i32 * angle) >> 5).unsigned_abs() as usize;
        for i in 1..=furthest.min(32) {
            line[32 - i] = other(((i as i32 * -inverse + 128) >> 8) as usize);
        }
    }
    for y in 0..n {
        let shift = (y as i32 + 1) * angle;
        let (whole, part) = (shift >> 5, (shift & 31) as u32);
        // At least 1, at most 65.
        let start = (33 + whole) as usize;
        let source = line.get(start..start + n + 1).unwrap_or_default();
        let weigh = |pair: &[u16]| match pair {
            [a, b] => (((32 - part) * u32::from(*a) + part * u32::from(*b) + 16) >> 5) as u16,
            _ => 0,
        };
        if across {
            for (out, pair) in out.iter_mut().skip(y).step_by(n).zip(source.windows(2)) {
                *out = weigh(pair);
            }
        } else if let Some(row) = out.get_mut(y * n..y * n + n) {
            for (out, pair) in row.iter_mut().zip(source.windows(2)) {
                *out = weigh(pair);
            }
        }
    }
    if angle == 0 && luma && n < 32 {
        let (corner, first, most) = (i32::from(main(0)), i32::from(main(1)), (1 << depth) - 1);
        let step = if across { 1 } else { n };
        for (i, out) in out.iter_mut().step_by(step).take(n).enumerate() {
            *out = (first + ((i32::from(other(i + 1)) - corner) >> 1)).clamp(0, most) as u16;
        }
    }
}
