//! The filter of edges between transforms (section 7.14). In pictures that are predicted from no other every one is filtered.

use lanes::{each, transposed, within};
use oxideav_av1::cdf::{TX_HEIGHT, TX_WIDTH};
use pulp::{Simd, WithSimd};

use crate::frame::Frame;
use crate::setup::Setup;

/// Samples of a line on each side of an edge that there is room for. Of luma seven, four or two are looked at, of chroma three or two.
const SIDE: usize = 8;
/// Samples of so many lines become lines of samples at once.
const SQUARE: usize = 8;

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
fn edges_with<S: Simd>(
    simd: S,
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
        if row >= rows || col >= shown || ((if across { col } else { row }) * 4) & (tx - 1) != 0 {
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
            let next = if across { stride } else { 1 };
            let parts = if edge == other {
                [(edge, at, LINES), (None, at, 0)]
            } else {
                [(edge, at, LINES / 2), (other, at + 4 * next, LINES / 2)]
            };
            for (edge, at, many) in parts {
                let Some((size, level)) = edge else { continue };
                let (data, strength) = (&mut *target.data, &strengths[level.min(63)]);
                let place = Place { at, stride, across, many };
                match size {
                    4 => simd.vectorize(Edge::<2> { data, place, strength }),
                    _ if chroma == 1 => simd.vectorize(Edge::<3> { data, place, strength }),
                    8 => simd.vectorize(Edge::<4> { data, place, strength }),
                    _ => simd.vectorize(Edge::<7> { data, place, strength }),
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

/// Where lines are filtered: the first one's first sample after the edge, and how many lines there are, eight or four. `across`: of an
/// edge between columns, so that lines are parts of rows.
#[derive(Clone, Copy)]
struct Place {
    at: usize,
    stride: usize,
    across: bool,
    many: usize,
}

impl Place {
    /// Samples of all lines, `REACH` on each side of the edge, from the middle of `s` on. Of four lines, those that follow are anything.
    #[inline(always)]
    fn load<const REACH: usize>(self, data: &[u16], s: &mut [Lines; 2 * SIDE]) -> Option<()> {
        if !self.across {
            for (i, to) in s.iter_mut().skip(SIDE - REACH).take(2 * REACH).enumerate() {
                let from = data.get(self.at.checked_sub(REACH * self.stride)? + i * self.stride..)?;
                match from.first_chunk::<LINES>() {
                    Some(from) => *to = each(|i| from[i] as i16),
                    None => to.iter_mut().zip(from).for_each(|(to, &from)| *to = from as i16),
                }
            }
            return Some(());
        }
        // Transforms have four samples at least, and eight or more on each side where more than four are looked at.
        let squares = if REACH > SQUARE / 2 { 2 } else { 1 };
        for part in 0..squares {
            let first = self.at.checked_sub(squares * SQUARE / 2)? + part * SQUARE;
            let mut square = [[0i16; SQUARE]; SQUARE];
            for (line, to) in square.iter_mut().enumerate() {
                // Of four lines each twice, as lines of zeros would be filtered furthest.
                let from = data.get(first + (line & (self.many - 1)) * self.stride..)?.first_chunk::<SQUARE>()?;
                *to = each(|i| from[i] as i16);
            }
            s[SIDE - squares * SQUARE / 2 + part * SQUARE..][..SQUARE].copy_from_slice(&transposed(square));
        }
        Some(())
    }

    /// Puts back `changed` samples on each side of the edge.
    #[inline(always)]
    fn store(self, data: &mut [u16], s: &[Lines; 2 * SIDE], changed: usize) -> Option<()> {
        if !self.across {
            for (i, from) in s.iter().skip(SIDE - changed).take(2 * changed).enumerate() {
                let to = data.get_mut(self.at.checked_sub(changed * self.stride)? + i * self.stride..)?;
                match to.first_chunk_mut::<LINES>() {
                    Some(to) if self.many == LINES => *to = each(|i| from[i] as u16),
                    _ => to.iter_mut().zip(from).take(self.many).for_each(|(to, &from)| *to = from as u16),
                }
            }
            return Some(());
        }
        let squares = if changed > SQUARE / 2 { 2 } else { 1 };
        for part in 0..squares {
            let first = self.at.checked_sub(squares * SQUARE / 2)? + part * SQUARE;
            let square = s[SIDE - squares * SQUARE / 2 + part * SQUARE..].first_chunk::<SQUARE>()?;
            for (line, from) in transposed(*square).iter().enumerate().take(self.many) {
                let to = data.get_mut(first + line * self.stride..)?.first_chunk_mut::<SQUARE>()?;
                *to = each(|i| from[i] as u16);
            }
        }
        Some(())
    }
}

/// Filters the edge between samples of which `REACH` on each side are looked at.
struct Edge<'a, const REACH: usize> {
    data: &'a mut [u16],
    place: Place,
    strength: &'a Strength,
}

impl<const REACH: usize> WithSimd for Edge<'_, REACH> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let mut s = [[0; LINES]; 2 * SIDE];
        if self.place.load::<REACH>(self.data, &mut s).is_some()
            && let Some(changed) = filter::<REACH>(&mut s, self.strength)
        {
            self.place.store(self.data, &s, changed);
        }
    }
}

type Lines = [i16; LINES];

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
fn filter<const REACH: usize>(s: &mut [Lines; 2 * SIDE], strength: &Strength) -> Option<usize> {
    let far = |one: usize, other: usize, i: usize, limit: i16| (s[one][i] - s[other][i]).abs() > limit;
    let (p, q) = (|i: usize| SIDE - 1 - i, |i: usize| SIDE + i);
    let limit = strength.limit;
    let filtered: Lines = each(|i| {
        let mut skip = far(p(1), p(0), i, limit) | far(q(1), q(0), i, limit);
        let across = (s[p(0)][i] - s[q(0)][i]).abs() * 2 + (s[p(1)][i] - s[q(1)][i]).abs() / 2;
        skip |= across > strength.edge_limit;
        if REACH >= 3 {
            skip |= far(p(2), p(1), i, limit) | far(q(2), q(1), i, limit);
        }
        if REACH >= 4 {
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
    let is_flat = if REACH == 2 { [0; LINES] } else { flat(1, REACH.min(4), &filtered) };
    let is_wide = if REACH == 7 && any(&is_flat) { flat(4, REACH, &is_flat) } else { [0; LINES] };
    let before = *s;
    narrow(s, &before, &filtered, strength);
    if !any(&is_flat) {
        return Some(2);
    }
    if REACH == 3 {
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
    let clamp = |value: i16| within(value, -middle, middle - 1);
    let [p1, p0, q0, q1] = [before[SIDE - 2], before[SIDE - 1], before[SIDE], before[SIDE + 1]];
    let threshold = strength.threshold;
    let uneven: Lines = each(|i| -i16::from(((p1[i] - p0[i]).abs() > threshold) | ((q1[i] - q0[i]).abs() > threshold)));
    let base: Lines = each(|i| clamp((clamp(p1[i] - q1[i]) & uneven[i]) + 3 * (q0[i] - p0[i])));
    let one: Lines = each(|i| clamp(base[i] + 4) >> 3);
    let other: Lines = each(|i| clamp(base[i] + 3) >> 3);
    let half: Lines = each(|i| ((one[i] + 1) >> 1) & !uneven[i]);
    let moved = |from: &Lines, by: Lines| -> Lines { each(|i| clamp(from[i] - middle + by[i]) + middle) };
    s[SIDE - 2] = choose(mask, &moved(&p1, half), &p1);
    s[SIDE - 1] = choose(mask, &moved(&p0, other), &p0);
    s[SIDE] = choose(mask, &moved(&q0, each(|i| -one[i])), &q0);
    s[SIDE + 1] = choose(mask, &moved(&q1, each(|i| -half[i])), &q1);
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
        s[at] = choose(mask, &each(|i| (sum[i] >> log2) as i16), &s[at]);
    }
}
