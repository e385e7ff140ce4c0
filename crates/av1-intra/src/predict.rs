//! Samples of a transform, predicted from those above and to the left (section 7.11.2).

use lanes::within;
use oxideav_av1::cdf::{
    INTRA_FILTER_TAPS, SM_WEIGHTS_TX_4X4, SM_WEIGHTS_TX_8X8, SM_WEIGHTS_TX_16X16, SM_WEIGHTS_TX_32X32,
    SM_WEIGHTS_TX_64X64,
};

use crate::directional;
use crate::edges::{Edges, FIRST, Prediction, row};
use crate::frame::Plane;
use crate::names::{D67_PRED, DC_PRED, V_PRED};

pub fn predict(plane: &mut Plane, edges: &mut Edges, p: &Prediction) {
    read_edges(plane, edges, p);
    if let Some(mode) = p.filter {
        return recursive(plane, edges, p, mode);
    }
    match p.mode {
        V_PRED..=D67_PRED => directional::predict(plane, edges, p),
        DC_PRED => {
            let mean = mean(edges, p);
            for y in 0..p.high {
                row(plane, p, y).fill(mean);
            }
        }
        9 => smooth(plane, edges, p),
        10 => {
            let weights = weights(p.high);
            let end = u32::from(edges.left[FIRST + p.high - 1]);
            for (y, &weight) in weights.iter().enumerate() {
                let weight = u32::from(weight);
                for (to, &above) in row(plane, p, y).iter_mut().zip(&edges.above[FIRST..]) {
                    *to = ((weight * u32::from(above) + (256 - weight) * end + 128) >> 8) as u16;
                }
            }
        }
        11 => {
            let weights = weights(p.wide);
            let end = u32::from(edges.above[FIRST + p.wide - 1]);
            for y in 0..p.high {
                let left = u32::from(edges.left[FIRST + y]);
                for (to, &weight) in row(plane, p, y).iter_mut().zip(weights) {
                    let weight = u32::from(weight);
                    *to = ((weight * left + (256 - weight) * end + 128) >> 8) as u16;
                }
            }
        }
        _ => paeth(plane, edges, p),
    }
}

fn read_edges(plane: &Plane, edges: &mut Edges, p: &Prediction) {
    let both = p.wide + p.high;
    let middle = 1u16 << (p.depth - 1);
    let corner = match (p.above, p.left) {
        (true, true) => plane.at(p.y - 1, p.x - 1),
        (true, false) => plane.at(p.y - 1, p.x),
        (false, true) => plane.at(p.y, p.x - 1),
        (false, false) => middle,
    };
    edges.above[FIRST - 1] = corner;
    edges.left[FIRST - 1] = corner;
    let above = &mut edges.above[FIRST..FIRST + both];
    if p.above {
        let there = if p.above_right { 2 * p.wide } else { p.wide }.min(p.end.0 - p.x).min(both);
        let from = plane.row(p.y - 1, p.x);
        let there = there.min(from.len());
        above[..there].copy_from_slice(&from[..there]);
        let last = above[there - 1];
        above[there..].fill(last);
    } else {
        above.fill(if p.left { plane.at(p.y, p.x - 1) } else { middle - 1 });
    }
    let left = &mut edges.left[FIRST..FIRST + both];
    if p.left {
        let there = if p.below_left { 2 * p.high } else { p.high }.min(p.end.1 - p.y).min(both);
        let samples = plane.data.get(p.y * plane.stride + p.x - 1..).unwrap_or_default();
        for (to, &from) in left.iter_mut().zip(samples.iter().step_by(plane.stride)).take(there) {
            *to = from;
        }
        let last = left[there - 1];
        left[there..].fill(last);
    } else {
        left.fill(if p.above { plane.at(p.y - 1, p.x) } else { middle + 1 });
    }
}

fn mean(edges: &Edges, p: &Prediction) -> u16 {
    let sum = |edge: &[u16], len: usize| edge[FIRST..FIRST + len].iter().map(|&level| u32::from(level)).sum::<u32>();
    let (above, left) = (sum(&edges.above, p.wide), sum(&edges.left, p.high));
    let of = |sum: u32, many: usize| ((sum + (many as u32 >> 1)) / many as u32) as u16;
    match (p.above, p.left) {
        (true, true) => of(above + left, p.wide + p.high),
        (true, false) => of(above, p.wide),
        (false, true) => of(left, p.high),
        (false, false) => 1 << (p.depth - 1),
    }
}

fn weights(side: usize) -> &'static [u16] {
    match side {
        4 => &SM_WEIGHTS_TX_4X4,
        8 => &SM_WEIGHTS_TX_8X8,
        16 => &SM_WEIGHTS_TX_16X16,
        32 => &SM_WEIGHTS_TX_32X32,
        _ => &SM_WEIGHTS_TX_64X64,
    }
}

fn smooth(plane: &mut Plane, edges: &Edges, p: &Prediction) {
    let (across, down) = (weights(p.wide), weights(p.high));
    let end = u32::from(edges.left[FIRST + p.high - 1]);
    let right = u32::from(edges.above[FIRST + p.wide - 1]);
    for (y, &weight) in down.iter().enumerate() {
        let weight = u32::from(weight);
        let left = u32::from(edges.left[FIRST + y]);
        let below = (256 - weight) * end + 256;
        for ((to, &above), &across) in row(plane, p, y).iter_mut().zip(&edges.above[FIRST..]).zip(across) {
            let across = u32::from(across);
            let sum = weight * u32::from(above) + below + across * left + (256 - across) * right;
            *to = (sum >> 9) as u16;
        }
    }
}

fn paeth(plane: &mut Plane, edges: &Edges, p: &Prediction) {
    let corner = i32::from(edges.above[FIRST - 1]);
    for y in 0..p.high {
        let left = i32::from(edges.left[FIRST + y]);
        for (to, &above) in row(plane, p, y).iter_mut().zip(&edges.above[FIRST..]) {
            let above = i32::from(above);
            // How far the sum without the corner is from each.
            let (from_left, from_above) = ((above - corner).abs(), (left - corner).abs());
            let from_corner = (above + left - 2 * corner).abs();
            let nearest = if from_left <= from_above && from_left <= from_corner {
                left
            } else if from_above <= from_corner {
                above
            } else {
                corner
            };
            *to = nearest as u16;
        }
    }
}

/// In blocks of 4 x 2 samples, each from seven around it.
fn recursive(plane: &mut Plane, edges: &Edges, p: &Prediction, mode: usize) {
    let taps = &INTRA_FILTER_TAPS[mode];
    let most = (1 << p.depth) - 1;
    for y in (0..p.high).step_by(2) {
        for x in (0..p.wide).step_by(4) {
            let mut around = [0i32; 7];
            for (i, around) in around.iter_mut().enumerate() {
                let level = match i {
                    0..5 if y == 0 => edges.above[FIRST + x + i - 1],
                    0 if x == 0 => edges.left[FIRST + y - 1],
                    0..5 => plane.at(p.y + y - 1, p.x + x + i - 1),
                    _ if x == 0 => edges.left[FIRST + y + i - 5],
                    _ => plane.at(p.y + y + i - 5, p.x + x - 1),
                };
                *around = i32::from(level);
            }
            for (i, taps) in taps.iter().enumerate() {
                let sum: i32 = taps.iter().zip(around).map(|(tap, level)| tap * level).sum();
                let level = if sum < 0 { -((8 - sum) >> 4) } else { (sum + 8) >> 4 };
                if let Some(to) = row(plane, p, y + i / 4).get_mut(x + i % 4) {
                    *to = within(level, 0, most) as u16;
                }
            }
        }
    }
}
