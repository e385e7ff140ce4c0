//! libavif's own conversion, in 32-bit floats: grey, and the matrices that libyuv does not have. The order of operations is libavif's.

use crate::colour::{Colour, Matrix};
use crate::error::{Result, row};
use crate::planes::{Planes, Subsampling};

/// Rows of RGB.
pub struct Rows<'p> {
    planes: &'p Planes,
    matrix: Matrix,
    /// By level.
    luma: Vec<f32>,
    chroma: Vec<f32>,
}

impl<'p> Rows<'p> {
    pub fn new(planes: &'p Planes, colour: Colour, matrix: Matrix) -> Result<Self> {
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
        Ok(Self { planes, matrix, luma, chroma })
    }

    pub fn row(&self, y: usize, out: &mut [[u8; 3]]) {
        let Some(chroma) = self.planes.kind.chroma else {
            for (x, out) in out.iter_mut().enumerate() {
                *out = [to_level(of(&self.luma, self.level(0, x, y))); 3];
            }
            return;
        };
        for (x, out) in out.iter_mut().enumerate() {
            let luma = self.level(0, x, y);
            let (u, v) = (self.upsampled(1, x, y, chroma), self.upsampled(2, x, y, chroma));
            *out = self.rgb(luma, u, v);
        }
    }

    fn level(&self, plane: usize, x: usize, y: usize) -> u16 {
        let row = self.planes.row(plane, y);
        if self.planes.kind.bytes() == 1 {
            row.get(x).copied().unwrap_or_default().into()
        } else {
            row.as_chunks().0.get(x).map_or(0, |&level| u16::from_le_bytes(level))
        }
    }

    fn upsampled(&self, plane: usize, x: usize, y: usize, Subsampling { across, down }: Subsampling) -> f32 {
        let at = |x, y| of(&self.chroma, self.level(plane, x, y));
        if !across && !down {
            return at(x, y);
        }
        let (near_x, far_x) = if across { nearest(x, self.planes.width) } else { (x, x) };
        let (near_y, far_y) = if down { nearest(y, self.planes.height) } else { (y, y) };
        at(near_x, near_y) * (9.0 / 16.0)
            + at(far_x, near_y) * (3.0 / 16.0)
            + at(near_x, far_y) * (3.0 / 16.0)
            + at(far_x, far_y) * (1.0 / 16.0)
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
fn of(table: &[f32], level: u16) -> f32 {
    table.get(usize::from(level)).copied().unwrap_or_default()
}

fn to_level(value: f32) -> u8 {
    (0.5 + value.clamp(0.0, 1.0) * 255.0) as u8
}
