//! Rows of units on their way to pixels: samples of one row of units, and the row of samples before it, which the triangle filter
//! down needs. Follows `jdmainct.c`, whose context rows are clamped to the picture.

use pulp::NullaryFnOnce;

use crate::Env;
use crate::color::{Interleave, Output, Portable, convert};
use crate::error::Result;
use crate::frame::{Colour, Component, Frame, Upsampling};
use crate::upsample;

/// Samples beyond a line's pixels that an upsampling of four may write.
const SPARE: usize = 16;

/// Samples of one row of units, on their way to pixels.
pub struct Rows<'f> {
    frame: &'f Frame,
    output: Output,
    colour: Colour,
    planes: Vec<Plane>,
    /// A row of each component, as wide as the picture.
    lines: Vec<Vec<u8>>,
    /// The row of units whose samples are here.
    unit: usize,
    /// Its last row of pixels needs the next one.
    late: usize,
}

struct Plane {
    samples: Vec<u8>,
    stride: usize,
}

/// Bytes that the rows take beside the picture.
pub fn size(frame: &Frame) -> usize {
    let samples = |c: &Component| c.size * c.h * frame.units_across * (c.size * c.v + 1);
    let lines = frame.components.len();
    frame.components.iter().map(samples).sum::<usize>() + lines * (frame.width + SPARE)
}

impl<'f> Rows<'f> {
    /// Room for the rows, as much as [`size`] says.
    pub fn new(frame: &'f Frame, output: Output, colour: Colour, env: &Env<'_>) -> Result<Self> {
        let plane = |c: &Component| {
            let stride = c.size * c.h * frame.units_across;
            Ok(Plane { samples: env.zeroed(stride * (c.size * c.v + 1))?, stride })
        };
        let planes = frame.components.iter().map(plane).collect::<Result<_>>()?;
        let mut lines = Vec::with_capacity(4);
        for _ in 0..frame.components.len() {
            lines.push(env.zeroed(frame.width + SPARE)?);
        }
        let late = |c: &Component| matches!(c.upsampling, Upsampling::Down | Upsampling::Both);
        let late = usize::from(frame.components.iter().any(late));
        Ok(Self { frame, output, colour, planes, lines, unit: 0, late })
    }

    /// A component's samples of a row of blocks, from a column of blocks on; how long its rows are, and how many samples a block
    /// has across and down.
    pub fn block_row(&mut self, index: usize, y: usize, x: usize) -> (&mut [u8], usize, usize) {
        let (Plane { samples, stride }, size) = (&mut self.planes[index], self.frame.components[index].size);
        let from = (size * y + 1) * *stride + size * x;
        (samples.get_mut(from..).unwrap_or_default(), *stride, size)
    }

    /// The rows of pixels that the samples so far are enough for: the first, and the one after the last.
    pub fn ready(&self) -> (usize, usize) {
        let (rows, units) = (self.frame.unit_rows, self.frame.units_down);
        let first = (self.unit * rows).saturating_sub(self.late);
        let end = if self.unit + 1 == units { self.frame.height } else { (self.unit + 1) * rows - self.late };
        // Where the last row of units has few rows, the one before may have been late with none of them.
        (first.min(self.frame.height), end)
    }

    fn write_only(&mut self, out: &mut [u8]) {
        #[cfg(target_arch = "x86_64")]
        if let Some(simd) = crate::vectors::v3() {
            return simd.vectorize(Write { mix: crate::color_avx2::Avx2(simd), rows: self, out });
        }
        Write { mix: Portable, rows: self, out }.call();
    }

    /// Writes these rows, and makes room for the next row of units.
    pub fn write(&mut self, out: &mut [u8]) {
        self.write_only(out);
        for plane in &mut self.planes {
            let last = plane.samples.len() - plane.stride;
            plane.samples.copy_within(last.., 0);
        }
        self.unit += 1;
    }
}

struct Write<'a, 'f, M> {
    mix: M,
    rows: &'a mut Rows<'f>,
    out: &'a mut [u8],
}

impl<M: Interleave> NullaryFnOnce for Write<'_, '_, M> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { mix, rows, out } = self;
        let (first, end) = rows.ready();
        let Rows { frame, output, colour, planes, lines, unit, .. } = rows;
        let width = frame.width;
        for (y, out) in (first..end).zip(out.chunks_exact_mut(width * output.channels(*colour))) {
            for ((component, plane), line) in frame.components.iter().zip(&*planes).zip(&mut *lines) {
                fill(component, plane, *unit, y, line);
            }
            let mut whole = [&[][..]; 4];
            for (i, (slot, line)) in whole.iter_mut().zip(&*lines).enumerate() {
                let component = &frame.components[i];
                *slot = match component.upsampling {
                    Upsampling::None => &plane_row(component, &planes[i], *unit, y)[..width],
                    _ => &line[..width],
                };
            }
            convert(mix, *output, *colour, whole, out);
        }
    }
}

/// A row of samples, by its number in the picture.
#[inline(always)]
fn plane_row<'p>(component: &Component, plane: &'p Plane, unit: usize, y: usize) -> &'p [u8] {
    let y = y.min(component.height - 1) + 1 - unit * component.size * component.v;
    &plane.samples[y * plane.stride..][..component.width]
}

/// The row of pixels `y` of a component that is smaller than the picture.
#[inline(always)]
fn fill(component: &Component, plane: &Plane, unit: usize, y: usize, line: &mut [u8]) {
    let row = |y: usize| plane_row(component, plane, unit, y);
    let above = y.is_multiple_of(2);
    let far = || row(if above { (y / 2).saturating_sub(1) } else { y / 2 + 1 });
    match component.upsampling {
        Upsampling::None => {}
        Upsampling::Across => upsample::across(row(y), line),
        Upsampling::Down => upsample::down(row(y / 2), far(), above, line),
        Upsampling::Both => upsample::both(row(y / 2), far(), line),
        Upsampling::Repeat(h, v) => upsample::repeat(row(y / v), h, line),
    }
}
