//! The deblocking filter (clause 8.7.2).

use crate::coder::Picture;
use crate::error::Result;
use crate::map::{ABOVE, ABOVE_TRANSFORM, CODED, Cell, EXACT, INTER, LEFT, LEFT_TRANSFORM};
use crate::pps::{Deblocking, Pps};
use crate::reconstruct::chroma_qp;
use crate::sps::{Chroma, Sps};

/// β by quantiser (table 8-12).
#[rustfmt::skip]
const BETA: [u8; 52] = [
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 20, 22, 24, 26, 28, 30, 32, 34, 36,
    38, 40, 42, 44, 46, 48, 50, 52, 54, 56, 58, 60, 62, 64,
];
/// And t_C.
#[rustfmt::skip]
const TC: [u8; 54] = [
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 5, 5, 6, 6, 7, 8, 9,
    10, 11, 13, 14, 16, 18, 20, 22, 24,
];

/// Where a segment of an edge is: its first sample behind the edge, the step over the edge, the step along it.
struct Segment<'s> {
    samples: &'s mut [u16],
    at: usize,
    over: usize,
    along: usize,
    /// That the sides must not be changed.
    exact: [bool; 2],
}

impl Segment<'_> {
    /// Sample `i` from the edge on (below 0: before it) in line `k`.
    #[inline(always)]
    fn place(&self, i: isize, k: usize) -> usize {
        (self.at + k * self.along).wrapping_add_signed(i * self.over as isize)
    }

    #[inline(always)]
    fn get(&self, i: isize, k: usize) -> i32 {
        self.samples.get(self.place(i, k)).map_or(0, |&sample| i32::from(sample))
    }

    #[inline(always)]
    fn set(&mut self, i: isize, k: usize, level: i32) {
        if !self.exact[usize::from(i >= 0)] {
            let place = self.place(i, k);
            if let Some(sample) = self.samples.get_mut(place) {
                *sample = level as u16;
            }
        }
    }

    fn luma(&mut self, beta: i32, tc: i32, most: i32) {
        let before = |k| (self.get(-1, k) - 2 * self.get(-2, k) + self.get(-3, k)).abs();
        let behind = |k| (self.get(0, k) - 2 * self.get(1, k) + self.get(2, k)).abs();
        let (p, q) = ([before(0), before(3)], [behind(0), behind(3)]);
        if p[0] + p[1] + q[0] + q[1] >= beta {
            return;
        }
        let flat = |k: usize, curves: i32| {
            let (p0, q0) = (self.get(-1, k), self.get(0, k));
            2 * curves < beta >> 2
                && (self.get(-4, k) - p0).abs() + (q0 - self.get(3, k)).abs() < beta >> 3
                && (p0 - q0).abs() < (5 * tc + 1) >> 1
        };
        let strong = flat(0, p[0] + q[0]) && flat(3, p[1] + q[1]);
        let side = (beta + (beta >> 1)) >> 3;
        let (wide_p, wide_q) = (p[0] + p[1] < side, q[0] + q[1] < side);
        for k in 0..4 {
            let (p3, p2, p1, p0) = (self.get(-4, k), self.get(-3, k), self.get(-2, k), self.get(-1, k));
            let (q0, q1, q2, q3) = (self.get(0, k), self.get(1, k), self.get(2, k), self.get(3, k));
            if strong {
                let clip = |level: i32, old: i32| level.clamp(old - 2 * tc, old + 2 * tc).clamp(0, most);
                self.set(-1, k, clip((p2 + 2 * p1 + 2 * p0 + 2 * q0 + q1 + 4) >> 3, p0));
                self.set(-2, k, clip((p2 + p1 + p0 + q0 + 2) >> 2, p1));
                self.set(-3, k, clip((2 * p3 + 3 * p2 + p1 + p0 + q0 + 4) >> 3, p2));
                self.set(0, k, clip((p1 + 2 * p0 + 2 * q0 + 2 * q1 + q2 + 4) >> 3, q0));
                self.set(1, k, clip((p0 + q0 + q1 + q2 + 2) >> 2, q1));
                self.set(2, k, clip((p0 + q0 + q1 + 3 * q2 + 2 * q3 + 4) >> 3, q2));
                continue;
            }
            let delta = (9 * (q0 - p0) - 3 * (q1 - p1) + 8) >> 4;
            if delta.abs() >= 10 * tc {
                continue;
            }
            let delta = delta.clamp(-tc, tc);
            self.set(-1, k, (p0 + delta).clamp(0, most));
            self.set(0, k, (q0 - delta).clamp(0, most));
            let half = tc >> 1;
            if wide_p {
                let change = ((((p2 + p0 + 1) >> 1) - p1 + delta) >> 1).clamp(-half, half);
                self.set(-2, k, (p1 + change).clamp(0, most));
            }
            if wide_q {
                let change = ((((q2 + q0 + 1) >> 1) - q1 - delta) >> 1).clamp(-half, half);
                self.set(1, k, (q1 + change).clamp(0, most));
            }
        }
    }

    fn chroma(&mut self, lines: usize, tc: i32, most: i32) {
        for k in 0..lines {
            let (p1, p0, q0, q1) = (self.get(-2, k), self.get(-1, k), self.get(0, k), self.get(1, k));
            let delta = ((((q0 - p0) << 2) + p1 - q1 + 4) >> 3).clamp(-tc, tc);
            self.set(-1, k, (p0 + delta).clamp(0, most));
            self.set(0, k, (q0 - delta).clamp(0, most));
        }
    }
}

/// What of an edge depends on the cells beside it.
struct Edge {
    /// 1 or 2.
    strength: i32,
    qp: i32,
    deblocking: Deblocking,
    exact: [bool; 2],
}

fn tc(qp: i32, strength: i32, deblocking: &Deblocking, depth: u32) -> i32 {
    let index = (qp + 2 * (strength - 1) + deblocking.tc_offset).clamp(0, 53);
    i32::from(TC[index as usize % 54]) << (depth - 8)
}

/// Clause 8.7.2.4. Both cells are predicted from other pictures; without a strength they are not filtered.
fn is_weak(picture: &Picture, cells: [&Cell; 2], [before, behind]: [(usize, usize); 2], vertical: bool) -> bool {
    let transform = if vertical { LEFT_TRANSFORM } else { ABOVE_TRANSFORM };
    let [first, second] = cells;
    let coded = second.flags & transform != 0 && (first.flags | second.flags) & CODED != 0;
    coded || picture.motion.at(before.0, before.1).differs(&picture.motion.at(behind.0, behind.1))
}

/// The edge at the left of, or above, the cell at this place. `None` where nothing is to be filtered.
fn edge(picture: &Picture, x: usize, y: usize, vertical: bool) -> Option<Edge> {
    let flag = if vertical { LEFT } else { ABOVE };
    let behind = picture.map.at(x, y).filter(|cell| cell.flags & flag != 0)?;
    let place = if vertical { (x.wrapping_sub(1), y) } else { (x, y.wrapping_sub(1)) };
    let before = picture.map.at(place.0, place.1)?;
    let mut strength = 2;
    if before.flags & behind.flags & INTER != 0 {
        if !is_weak(picture, [before, behind], [place, (x, y)], vertical) {
            return None;
        }
        strength = 1;
    }
    let ctbs = &picture.ctbs;
    let ctb = ctbs.at(x >> ctbs.log2, y >> ctbs.log2);
    Some(Edge {
        strength,
        qp: (i32::from(before.qp) + i32::from(behind.qp) + 1) >> 1,
        deblocking: ctbs.slice(&ctb).deblocking,
        exact: [before.flags & EXACT != 0, behind.flags & EXACT != 0],
    })
}

/// Filters the edges in rows of luma samples, all of which are there and were not filtered, and the one above them.
pub fn filter(picture: &mut Picture, sps: &Sps, pps: &Pps, from: usize, to: usize) -> Result<()> {
    for vertical in [true, false] {
        for y in (from..to).step_by(4) {
            if vertical || (y % 8 == 0 && y > 0) {
                row(picture, sps, pps, y, vertical)?;
            }
        }
    }
    Ok(())
}

/// The edges at the left of, or above, a row of cells.
fn row(picture: &mut Picture, sps: &Sps, pps: &Pps, y: usize, vertical: bool) -> Result<()> {
    let step = if vertical { 8 } else { 4 };
    let (across, down) = sps.chroma.shifts();
    for x in (0..sps.width).step_by(step) {
        let Some(edge) = edge(picture, x, y, vertical) else { continue };
        let index = (edge.qp + edge.deblocking.beta_offset).clamp(0, 51);
        let beta = i32::from(BETA[index as usize % 52]) << (sps.depth[0] - 8);
        let most = (1 << sps.depth[0]) - 1;
        let tc_luma = tc(edge.qp, edge.strength, &edge.deblocking, sps.depth[0]);
        segment(picture, 0, x, y, vertical, edge.exact)?.luma(beta, tc_luma, most);
        let (x, y) = (x >> across, y >> down);
        if edge.strength < 2 || sps.chroma == Chroma::Monochrome || (if vertical { x } else { y }) % 8 != 0 {
            continue;
        }
        let lines = 4 >> if vertical { down } else { across };
        for component in 1..3 {
            let qp = chroma_qp(edge.qp + pps.qp_offsets[component - 1], sps.chroma, 51);
            let (tc, most) = (tc(qp, edge.strength, &edge.deblocking, sps.depth[1]), (1 << sps.depth[1]) - 1);
            segment(picture, component, x, y, vertical, edge.exact)?.chroma(lines, tc, most);
        }
    }
    Ok(())
}

/// By the place of its first sample behind the edge.
fn segment(
    picture: &mut Picture,
    component: usize,
    x: usize,
    y: usize,
    vertical: bool,
    exact: [bool; 2],
) -> Result<Segment<'_>> {
    let plane = &mut picture.planes[component % 3];
    // Four rows are before a horizontal edge.
    let back = if vertical { 0 } else { 4.min(y) };
    let (samples, width) = plane.rest_mut(y - back)?;
    let (over, along) = if vertical { (1, width) } else { (width, 1) };
    Ok(Segment { samples, at: back * width + x, over, along, exact })
}
