//! The filter of edges between transforms (section 7.14). In pictures that are predicted from no other every one is filtered.

use oxideav_av1::cdf::{TX_HEIGHT, TX_WIDTH};

use crate::frame::Frame;
use crate::setup::Setup;

/// Samples of a line on each side of an edge that may be looked at.
const SIDE: usize = 7;

/// Rows of blocks between looks, an even number.
const BAND: usize = 16;
/// Lines that are filtered at once.
const LINES: usize = 8;

/// How strongly an edge is filtered, in steps of the samples' depth.
struct Strength {
    limit: i16,
    edge_limit: i16,
    threshold: i16,
    depth: u32,
}

pub fn deblock(setup: &Setup<'_>, frame: &mut Frame, go_on: &dyn Fn() -> bool) -> bool {
    let levels = setup.filter.loop_filter_level;
    if levels[0] == 0 && levels[1] == 0 {
        return true;
    }
    for plane in 0..setup.planes {
        if plane > 0 && levels[1 + plane] == 0 {
            continue;
        }
        let strengths: Vec<_> = (0..64).map(|level| strength(setup, level)).collect();
        let rows = setup.rows >> setup.subsampling(plane).1;
        for (across, from) in
            [true, false].into_iter().flat_map(|across| (0..rows).step_by(BAND).map(move |row| (across, row)))
        {
            if !go_on() {
                return false;
            }
            edges(setup, frame, plane, (across, from), &strengths);
        }
    }
    true
}

/// Edges of a plane that samples are filtered `across`, or down, of a band of rows.
#[pulp::with_simd(edges = pulp::Arch::new())]
#[inline(always)]
fn edges_with<S: pulp::Simd>(
    _: S,
    setup: &Setup<'_>,
    frame: &mut Frame,
    plane: usize,
    (across, from): (bool, usize),
    strengths: &[Strength],
) {
    let (x, y) = setup.subsampling(plane);
    let chroma = usize::from(plane > 0);
    let cols = frame.tx_cols[chroma];
    let sides = if across { &TX_WIDTH } else { &TX_HEIGHT };
    let which = match plane {
        0 => usize::from(!across),
        _ => plane + 1,
    };
    // Blocks of 4 x 4 samples that begin within the picture.
    let rows = (setup.size.frame_height as usize).div_ceil(4).div_ceil(1 << y);
    let shown = (setup.size.frame_width as usize).div_ceil(4).div_ceil(1 << x).min(cols);
    let target = &mut frame.planes[plane];
    let stride = target.stride;
    let (step, next) = if across { (1, stride) } else { (stride, 1) };
    let level_at = |row: usize, col: usize| {
        let at = ((row << y) | y) * setup.cols + ((col << x) | x);
        usize::from(frame.levels.get(at).map_or(0, |levels| levels[which]))
    };
    let tx_at = |row: usize, col: usize| {
        sides[usize::from(frame.tx[chroma].get(row * cols + col).copied().unwrap_or_default()).min(18)]
    };
    // The transforms' smaller side and the level, where there is an edge.
    let edge_at = |row: usize, col: usize| {
        let tx = tx_at(row, col);
        if row >= rows || col >= shown || (if across { col } else { row }) * 4 % tx != 0 {
            return None;
        }
        let before = if across { (row, col - 1) } else { (row - 1, col) };
        let level = match level_at(row, col) {
            0 => level_at(before.0, before.1),
            level => level,
        };
        (level > 0).then(|| (tx.min(tx_at(before.0, before.1)), level))
    };
    // Two that follow each other are often the same.
    let (row_step, col_step) = if across { (2, 1) } else { (1, 2) };
    for row in (from.max(usize::from(!across))..rows.min(from + BAND)).step_by(row_step) {
        for col in (usize::from(across)..shown).step_by(col_step) {
            let at = row * 4 * stride + col * 4;
            let edge = edge_at(row, col);
            let other = edge_at(row + row_step - 1, col + col_step - 1);
            let parts = if edge == other {
                [(edge, at, LINES), (None, at, 0)]
            } else {
                [(edge, at, LINES / 2), (other, at + 4 * next, LINES / 2)]
            };
            for (edge, at, many) in parts {
                if let Some((size, level)) = edge {
                    lines(&mut target.data, at, step, (next, many), (size, chroma == 1), &strengths[level.min(63)]);
                }
            }
        }
    }
}

fn strength(setup: &Setup<'_>, level: i32) -> Strength {
    let sharpness = i32::from(setup.filter.loop_filter_sharpness);
    let shift = if sharpness > 4 { 2 } else { i32::from(sharpness > 0) };
    let most = if sharpness > 0 { 9 - sharpness } else { 63 };
    let limit = (level >> shift).min(most).max(1);
    let scale = setup.depth - 8;
    Strength {
        limit: (limit << scale) as i16,
        edge_limit: ((2 * (level + 2) + limit) << scale) as i16,
        threshold: ((level >> 4) << scale) as i16,
        depth: setup.depth,
    }
}

/// Samples on both sides of an edge, of `many` lines that are `next` apart: `at` is the first one's first sample after the edge.
#[inline(always)]
fn lines(
    data: &mut [u16],
    at: usize,
    step: usize,
    (next, many): (usize, usize),
    (size, chroma): (usize, bool),
    strength: &Strength,
) {
    // Samples on a side that are looked at.
    let reach = match size {
        4 => 2,
        _ if chroma => 3,
        8 => 4,
        _ => SIDE,
    };
    let Some(first) = at.checked_sub(reach * step) else { return };
    let mut s = [[0i16; LINES]; 2 * SIDE];
    if next == 1 {
        for (i, to) in s.iter_mut().skip(SIDE - reach).take(2 * reach).enumerate() {
            let Some(from) = data.get(first + i * step..first + i * step + many) else { return };
            for (to, &from) in to.iter_mut().zip(from) {
                *to = from as i16;
            }
        }
    } else {
        for line in 0..many {
            let Some(from) = data.get(first + line * next..first + line * next + 2 * reach) else { return };
            for (to, &from) in s.iter_mut().skip(SIDE - reach).zip(from) {
                to[line] = from as i16;
            }
        }
    }
    let Some(changed) = filter(&mut s, reach, chroma, strength) else { return };
    let first = first + (reach - changed) * step;
    if next == 1 {
        for (i, from) in s.iter().skip(SIDE - changed).take(2 * changed).enumerate() {
            let Some(to) = data.get_mut(first + i * step..first + i * step + many) else { return };
            for (to, &from) in to.iter_mut().zip(from) {
                *to = from as u16;
            }
        }
    } else {
        for line in 0..many {
            let Some(to) = data.get_mut(first + line * next..first + line * next + 2 * changed) else { return };
            for (to, from) in to.iter_mut().zip(s.iter().skip(SIDE - changed)) {
                *to = from[line] as u16;
            }
        }
    }
}

type Lines = [i16; LINES];

/// Each number that follows from one or more others.
#[inline(always)]
fn each(of: impl Fn(usize) -> i16) -> Lines {
    std::array::from_fn(of)
}

/// Where `mask` is set (all bits) the one, else the other.
#[inline(always)]
fn choose(mask: &Lines, one: &Lines, other: &Lines) -> Lines {
    each(|i| (one[i] & mask[i]) | (other[i] & !mask[i]))
}

fn any(mask: &Lines) -> bool {
    mask.iter().fold(0, |all, mask| all | mask) != 0
}

/// How many samples on each side may have changed.
#[inline(always)]
fn filter(s: &mut [Lines; 2 * SIDE], reach: usize, chroma: bool, strength: &Strength) -> Option<usize> {
    let far = |one: usize, other: usize, i: usize, limit: i16| (s[one][i] - s[other][i]).abs() > limit;
    let (p, q) = (|i: usize| SIDE - 1 - i, |i: usize| SIDE + i);
    let limit = strength.limit;
    let filtered = each(|i| {
        let mut skip = far(p(1), p(0), i, limit) | far(q(1), q(0), i, limit);
        let across = (s[p(0)][i] - s[q(0)][i]).abs() * 2 + (s[p(1)][i] - s[q(1)][i]).abs() / 2;
        skip |= across > strength.edge_limit;
        if reach >= 3 {
            skip |= far(p(2), p(1), i, limit) | far(q(2), q(1), i, limit);
        }
        if reach >= 4 {
            skip |= far(p(3), p(2), i, limit) | far(q(3), q(2), i, limit);
        }
        i16::from(skip) - 1
    });
    if !any(&filtered) {
        return None;
    }
    let one = 1 << (strength.depth - 8);
    let flat = |from: usize, to: usize, within: &Lines| {
        let mut mask = *within;
        for at in from..to {
            mask = each(|i| mask[i] & (i16::from(far(p(at), p(0), i, one) | far(q(at), q(0), i, one)) - 1));
        }
        mask
    };
    let is_flat = if reach == 2 { [0; LINES] } else { flat(1, reach.min(4), &filtered) };
    let is_wide = if reach == SIDE && any(&is_flat) { flat(4, SIDE, &is_flat) } else { [0; LINES] };
    let before = *s;
    narrow(s, &before, &filtered, strength);
    if !any(&is_flat) {
        return Some(2);
    }
    if chroma {
        wide::<2>(s, &before, &is_flat, 1, 3);
        return Some(2);
    }
    wide::<3>(s, &before, &is_flat, 0, 3);
    if !any(&is_wide) {
        return Some(3);
    }
    wide::<6>(s, &before, &is_wide, 1, 4);
    Some(6)
}

#[inline(always)]
fn narrow(s: &mut [Lines; 2 * SIDE], before: &[Lines; 2 * SIDE], mask: &Lines, strength: &Strength) {
    let middle = 0x80 << (strength.depth - 8);
    let clamp = |value: i16| value.clamp(-middle, middle - 1);
    let [p1, p0, q0, q1] = [before[SIDE - 2], before[SIDE - 1], before[SIDE], before[SIDE + 1]];
    let threshold = strength.threshold;
    let uneven = each(|i| -i16::from(((p1[i] - p0[i]).abs() > threshold) | ((q1[i] - q0[i]).abs() > threshold)));
    let base = each(|i| clamp((clamp(p1[i] - q1[i]) & uneven[i]) + 3 * (q0[i] - p0[i])));
    let one = base.map(|base| clamp(base + 4) >> 3);
    let other = base.map(|base| clamp(base + 3) >> 3);
    let half = each(|i| ((one[i] + 1) >> 1) & !uneven[i]);
    let moved = |from: &Lines, by: &dyn Fn(usize) -> i16| each(|i| clamp(from[i] - middle + by(i)) + middle);
    s[SIDE - 2] = choose(mask, &moved(&p1, &|i| half[i]), &p1);
    s[SIDE - 1] = choose(mask, &moved(&p0, &|i| other[i]), &p0);
    s[SIDE] = choose(mask, &moved(&q0, &|i| -one[i]), &q0);
    s[SIDE + 1] = choose(mask, &moved(&q1, &|i| -half[i]), &q1);
}

/// Means of `2 * N + 1` samples, of which those up to `twice` from the middle count twice.
#[inline(always)]
fn wide<const N: usize>(s: &mut [Lines; 2 * SIDE], before: &[Lines; 2 * SIDE], mask: &Lines, twice: usize, log2: u32) {
    for at in SIDE - N..SIDE + N {
        // Sixteen samples of twelve bits fit, without a sign.
        let mut sum = [1u16 << (log2 - 1); LINES];
        for j in 0..=2 * N {
            let from = &before[(at + j).saturating_sub(N).clamp(SIDE - N - 1, SIDE + N)];
            let weight = u32::from(j.abs_diff(N) <= twice);
            for (sum, &from) in sum.iter_mut().zip(from) {
                *sum = sum.wrapping_add((from as u16) << weight);
            }
        }
        s[at] = choose(mask, &sum.map(|sum| (sum >> log2) as i16), &s[at]);
    }
}
