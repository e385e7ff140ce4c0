//! Chroma predicted from luma (section 7.11.5).

use lanes::within;
use oxideav_av1::cdf::{TX_HEIGHT, TX_WIDTH};

use crate::coefficients::Place;
use crate::frame::Frame;

/// Adds to what is predicted already how luma differs from its mean, times `alpha`.
pub fn predict(
    frame: &mut Frame,
    luma: &mut [i32; 32 * 32],
    place: Place,
    (x, y): (usize, usize),
    end: (usize, usize),
    alpha: i32,
    depth: u32,
) {
    let (wide, high) = (TX_WIDTH[place.tx].min(32), TX_HEIGHT[place.tx].min(32));
    let (left, top) = (place.col * 4, place.row * 4);
    let Some((first, chroma)) = frame.planes.split_first_mut() else { return };
    let mut sum = 0;
    for (row, line) in luma.chunks_exact_mut(32).take(high).enumerate() {
        let from = ((top + row) << y).min(end.0.saturating_sub(1 << y));
        let (upper, lower) = (first.row(from, 0), first.row(from + y, 0));
        for (col, to) in line.iter_mut().take(wide).enumerate() {
            let at = ((left + col) << x).min(end.1.saturating_sub(1 << x));
            let of = |row: &[u16], at: usize| i32::from(row.get(at).copied().unwrap_or_default());
            let mut level = of(upper, at);
            if x == 1 {
                level += of(upper, at + 1);
            }
            if y == 1 {
                level += of(lower, at) + if x == 1 { of(lower, at + 1) } else { 0 };
            }
            *to = level << (3 - x - y);
            sum += *to;
        }
    }
    let bits = wide.ilog2() + high.ilog2();
    let mean = (sum + (1 << bits >> 1)) >> bits;
    let Some(plane) = chroma.get_mut(place.plane - 1) else { return };
    let most = (1 << depth) - 1;
    for (row, line) in luma.chunks_exact(32).take(high).enumerate() {
        for (to, &level) in plane.row_mut(top + row, left).iter_mut().zip(line.iter().take(wide)) {
            let scaled = alpha * (level - mean);
            let scaled = if scaled < 0 { -((32 - scaled) >> 6) } else { (scaled + 32) >> 6 };
            *to = within(i32::from(*to) + scaled, 0, most) as u16;
        }
    }
}
