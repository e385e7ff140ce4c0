//! Samples predicted along a direction (sections 7.11.2.4 and 7.11.2.7 to 7.11.2.12).

use oxideav_av1::cdf::{DR_INTRA_DERIVATIVE, INTRA_EDGE_KERNEL, MODE_TO_ANGLE};

use crate::edges::{Edges, FIRST, LONG, Prediction, row};
use crate::frame::Plane;

/// Degrees of a step of an angle.
const STEP: i32 = 3;

pub fn predict(plane: &mut Plane, edges: &mut Edges, p: &Prediction) {
    let angle = MODE_TO_ANGLE[p.mode] + p.angle * STEP;
    let (wide, high) = (p.wide, p.high);
    let (mut twice_above, mut twice_left) = (false, false);
    if p.filters_edges && angle != 90 && angle != 180 {
        let (below, beside) = (if angle < 90 { high } else { 0 }, if angle > 180 { wide } else { 0 });
        if angle > 90 && angle < 180 && wide + high >= 24 {
            let of = |edge: &[u16; LONG], at: usize| u32::from(edge[at]);
            let sum = 5 * of(&edges.left, FIRST) + 6 * of(&edges.above, FIRST - 1) + 5 * of(&edges.above, FIRST);
            let corner = ((sum + 8) >> 4) as u16;
            (edges.above[FIRST - 1], edges.left[FIRST - 1]) = (corner, corner);
        }
        if p.above {
            let many = wide.min(p.end.0 - p.x) + below + 1;
            filter(&mut edges.above, many, strength(wide + high, p.smooth, (angle - 90).abs()));
        }
        if p.left {
            let many = high.min(p.end.1 - p.y) + beside + 1;
            filter(&mut edges.left, many, strength(wide + high, p.smooth, (angle - 180).abs()));
        }
        twice_above = is_doubled(wide + high, p.smooth, (angle - 90).abs());
        if twice_above {
            double(&mut edges.above, wide + below, p.depth);
        }
        twice_left = is_doubled(wide + high, p.smooth, (angle - 180).abs());
        if twice_left {
            double(&mut edges.left, high + beside, p.depth);
        }
    }
    let slope = |angle: i32| i32::from(DR_INTRA_DERIVATIVE[angle.clamp(0, 89) as usize]);
    match angle {
        ..90 => above(plane, edges, p, slope(angle), twice_above),
        90 => {
            for y in 0..high {
                row(plane, p, y).copy_from_slice(&edges.above[FIRST..FIRST + wide]);
            }
        }
        91..180 => between(plane, edges, p, (slope(180 - angle), slope(angle - 90)), (twice_above, twice_left)),
        180 => {
            for y in 0..high {
                row(plane, p, y).fill(edges.left[FIRST + y]);
            }
        }
        _ => left(plane, edges, p, slope(270 - angle), twice_left),
    }
}

/// From samples above, to the right.
fn above(plane: &mut Plane, edges: &Edges, p: &Prediction, slope: i32, twice: bool) {
    let doubled = usize::from(twice);
    let most = (p.wide + p.high - 1) << doubled;
    let last = edges.above[FIRST + most];
    for y in 0..p.high {
        let index = (y as i32 + 1) * slope;
        let shift = ((index << doubled) >> 1) as u32 & 31;
        let base = (index >> (6 - doubled)) as usize;
        let line = row(plane, p, y);
        let within = most.saturating_sub(base).div_ceil(1 << doubled).min(line.len());
        let (inner, outer) = line.split_at_mut(within);
        let from = edges.above.get(FIRST + base..).unwrap_or_default();
        let pairs = from.iter().zip(from.iter().skip(1)).step_by(1 << doubled);
        for (to, (&one, &next)) in inner.iter_mut().zip(pairs) {
            *to = mix(one, next, shift);
        }
        outer.fill(last);
    }
}

/// From samples to the left, below.
fn left(plane: &mut Plane, edges: &Edges, p: &Prediction, slope: i32, twice: bool) {
    let doubled = u32::from(twice);
    for y in 0..p.high {
        for (x, to) in row(plane, p, y).iter_mut().enumerate() {
            let index = (x as i32 + 1) * slope;
            let base = (index >> (6 - doubled)) as usize + (y << doubled);
            let shift = ((index << doubled) >> 1) as u32 & 31;
            let at = FIRST + base;
            *to = mix(edges.left[at % LONG], edges.left[(at + 1) % LONG], shift);
        }
    }
}

/// From samples above or, where the line meets these first, to the left.
fn between(plane: &mut Plane, edges: &Edges, p: &Prediction, slopes: (i32, i32), twice: (bool, bool)) {
    let (above, left) = (u32::from(twice.0), u32::from(twice.1));
    for y in 0..p.high {
        let line = row(plane, p, y);
        for (x, to) in line.iter_mut().enumerate() {
            let index = ((x as i32) << 6) - (y as i32 + 1) * slopes.0;
            let base = index >> (6 - above);
            let (edge, base, shift) = if base >= -(1 << above) {
                (&edges.above, base, ((index << above) >> 1) as u32 & 31)
            } else {
                let index = ((y as i32) << 6) - (x as i32 + 1) * slopes.1;
                (&edges.left, index >> (6 - left), ((index << left) >> 1) as u32 & 31)
            };
            let at = (FIRST as i32 + base) as usize;
            *to = mix(edge[at % LONG], edge[at.wrapping_add(1) % LONG], shift);
        }
    }
}

#[inline(always)]
fn mix(one: u16, next: u16, shift: u32) -> u16 {
    ((u32::from(one) * (32 - shift) + u32::from(next) * shift + 16) >> 5) as u16
}

/// How much an edge is filtered (section 7.11.2.9), by the transform's sides and the degrees that are left to it.
fn strength(sides: usize, smooth: bool, degrees: i32) -> usize {
    let of = |steps: &[(i32, usize)]| {
        steps.iter().rev().find(|&&(least, _)| degrees >= least).map_or(0, |&(_, strength)| strength)
    };
    match (smooth, sides) {
        (true, 0..=8) => of(&[(40, 1), (64, 2)]),
        (true, 9..=16) => of(&[(20, 1), (48, 2)]),
        (true, 17..=24) => of(&[(4, 3)]),
        (false, 0..=8) => of(&[(56, 1)]),
        (false, 9..=16) => of(&[(40, 1)]),
        (false, 17..=24) => of(&[(8, 1), (16, 2), (32, 3)]),
        (false, 25..=32) => of(&[(0, 1), (4, 2), (32, 3)]),
        _ => 3,
    }
}

fn is_doubled(sides: usize, smooth: bool, degrees: i32) -> bool {
    degrees > 0 && degrees < 40 && sides <= if smooth { 8 } else { 16 }
}

/// So many samples, the first of which is the corner.
fn filter(edge: &mut [u16; LONG], many: usize, strength: usize) {
    let Some(kernel) = strength.checked_sub(1).and_then(|i| INTRA_EDGE_KERNEL.get(i)) else { return };
    let before = *edge;
    let at = |i: usize| i32::from(before[FIRST - 1 + i.min(many - 1)]);
    for i in 1..many {
        let sum: i32 = kernel.iter().enumerate().map(|(tap, weight)| weight * at((i + tap).saturating_sub(2))).sum();
        edge[FIRST - 1 + i] = ((sum + 8) >> 4) as u16;
    }
}

/// Puts a sample between each two.
fn double(edge: &mut [u16; LONG], many: usize, depth: u32) {
    let mut before = [0i32; 64];
    let last = many + 1;
    for (i, before) in before.iter_mut().enumerate().take(many + 3) {
        *before = i32::from(edge[FIRST - 1 + i.saturating_sub(1).min(last - 1)]);
    }
    edge[FIRST - 2] = before[0] as u16;
    for i in 0..many {
        let sum = -before[i] + 9 * before[i + 1] + 9 * before[i + 2] - before[i + 3];
        edge[FIRST + 2 * i - 1] = ((sum + 8) >> 4).clamp(0, (1 << depth) - 1) as u16;
        edge[FIRST + 2 * i] = before[i + 2] as u16;
    }
}
