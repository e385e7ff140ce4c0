//! The samples of the whole picture, for what cannot be converted row by row.

use hevc_decoder::{Chroma, Row};

use crate::Env;
use crate::error::{Error, Result};
use crate::turn::Part;
use crate::upsample::Plane;

pub struct Planes {
    /// Of the picture as coded.
    pub part: Part,
    luma: Vec<u16>,
    chroma: [Vec<u16>; 2],
    /// Of chroma.
    columns: usize,
    halved: bool,
}

fn sizes(Part { width, height, .. }: Part, chroma: Chroma) -> (usize, usize) {
    let (across, down) = chroma.shifts();
    (width.div_ceil(1 << across), height.div_ceil(1 << down))
}

pub fn needs(part: Part, chroma: Chroma) -> usize {
    let (columns, rows) = sizes(part, chroma);
    let (luma, chroma) = (part.width.saturating_mul(part.height), columns.saturating_mul(rows));
    luma.saturating_mul(2).saturating_add(chroma.saturating_mul(4)).saturating_add(4 * part.width)
}

/// So many zeros.
pub fn zeroed<T: Clone + Default>(len: usize) -> Result<Vec<T>> {
    let mut list = Vec::new();
    list.try_reserve_exact(len).map_err(|_| Error::OutOfMemory(len.saturating_mul(size_of::<T>())))?;
    list.resize(len, T::default());
    Ok(list)
}

impl Planes {
    pub fn new(part: Part, chroma: Chroma) -> Result<Self> {
        let (columns, rows) = sizes(part, chroma);
        let area = columns.saturating_mul(rows);
        Ok(Self {
            part,
            luma: zeroed(part.width.saturating_mul(part.height))?,
            chroma: [zeroed(area)?, zeroed(area)?],
            columns,
            halved: chroma.shifts().1 > 0,
        })
    }

    /// A row of a tile that is at this place.
    pub fn lay(&mut self, (x, y): (usize, usize), row: &Row) {
        let Part { left, top, width, height } = self.part;
        let Some(y) = (y + row.y).checked_sub(top).filter(|&y| y < height) else { return };
        copy(&mut self.luma, width, left, y, x, row.luma);
        // Tiles and the part begin at even places.
        let line = if self.halved { y / 2 } else { y };
        for (plane, samples) in self.chroma.iter_mut().zip([row.cb, row.cr]) {
            copy(plane, self.columns, left / 2, line, x / 2, samples);
        }
    }

    /// Hands out the rows, with as many chroma samples as luma samples.
    pub fn rows(&self, env: &Env, mut each: impl FnMut(Row)) -> Result<()> {
        let (mut cb, mut cr) = (zeroed(self.part.width)?, zeroed(self.part.width)?);
        let Self { part: Part { width, height, .. }, columns, halved, .. } = *self;
        let [first, second] = self.chroma.each_ref().map(|samples| Plane { samples, columns, width, height, halved });
        for (y, luma) in self.luma.chunks_exact(width).enumerate() {
            if y.is_multiple_of(16) && !(env.go_on)() {
                return Err(Error::Stopped);
            }
            first.row(y, &mut cb);
            second.row(y, &mut cr);
            each(Row { y, luma, cb: &cb, cr: &cr });
        }
        Ok(())
    }
}

/// What of the samples from a column on is in a plane that begins with `left`.
fn copy(plane: &mut [u16], width: usize, left: usize, y: usize, x: usize, samples: &[u16]) {
    let samples = samples.get(left.saturating_sub(x)..).unwrap_or_default();
    let x = x.saturating_sub(left);
    let end = width.min(x + samples.len());
    if x < end
        && let Some(out) = plane.get_mut(y * width + x..y * width + end)
    {
        out.iter_mut().zip(samples).for_each(|(out, &sample)| *out = sample);
    }
}
