//! Sample adaptive offset (clause 8.7.3), row by row, from what the deblocking filter leaves.

use std::ops::Range;

use crate::coder::Picture;
use crate::error::Result;
use crate::map::{Ctb, EXACT, Offset};
use crate::sps::Sps;

/// A row of a component, with its offsets.
pub fn row(picture: &Picture, sps: &Sps, component: usize, y: usize, out: &mut [u16]) -> Result<()> {
    let plane = &picture.planes[component % 3];
    let here = plane.row(y)?;
    out.iter_mut().zip(here).for_each(|(out, &sample)| *out = sample);
    if !sps.sao {
        return Ok(());
    }
    let (across, down) = if component == 0 { (0, 0) } else { sps.chroma.shifts() };
    let ctbs = &picture.ctbs;
    let size = 1usize << (ctbs.log2 - across);
    let most = (1 << sps.depth_of(component)) - 1;
    let ctb_row = y >> (ctbs.log2 - down);
    for column in 0..ctbs.columns {
        let ctb = ctbs.at(column, ctb_row);
        let span = column * size..((column + 1) * size).min(plane.width);
        match ctb.offsets[component % 3] {
            Offset::None => continue,
            Offset::Band(first, offsets) => {
                let shift = sps.depth_of(component) - 5;
                let mut bands = [0i32; 32];
                for (i, offset) in offsets.into_iter().enumerate() {
                    bands[(usize::from(first) + i) & 31] = i32::from(offset);
                }
                for out in out.get_mut(span.clone()).unwrap_or_default() {
                    *out = (i32::from(*out) + bands[usize::from(*out >> shift) & 31]).clamp(0, most) as u16;
                }
            }
            Offset::Edge(direction, [a, b, c, d]) => {
                // By the sum of signs.
                let offsets = [a, b, 0, c, d].map(i32::from);
                let place =
                    Place { component, y, span: span.clone(), column, ctb_row, per_ctb: 1 << (ctbs.log2 - down) };
                edges(picture, &ctb, &place, direction, &offsets, most, out)?;
            }
        }
        restore(picture, y << down, span, across, here, out);
    }
    Ok(())
}

/// A row of a coding tree block.
struct Place {
    component: usize,
    y: usize,
    span: Range<usize>,
    column: usize,
    ctb_row: usize,
    /// Rows of a block.
    per_ctb: usize,
}

fn edges(
    picture: &Picture,
    ctb: &Ctb,
    place: &Place,
    direction: u8,
    offsets: &[i32; 5],
    most: i32,
    out: &mut [u16],
) -> Result<()> {
    let Place { component, y, ref span, column, ctb_row, per_ctb } = *place;
    let (plane, ctbs) = (&picture.planes[component % 3], &picture.ctbs);
    let (dx, dy) = [(-1, 0), (0, -1), (-1, -1), (1, -1)][usize::from(direction & 3)];
    // The rows of both neighbours.
    if dy != 0 && (y == 0 || y + 1 == plane.height) {
        return Ok(());
    }
    let (first_y, other_y) = if dy == 0 { (y, y) } else { (y - 1, y + 1) };
    let (here, first, other) = (plane.row(y)?, plane.row(first_y)?, plane.row(other_y)?);
    // Which samples have both, at the ends and between them.
    let row_of = |of: usize| if of == y { ctb_row } else { of / per_ctb };
    // libde265 looks for the slice of a chroma block by chroma places.
    let looked_up = if picture.still {
        ctbs.at(span.start >> ctbs.log2, (ctb_row * per_ctb) >> ctbs.log2).slice
    } else {
        ctb.slice
    };
    let open = |dx: isize, of: usize| {
        let column = column.checked_add_signed(dx).filter(|&column| column < ctbs.columns);
        column.is_some_and(|column| ctbs.may_use(ctb, &ctbs.at(column, row_of(of)), looked_up))
    };
    let between = open(0, first_y) && open(0, other_y);
    let ends = match dx {
        0 => (between, between),
        -1 => (open(-1, first_y) && open(0, other_y), open(0, first_y) && open(1, other_y)),
        _ => (open(0, first_y) && open(-1, other_y), open(1, first_y) && open(0, other_y)),
    };
    let (start, end) = (span.start, span.end);
    for x in [start, end - 1] {
        let is_open = if x == start { ends.0 } else { ends.1 };
        if is_open {
            let at = |row: &[u16], x: Option<usize>| x.and_then(|x| row.get(x)).map(|&sample| i32::from(sample));
            let (a, b) = (at(first, x.checked_add_signed(dx)), at(other, x.checked_add_signed(-dx)));
            if let (Some(a), Some(b), Some(out)) = (a, b, out.get_mut(x)) {
                let level = i32::from(here[x]);
                let sum = (level - a).signum() + (level - b).signum();
                *out = (level + offsets[(sum + 2) as usize % 5]).clamp(0, most) as u16;
            }
        }
    }
    let is_border = y % per_ctb == 0 || (y + 1) % per_ctb == 0 || y + 1 == plane.height;
    if (is_border && !between) || end < start + 3 {
        return Ok(());
    }
    let inner = start + 1..end - 1;
    let beside = |row: &'_ [u16], dx: isize| -> Range<usize> {
        let range = inner.start.wrapping_add_signed(dx)..inner.end.wrapping_add_signed(dx);
        if range.end > row.len() { 0..0 } else { range }
    };
    let (a, b) = (&first[beside(first, dx)], &other[beside(other, -dx)]);
    let here = here.get(inner.clone()).unwrap_or_default();
    for (((out, &level), &a), &b) in out.get_mut(inner).unwrap_or_default().iter_mut().zip(here).zip(a).zip(b) {
        let sign = |other: u16| i32::from(level > other) - i32::from(level < other);
        *out = (i32::from(level) + offsets[(sign(a) + sign(b) + 2) as usize % 5]).clamp(0, most) as u16;
    }
    Ok(())
}

/// Samples that no filter may change.
fn restore(picture: &Picture, y: usize, span: Range<usize>, across: u32, here: &[u16], out: &mut [u16]) {
    let cells = picture.map.row(y);
    for x in span {
        if cells.get((x << across) / 4).is_some_and(|cell| cell.flags & EXACT != 0)
            && let (Some(out), Some(&sample)) = (out.get_mut(x), here.get(x))
        {
            *out = sample;
        }
    }
}
