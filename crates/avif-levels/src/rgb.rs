//! Levels as coded to RGB, on the way that libavif takes for them.

use crate::Env;
use crate::colour::{Colour, Matrix};
use crate::error::{Result, look, zeroed};
use crate::planes::{Kind, Planes, Subsampling};
use crate::{float, integer};

/// Rows between looks.
const ROWS: usize = 16;

/// Three bytes a pixel. With `alpha` libavif converts to RGBA, which libyuv does for other depths.
pub fn convert(planes: &Planes, colour: Colour, alpha: bool, env: &Env<'_>) -> Result<Vec<u8>> {
    let kind = planes.kind;
    // Also where libyuv converts, what libavif refuses is refused.
    let matrix = colour.matrix(kind)?;
    let mut rows: Box<dyn FnMut(usize, &mut [[u8; 3]])> = match (colour.integers(kind), kind.chroma) {
        (Some(integers), Some(_)) => {
            let mut rows = integer::Rows::new(planes, integers, way(kind, alpha))?;
            Box::new(move |y, out| rows.row(y, out))
        }
        // Grey becomes RGB by libyuv where alpha is with it, else grey by libavif.
        (Some(integers), None) if alpha => Box::new(move |y, out| integer::grey_row(planes, integers, y, out)),
        _ => {
            let rows = float::Rows::new(planes, colour, matrix)?;
            Box::new(move |y, out| rows.row(y, out))
        }
    };
    let mut pixels = zeroed(planes.width.saturating_mul(planes.height).saturating_mul(3), env)?;
    for (y, row) in pixels.as_chunks_mut::<3>().0.chunks_exact_mut(planes.width).enumerate() {
        if y % ROWS == 0 {
            look(env)?;
        }
        if kind.depth == 8 && matrix == Matrix::Identity && colour.full_range && kind.chroma.is_some() {
            identity_row(planes, y, row);
        } else {
            rows(y, row);
        }
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

fn identity_row(planes: &Planes, y: usize, out: &mut [[u8; 3]]) {
    let (green, blue, red) = (planes.row(0, y), planes.row(1, y), planes.row(2, y));
    for (((out, &g), &b), &r) in out.iter_mut().zip(green).zip(blue).zip(red) {
        *out = [r, g, b];
    }
}
