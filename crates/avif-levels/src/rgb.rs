//! Levels as coded to RGB, on the way that libavif takes for them.

use crate::Env;
use crate::colour::{Colour, Integers, Matrix};
use crate::error::{Error, Result, look, row, zeroed};
use crate::planes::{Kind, Plane, Planes, Subsampling};
use crate::{float, integer};

/// Rows between looks.
const LOOK: usize = 16;

const OTHER: Error = Error::Av1("levels are of another size than the header says");

/// How rows are converted.
enum Rows {
    Integer(integer::Rows),
    /// Grey with alpha becomes RGB by libyuv.
    Grey(Integers),
    Float(float::Rows),
    Identity,
}

impl Rows {
    fn new(planes: &Planes, colour: Colour, alpha: bool) -> Result<Self> {
        let kind = planes.kind;
        // Also where libyuv converts, what libavif refuses is refused.
        let matrix = colour.matrix(kind)?;
        Ok(match (colour.integers(kind), kind.chroma) {
            (Some(integers), Some(_)) => Self::Integer(integer::Rows::new(planes, integers, way(kind, alpha))?),
            (Some(integers), None) if alpha => Self::Grey(integers),
            (None, Some(_)) if kind.depth == 8 && matrix == Matrix::Identity && colour.full_range => Self::Identity,
            _ => Self::Float(float::Rows::new(planes, colour, matrix)?),
        })
    }

    fn row(&mut self, planes: &Planes, y: usize, out: &mut [[u8; 3]]) {
        match self {
            Self::Integer(rows) => rows.row(planes, y, out),
            Self::Grey(integers) => integer::grey_row(planes, *integers, y, out),
            Self::Float(rows) => rows.row(planes, y, out),
            Self::Identity => {
                planes.row(0, y).with(out, |[_, green, _], level| *green = level as u8);
                planes.row(1, y).with(out, |[_, _, blue], level| *blue = level as u8);
                planes.row(2, y).with(out, |[red, _, _], level| *red = level as u8);
            }
        }
    }
}

/// Three bytes a pixel. With `alpha` libavif converts to RGBA, which libyuv does for other depths.
pub fn convert(planes: Planes, colour: Colour, alpha: bool, env: &Env<'_>) -> Result<Vec<u8>> {
    let mut rows = Rows::new(&planes, colour, alpha)?;
    if planes.kind.has_room() {
        return convert_within(rows, planes, env);
    }
    let mut pixels = zeroed(planes.width.saturating_mul(planes.height).saturating_mul(3), env)?;
    for (y, out) in pixels.as_chunks_mut::<3>().0.chunks_exact_mut(planes.width).enumerate() {
        if y % LOOK == 0 {
            look(env)?;
        }
        rows.row(&planes, y, out);
    }
    Ok(pixels)
}

/// The same by way of the planes: the picture beside three of two bytes a level would be nine bytes a pixel.
fn convert_within(mut rows: Rows, mut planes: Planes, env: &Env<'_>) -> Result<Vec<u8>> {
    let (width, height) = (planes.width, planes.height);
    let mut line = row::<[u8; 3]>(width)?;
    for y in 0..height {
        if y % LOOK == 0 {
            look(env)?;
        }
        rows.row(&planes, y, &mut line);
        let [Plane::Words(first), Plane::Words(second), _] = &mut planes.planes else { return Err(OTHER) };
        let at = y * width;
        let to = first.get_mut(at..).unwrap_or_default().iter_mut().zip(second.get_mut(at..).unwrap_or_default());
        for ((first, second), &[red, green, blue]) in to.zip(&line) {
            *first = u16::from_le_bytes([red, green]);
            *second = blue.into();
        }
    }
    let [Plane::Words(first), Plane::Words(second), third] = planes.planes else { return Err(OTHER) };
    drop(third);
    let mut pixels = zeroed(width.saturating_mul(height).saturating_mul(3), env)?;
    for ((out, first), second) in pixels.as_chunks_mut::<3>().0.iter_mut().zip(first).zip(second) {
        let [red, green] = first.to_le_bytes();
        *out = [red, green, second as u8];
    }
    Ok(pixels)
}

/// Which of libyuv's functions libavif finds.
fn way(kind: Kind, alpha: bool) -> integer::Way {
    use integer::Way;
    match (kind.depth, kind.chroma) {
        (10, _) if alpha => Way { depth: 10, nearest: false },
        (12, Some(Subsampling { across: true, down: true })) if alpha => Way { depth: 12, nearest: true },
        _ => Way { depth: 8, nearest: false },
    }
}
