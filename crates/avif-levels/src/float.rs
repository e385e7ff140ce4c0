//! libavif's own conversion, in 32-bit floats: grey, and the matrices that libyuv does not have. The order of operations is libavif's.

use crate::colour::{Colour, Matrix};
use crate::error::{Result, row};
use crate::planes::{Planes, Row, Subsampling};

/// Rows of RGB.
pub struct Rows {
    matrix: Matrix,
    /// By level.
    luma: Vec<f32>,
    /// The same in 8 bits, of grey.
    grey: Vec<u8>,
    chroma: Vec<f32>,
}

impl Rows {
    pub fn new(planes: &Planes, colour: Colour, matrix: Matrix) -> Result<Self> {
        let depth = u32::from(planes.kind.depth);
        let most = (1u32 << depth) - 1;
        let scaled = |number: u32| (number << (depth - 8)) as f32;
        let (bias, range, chroma_range) =
            if colour.full_range { (0.0, most as f32, most as f32) } else { (scaled(16), scaled(219), scaled(224)) };
        let table = |bias: f32, range: f32| -> Result<Vec<f32>> {
            let mut table = row(1 << depth)?;
            table.iter_mut().zip(0u32..).for_each(|(to, level)| *to = (level as f32 - bias) / range);
            Ok(table)
        };
        let luma = table(bias, range)?;
        let middle = (1u32 << (depth - 1)) as f32;
        let chroma = if matrix == Matrix::Identity { table(bias, range)? } else { table(middle, chroma_range)? };
        let mut grey = Vec::new();
        if planes.kind.chroma.is_none() {
            grey = row(luma.len())?;
            grey.iter_mut().zip(&luma).for_each(|(to, &level)| *to = to_level(level));
        }
        Ok(Self { matrix, luma, grey, chroma })
    }

    pub fn row(&self, planes: &Planes, y: usize, out: &mut [[u8; 3]]) {
        let luma = planes.row(0, y);
        let Some(chroma) = planes.kind.chroma else {
            luma.with(out, |out, level| *out = [of(&self.grey, level); 3]);
            return;
        };
        let (near_y, far_y) = if chroma.down { nearest(y, planes.height) } else { (y, y) };
        let rows = [1, 2].map(|plane| [planes.row(plane, near_y), planes.row(plane, far_y)]);
        for (x, out) in out.iter_mut().enumerate() {
            let across = if chroma.across { nearest(x, planes.width) } else { (x, x) };
            let [u, v] = rows.map(|rows| self.upsampled(rows, across, chroma));
            *out = self.rgb(luma.level(x), u, v);
        }
    }

    /// From the nearest row, and the one next to it.
    fn upsampled(&self, [near, far]: [Row<'_>; 2], (near_x, far_x): (usize, usize), of_chroma: Subsampling) -> f32 {
        let at = |row: Row<'_>, x| of(&self.chroma, row.level(x));
        if of_chroma == (Subsampling { across: false, down: false }) {
            return at(near, near_x);
        }
        at(near, near_x) * (9.0 / 16.0)
            + at(near, far_x) * (3.0 / 16.0)
            + at(far, near_x) * (3.0 / 16.0)
            + at(far, far_x) * (1.0 / 16.0)
    }

    fn rgb(&self, level: u16, u: f32, v: f32) -> [u8; 3] {
        let y = of(&self.luma, level);
        let [r, g, b] = match self.matrix {
            Matrix::Identity => [v, y, u],
            Matrix::YCgCo => {
                let rest = y - u;
                [rest + v, y + u, rest - v]
            }
            Matrix::YCgCoRe => return reversible(level, u, v),
            Matrix::Weights { red, blue } => {
                let green = 1.0 - red - blue;
                [
                    y + (2.0 * (1.0 - red)) * v,
                    y - ((2.0 * ((red * (1.0 - red) * v) + (blue * (1.0 - blue) * u))) / green),
                    y + (2.0 * (1.0 - blue)) * u,
                ]
            }
        };
        [to_level(r), to_level(g), to_level(b)]
    }
}

/// The chroma level of a pixel's own, and the next nearest one: none at the ends.
fn nearest(at: usize, side: usize) -> (usize, usize) {
    let near = at / 2;
    let far = if at == 0 || (at + 1 == side && at % 2 == 1) {
        near
    } else if at % 2 == 1 {
        near + 1
    } else {
        near - 1
    };
    (near, far)
}

/// YCgCo-Re of 10 bits.
fn reversible(luma: u16, u: f32, v: f32) -> [u8; 3] {
    let whole = |value: f32| (value * 1023.0 + 0.5).floor() as i32;
    let (green, orange) = (whole(u), whole(v));
    let rest = i32::from(luma) - (green >> 1);
    let g = (rest + green).clamp(0, 255);
    let b = (rest - (orange >> 1)).clamp(0, 255);
    let r = (b + orange).clamp(0, 255);
    [r as u8, g as u8, b as u8]
}

/// AV1 gives no level beyond its depth.
fn of<T: Copy + Default>(table: &[T], level: u16) -> T {
    table.get(usize::from(level)).copied().unwrap_or_default()
}

fn to_level(value: f32) -> u8 {
    (0.5 + value.clamp(0.0, 1.0) * 255.0) as u8
}
