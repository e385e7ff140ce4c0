//! From samples to RGB, as libheif does it.

use hevc_decoder::{Chroma, Format, Row};
use isobmff::Nclx;
use lanes::pixels::{self, BLOCK, Block, Blocks, doubled, samples};
use lanes::within;

use crate::error::{Error, Result};

/// How the samples of a picture become RGB.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Converter {
    chroma: Chroma,
    depth: u32,
    way: Way,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    /// Luma alone.
    Grey,
    /// In integers of 8 bits: 256 times the coefficients.
    Integers([i32; 4]),
    /// In floats of the coded depth.
    Floats { coefficients: [f32; 4], full_range: bool },
    /// To RGB, back to all levels, and to RGB again.
    Twice { first: [f32; 4], back: [[f32; 3]; 3], second: [f32; 4] },
    /// Green, blue and red are coded.
    Gbr { full_range: bool },
}

/// What libheif stretches narrow levels by, which is not exactly 255 / 219 and 255 / 224.
const LUMA: f32 = 1.1689;
const CHROMA: f32 = 1.1429;

impl Converter {
    /// `upsampled`: libheif has made as many chroma samples as there are luma samples before, and the full range of levels. `planar`: it
    /// makes planes of RGB.
    pub fn new(format: &Format, colours: &Nclx, upsampled: bool, planar: bool) -> Result<Self> {
        let Format { chroma, depth: [depth, chroma_depth], .. } = *format;
        if chroma == Chroma::Monochrome {
            return Ok(Self { chroma, depth, way: Way::Grey });
        }
        if depth != chroma_depth {
            return Err(Error::Unsupported("luma and chroma of different depths"));
        }
        if depth > 14 {
            return Err(Error::Unsupported("more than 14 bits per sample"));
        }
        let full_range = colours.full_range;
        let way = match colours.matrix {
            0 => Way::Gbr { full_range },
            8 | 16 => return Err(Error::Unsupported("colours as YCgCo")),
            11 => return Err(Error::Unsupported("colours as YDzDx")),
            14 => return Err(Error::Unsupported("colours as ICtCp")),
            _ => {
                let coefficients = coefficients(colours);
                if upsampled && !full_range {
                    let (red, blue) = weights(colours).unwrap_or((0.299, 0.114));
                    Way::Twice { first: coefficients, back: back(red, blue), second: by_weights(red, blue) }
                } else if chroma == Chroma::Halved && full_range && !upsampled && !planar {
                    Way::Integers(coefficients.map(|coefficient| (256.0 * coefficient).round() as i32))
                } else {
                    Way::Floats { coefficients, full_range }
                }
            }
        };
        let chroma = if upsampled { Chroma::Full } else { chroma };
        Ok(Self { chroma, depth, way })
    }

    /// Whether chroma samples have to be as many as luma samples before.
    pub fn is_upsampled(colours: &Nclx, chroma: Chroma) -> bool {
        colours.matrix != 0 && matches!(chroma, Chroma::Halved | Chroma::Narrow)
    }

    /// Three bytes a pixel.
    pub fn row(&self, row: &Row, out: &mut [u8]) {
        pixels::convert(&Work { converter: self, row }, out.as_chunks_mut().0);
    }

    /// The nearest level, halves upwards.
    #[inline(always)]
    fn clip(&self, level: f32) -> i32 {
        let (level, most) = (level + 0.5, ((1u32 << self.depth) - 1) as f32);
        let level = if level > 0.0 { level } else { 0.0 };
        truncated(if level < most { level } else { most })
    }

    /// At the coded depth.
    #[inline(always)]
    fn floats(&self, luma: u16, cb: u16, cr: u16, [r_cr, g_cb, g_cr, b_cb]: [f32; 4], full_range: bool) -> [i32; 3] {
        let half = 1i32 << (self.depth - 1);
        let (mut luma, mut cb, mut cr) =
            (f32::from(luma), (i32::from(cb) - half) as f32, (i32::from(cr) - half) as f32);
        if !full_range {
            let offset = (16i32 << (self.depth - 8)) as f32;
            (luma, cb, cr) = ((luma - offset) * LUMA, cb * CHROMA, cr * CHROMA);
        }
        [self.clip(luma + r_cr * cr), self.clip(luma + g_cb * cb + g_cr * cr), self.clip(luma + b_cb * cb)]
    }

    /// To RGB, back to all levels, and to RGB again.
    #[inline(always)]
    fn twice(&self, luma: u16, cb: u16, cr: u16, first: [f32; 4], back: &[[f32; 3]; 3], second: [f32; 4]) -> [i32; 3] {
        let [r, g, b] = self.floats(luma, cb, cr, first, false);
        let rgb = [r as f32, g as f32, b as f32];
        let half = (1i32 << (self.depth - 1)) as f32;
        let luma = self.clip(sum(rgb, back[0]));
        let (cb, cr) = (self.clip(sum(rgb, back[1]) + half), self.clip(sum(rgb, back[2]) + half));
        self.floats(luma as u16, cb as u16, cr as u16, second, true)
    }

    /// Of a range that is not full to all levels.
    #[inline(always)]
    fn widened(&self, level: u16, factor: f32) -> i32 {
        self.clip((f32::from(level) - (16i32 << (self.depth - 8)) as f32) * factor)
    }
}

#[inline(always)]
fn sum([r, g, b]: [f32; 3], [red, green, blue]: [f32; 3]) -> f32 {
    r * red + g * green + b * blue
}

/// As a cast to an integer does it, which has no vectors, as it also knows what to do with infinity. From zero to 2^22.
#[inline(always)]
fn truncated(level: f32) -> i32 {
    const ONES: f32 = (1 << 23) as f32;
    let nearest = (level + ONES) - ONES;
    let below = if nearest > level { nearest - 1.0 } else { nearest };
    ((below + ONES).to_bits() - ONES.to_bits()) as i32
}

/// In integers.
#[inline(always)]
fn byte(luma: i32, offset: i32) -> i32 {
    within(luma + ((offset + 128) >> 8), 0, 255)
}

/// A row that is converted.
struct Work<'a> {
    converter: &'a Converter,
    row: &'a Row<'a>,
}

impl Work<'_> {
    /// Chroma samples are repeated.
    #[inline(always)]
    fn chroma(&self, plane: &[u16], from: usize) -> Block<u16> {
        if self.converter.chroma.shifts().0 > 0 { doubled(samples(plane, from / 2)) } else { samples(plane, from) }
    }
}

impl Blocks for Work<'_> {
    #[inline(always)]
    fn block(&self, from: usize) -> [Block<u8>; 3] {
        let converter = self.converter;
        let shift = converter.depth - 8;
        let luma: Block<u16> = samples(self.row.luma, from);
        let (cb, cr) = (self.chroma(self.row.cb, from), self.chroma(self.row.cr, from));
        let mut levels = [[0i32; BLOCK]; 3];
        macro_rules! each_pixel {
            (|$luma:ident, $cb:ident, $cr:ident| $levels:expr) => {
                for i in 0..BLOCK {
                    let ($luma, $cb, $cr) = (luma[i], cb[i], cr[i]);
                    let [red, green, blue] = $levels;
                    (levels[0][i], levels[1][i], levels[2][i]) = (red, green, blue);
                }
            };
        }
        match &converter.way {
            Way::Grey => each_pixel!(|luma, _cb, _cr| [i32::from(luma); 3]),
            Way::Integers([r_cr, g_cb, g_cr, b_cb]) => each_pixel!(|luma, cb, cr| {
                let (cb, cr) = (i32::from(cb >> shift) - 128, i32::from(cr >> shift) - 128);
                let luma = i32::from(luma >> shift);
                [byte(luma, r_cr * cr), byte(luma, g_cb * cb + g_cr * cr), byte(luma, b_cb * cb)]
            }),
            Way::Floats { coefficients, full_range: true } => {
                each_pixel!(|luma, cb, cr| converter.floats(luma, cb, cr, *coefficients, true));
            }
            Way::Floats { coefficients, full_range: false } => {
                each_pixel!(|luma, cb, cr| converter.floats(luma, cb, cr, *coefficients, false));
            }
            Way::Twice { first, back, second } => {
                each_pixel!(|luma, cb, cr| converter.twice(luma, cb, cr, *first, back, *second));
            }
            Way::Gbr { full_range: true } => each_pixel!(|g, b, r| [i32::from(r), i32::from(g), i32::from(b)]),
            Way::Gbr { full_range: false } => each_pixel!(|g, b, r| {
                [converter.widened(r, CHROMA), converter.widened(g, LUMA), converter.widened(b, CHROMA)]
            }),
        }
        let shift = if matches!(converter.way, Way::Integers(_)) { 0 } else { shift };
        let mut bytes = [[0; BLOCK]; 3];
        for (bytes, levels) in bytes.iter_mut().zip(&levels) {
            for (byte, level) in bytes.iter_mut().zip(levels) {
                *byte = (level >> shift) as u8;
            }
        }
        bytes
    }
}

/// Of Cr in red, of Cb and Cr in green, of Cb in blue.
fn coefficients(colours: &Nclx) -> [f32; 4] {
    weights(colours).map_or(DEFAULT, |(red, blue)| by_weights(red, blue))
}

fn by_weights(red: f32, blue: f32) -> [f32; 4] {
    let rest = blue + red - 1.0;
    [2.0 * (-red + 1.0), 2.0 * blue * (-blue + 1.0) / rest, 2.0 * red * (-red + 1.0) / rest, 2.0 * (-blue + 1.0)]
}

/// Of red, green and blue in luma, Cb and Cr.
fn back(red: f32, blue: f32) -> [[f32; 3]; 3] {
    let green = 1.0 - red - blue;
    [
        [red, green, blue],
        [-red / (1.0 - blue) / 2.0, -green / (1.0 - blue) / 2.0, 0.5],
        [0.5, -green / (1.0 - red) / 2.0, -blue / (1.0 - red) / 2.0],
    ]
}

/// Of red and blue in luma, where the matrix is a known one.
fn weights(colours: &Nclx) -> Option<(f32, f32)> {
    Some(match colours.matrix {
        1 => (0.2126, 0.0722),
        4 => (0.30, 0.11),
        5 | 6 => (0.299, 0.114),
        7 => (0.212, 0.087),
        9 | 10 => (0.2627, 0.0593),
        12 | 13 => return by_primaries(colours.primaries),
        _ => return None,
    })
}

/// BT.601, rounded.
const DEFAULT: [f32; 4] = [1.402, -0.344136, -0.714136, 1.772];

/// What red and blue weigh, by where the primaries and white are (ISO/IEC 23091-2, 8.3).
fn by_primaries(primaries: u16) -> Option<(f32, f32)> {
    let [gx, gy, bx, by, rx, ry, wx, wy]: [f32; 8] = match primaries {
        1 => [0.300, 0.600, 0.150, 0.060, 0.640, 0.330, 0.3127, 0.3290],
        4 => [0.21, 0.71, 0.14, 0.08, 0.67, 0.33, 0.310, 0.316],
        5 => [0.29, 0.60, 0.15, 0.06, 0.64, 0.33, 0.3127, 0.3290],
        6 | 7 => [0.310, 0.595, 0.155, 0.070, 0.630, 0.340, 0.3127, 0.3290],
        8 => [0.243, 0.692, 0.145, 0.049, 0.681, 0.319, 0.310, 0.316],
        9 => [0.170, 0.797, 0.131, 0.046, 0.708, 0.292, 0.3127, 0.3290],
        10 => [0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.333333, 0.33333],
        11 => [0.265, 0.690, 0.150, 0.060, 0.680, 0.320, 0.314, 0.351],
        12 => [0.265, 0.690, 0.150, 0.060, 0.680, 0.320, 0.3127, 0.3290],
        22 => [0.295, 0.605, 0.155, 0.077, 0.630, 0.340, 0.3127, 0.3290],
        _ => return None,
    };
    let (rz, gz, bz, wz) = (1.0 - (rx + ry), 1.0 - (gx + gy), 1.0 - (bx + by), 1.0 - (wx + wy));
    let whole = wy * (rx * (gy * bz - by * gz) + gx * (by * rz - ry * bz) + bx * (ry * gz - gy * rz));
    if whole == 0.0 {
        return None;
    }
    let red = ry * (wx * (gy * bz - by * gz) + wy * (bx * gz - gx * bz) + wz * (gx * by - bx * gy));
    let blue = by * (wx * (ry * gz - gy * rz) + wy * (gx * rz - rx * gz) + wz * (rx * gy - gx * ry));
    Some((red / whole, blue / whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truncated_as_by_a_cast() {
        for whole in 0..1 << 14 {
            let whole = whole as f32;
            for level in [whole, whole.next_up(), whole + 0.5, (whole + 0.5).next_down(), (whole + 1.0).next_down()] {
                assert_eq!(truncated(level), level as i32, "{level}");
            }
        }
    }
}
