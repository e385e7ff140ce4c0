//! Levels as coded to RGB, on the way that libavif takes for them.

use crate::Env;
use crate::colour::{Colour, Integers, Matrix};
use crate::error::{Result, look, zeroed};
use crate::planes::{Kind, Planes, Subsampling};
use crate::{float, integer};

/// Rows between looks.
const LOOK: usize = 16;

/// How rows are converted.
enum Rows<'p> {
    Integer(integer::Rows<'p>),
    /// Grey with alpha becomes RGB by libyuv.
    Grey(Integers),
    Float(float::Rows<'p>),
    Identity,
}

impl<'p> Rows<'p> {
    fn new(planes: &'p Planes, colour: Colour, alpha: bool) -> Result<Self> {
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
            Self::Integer(rows) => rows.row(y, out),
            Self::Grey(integers) => integer::grey_row(planes, *integers, y, out),
            Self::Float(rows) => rows.row(y, out),
            Self::Identity => {
                let (green, blue, red) = (planes.row(0, y), planes.row(1, y), planes.row(2, y));
                for (((out, &g), &b), &r) in out.iter_mut().zip(green).zip(blue).zip(red) {
                    *out = [r, g, b];
                }
            }
        }
    }
}

/// Three bytes a pixel. With `alpha` libavif converts to RGBA, which libyuv does for other depths.
pub fn convert(planes: &Planes, colour: Colour, alpha: bool, env: &Env<'_>) -> Result<Vec<u8>> {
    let mut rows = Rows::new(planes, colour, alpha)?;
    let mut pixels = zeroed(planes.width.saturating_mul(planes.height).saturating_mul(3), env)?;
    for (y, out) in pixels.as_chunks_mut::<3>().0.chunks_exact_mut(planes.width).enumerate() {
        if y % LOOK == 0 {
            look(env)?;
        }
        rows.row(planes, y, out);
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
