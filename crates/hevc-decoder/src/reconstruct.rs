//! A transform block: predicted, and what was coded added to it.

use crate::coder::{Coder, Picture};
use crate::contexts::at;
use crate::error::Result;
use crate::intra::{self, Border, Prediction};
use crate::map::INTER;
use crate::residual::{self, Block};
use crate::sps::Chroma;
use crate::transform::{self, Coefficients};

/// What levels are multiplied with, by the quantiser modulo 6.
const SCALES: [i64; 6] = [40, 45, 51, 57, 64, 72];

/// Chroma quantisers of 4:2:0 from 30 on (table 8-10).
const CHROMA_QP: [i32; 13] = [29, 30, 31, 32, 33, 33, 34, 34, 35, 35, 36, 36, 37];

/// The standard has 51 as the most for other chroma than 4:2:0. The filter keeps to it, and libde265's dequantiser does not.
pub fn chroma_qp(index: i32, chroma: Chroma, most: i32) -> i32 {
    match index {
        _ if chroma != Chroma::Halved => index.min(most),
        30..43 => CHROMA_QP[(index - 30) as usize % 13],
        43.. => index - 6,
        _ => index,
    }
}

impl Coder<'_> {
    /// `x`, `y` and the size are the component's own.
    #[allow(clippy::too_many_arguments)]
    pub fn block(
        &mut self,
        picture: &mut Picture,
        component: usize,
        x: usize,
        y: usize,
        log2: u32,
        mode: u8,
        coded: bool,
    ) -> Result<()> {
        let depth = self.sps.depth_of(component);
        self.border(picture, component, x, y, log2)?;
        let prediction = Prediction {
            log2,
            mode,
            depth,
            luma: component == 0,
            smooth: component == 0 || self.sps.chroma == Chroma::Full,
            strong: component == 0 && self.sps.strong_smoothing,
        };
        intra::predict(&mut self.scratch.border, &prediction, &mut self.scratch.predicted);
        let size = 1usize << log2;
        if coded {
            self.residual(component, log2, Some(mode))?;
            let most = (1 << depth) - 1;
            for (out, residual) in self.scratch.predicted.iter_mut().zip(&self.scratch.residual).take(size * size) {
                *out = (i32::from(*out) + residual).clamp(0, most) as u16;
            }
        }
        let Some(plane) = picture.planes.get_mut(component) else { return Ok(()) };
        let rows = self.scratch.predicted.chunks_exact(size);
        for (out, row) in plane.rows_mut(y, size)?.zip(rows) {
            if let Some(out) = out.get_mut(x..x + size) {
                out.copy_from_slice(row);
            }
        }
        Ok(())
    }

    /// Adds what was coded to a block that is predicted from other pictures. `x`, `y` and the size are the component's own.
    pub fn add(&mut self, picture: &mut Picture, component: usize, x: usize, y: usize, log2: u32) -> Result<()> {
        self.residual(component, log2, None)?;
        let size = 1usize << log2;
        let most = (1 << self.sps.depth_of(component)) - 1;
        let Some(plane) = picture.planes.get_mut(component) else { return Ok(()) };
        for (out, row) in plane.rows_mut(y, size)?.zip(self.scratch.residual.chunks_exact(size)) {
            for (out, residual) in out.get_mut(x..x + size).unwrap_or_default().iter_mut().zip(row) {
                *out = (i32::from(*out) + residual).clamp(0, most) as u16;
            }
        }
        Ok(())
    }

    /// The neighbours, and for those that are not there others (clause 8.4.4.2.2).
    fn border(&mut self, picture: &Picture, component: usize, x: usize, y: usize, log2: u32) -> Result<()> {
        let (plane, map) = (&picture.planes[component.min(2)], &picture.map);
        let (across, down) = if component == 0 { (0, 0) } else { self.sps.chroma.shifts() };
        let size = 1usize << log2;
        let region = self.region;
        let unwanted = if self.pps.constrained_intra { INTER } else { 0 };
        let is_there = |x: usize, y: usize| {
            map.at(x << across, y << down).is_some_and(|cell| cell.region == region && cell.flags & unwanted == 0)
        };
        let border = &mut self.scratch.border;
        // Places filled so far, and whether there are samples among them.
        let mut any = false;
        let mut gap = 0..0usize;
        let mut found = |border: &mut Border, place: usize, count: usize, there: bool| {
            if !there {
                if any {
                    let last = border[(place - 1) & 127];
                    border.iter_mut().skip(place).take(count).for_each(|out| *out = last);
                } else {
                    gap.end = place + count;
                }
            } else if !any {
                any = true;
                let first = border[place.min(128)];
                border.iter_mut().take(gap.end).for_each(|out| *out = first);
            }
        };
        // From the lower left up, as many rows at a time as a cell has.
        let rows = (4usize >> down).min(size);
        let mut place = 0;
        for bottom in (1..=2 * size / rows).rev() {
            let top = y + (bottom - 1) * rows;
            let there = x > 0 && top < plane.height && is_there(x - 1, top);
            if there {
                let column = plane.column(x - 1, top, rows)?;
                for (out, &sample) in border.iter_mut().skip(place).take(rows).rev().zip(column) {
                    *out = sample;
                }
            }
            found(border, place, rows, there);
            place += rows;
        }
        let above = if y > 0 { plane.row(y - 1)? } else { &[] };
        let corner = x > 0 && y > 0 && is_there(x - 1, y - 1);
        if corner && let (Some(out), Some(&sample)) = (border.get_mut(place), above.get(x - 1)) {
            *out = sample;
        }
        found(border, place, 1, corner);
        place += 1;
        let columns = (4usize >> across).min(size);
        for left in (x..x + 2 * size).step_by(columns) {
            let there = y > 0 && left < plane.width && is_there(left, y - 1);
            if there
                && let (Some(out), Some(samples)) =
                    (border.get_mut(place..place + columns), above.get(left..left + columns))
            {
                out.iter_mut().zip(samples).for_each(|(out, &sample)| *out = sample);
            }
            found(border, place, columns, there);
            place += columns;
        }
        if !any {
            border.fill(1 << (self.sps.depth_of(component) - 1));
        }
        Ok(())
    }

    /// What was coded. `mode`: of intra prediction, if it is that.
    fn residual(&mut self, component: usize, log2: u32, mode: Option<u8>) -> Result<()> {
        let skip = self.pps.transform_skip
            && !self.bypass
            && log2 == 2
            && self.decision(at::TRANSFORM_SKIP + u8::from(component > 0));
        let depth = self.sps.depth_of(component);
        let scan = match mode {
            _ if log2 > 3 || (log2 == 3 && component > 0 && self.sps.chroma != Chroma::Full) => 0,
            Some(6..=14) => 2,
            Some(22..=30) => 1,
            _ => 0,
        };
        let block = Block { log2, component, scan, sign_hiding: self.pps.sign_hiding && !self.bypass };
        let scratch = &mut *self.scratch;
        let (coefficients, out) = (&mut scratch.coefficients, &mut scratch.residual);
        coefficients.clear(1 << (2 * log2));
        let put = |coefficients: &mut Coefficients, x: usize, y: usize, level: i64| {
            if let Some(place) = coefficients.levels.get_mut((y << log2) + x) {
                *place = level.clamp(-32768, 32767) as i16;
            }
            coefficients.columns = coefficients.columns.max(x + 1);
            coefficients.rows = coefficients.rows.max(y + 1);
        };
        let (cabac, contexts) = (&mut self.cabac, &mut self.contexts);
        if self.bypass {
            residual::read(cabac, contexts, &block, |x, y, level| put(coefficients, x, y, level.into()))?;
            out.iter_mut().zip(&coefficients.levels).for_each(|(out, &level)| *out = level.into());
            return Ok(());
        }
        let qp = match component {
            0 => self.qp + 6 * (depth as i32 - 8),
            _ => {
                let (i, offset) = ((component - 1) & 1, 6 * (depth as i32 - 8));
                let index = self.qp + self.pps.qp_offsets[i] + self.slice.qp_offsets[i];
                let most = if self.still { 57 } else { 51 };
                chroma_qp(index.clamp(-offset, 57), self.sps.chroma, most) + offset
            }
        };
        // At most 51 and 48 for the depth.
        let scale = SCALES[(qp % 6).unsigned_abs() as usize] << (qp.clamp(0, 99) / 6);
        let shift = depth + log2 - 5;
        let lists = self.sps.scaling.as_deref().map(|of_sps| self.pps.scaling.as_deref().unwrap_or(of_sps));
        let kind = component + if mode.is_none() { 3 } else { 0 };
        residual::read(cabac, contexts, &block, |x, y, level| {
            let weight = lists.map_or(16, |list| list.weight(log2, kind, x, y));
            let level = i64::from(level).clamp(-32768, 32767) * i64::from(weight) * scale;
            put(coefficients, x, y, (level + (1 << (shift - 1))) >> shift);
        })?;
        if skip {
            transform::skip(coefficients, depth, out);
        } else if component == 0 && log2 == 2 && mode.is_some() {
            transform::sine(coefficients, depth, out);
        } else {
            transform::cosine(coefficients, log2, depth, out);
        }
        Ok(())
    }
}
