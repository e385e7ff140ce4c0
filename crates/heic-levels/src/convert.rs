//! From samples to RGB, as libheif does it.

use hevc_decoder::{Chroma, Format, Row};
use isobmff::Nclx;

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
        let pixels = out.as_chunks_mut::<3>().0;
        let shift = self.depth - 8;
        match self.way {
            Way::Grey => {
                for (pixel, &luma) in pixels.iter_mut().zip(row.luma) {
                    *pixel = [(luma >> shift) as u8; 3];
                }
            }
            Way::Integers([r_cr, g_cb, g_cr, b_cb]) => {
                let chroma = row.cb.iter().zip(row.cr);
                for ((pixels, lumas), (&cb, &cr)) in pixels.chunks_mut(2).zip(row.luma.chunks(2)).zip(chroma) {
                    let (cb, cr) = (i32::from(cb >> shift) - 128, i32::from(cr >> shift) - 128);
                    let offsets = [(r_cr * cr + 128) >> 8, (g_cb * cb + g_cr * cr + 128) >> 8, (b_cb * cb + 128) >> 8];
                    for (pixel, &luma) in pixels.iter_mut().zip(lumas) {
                        let luma = i32::from(luma >> shift);
                        *pixel = offsets.map(|offset| (luma + offset).clamp(0, 255) as u8);
                    }
                }
            }
            Way::Floats { coefficients, full_range } => {
                each(self.chroma, pixels, row, |luma, cb, cr| {
                    self.floats(luma, cb, cr, coefficients, full_range).map(|level| (level >> shift) as u8)
                });
            }
            Way::Twice { first, back, second } => {
                let half = 1i32 << (self.depth - 1);
                each(self.chroma, pixels, row, |luma, cb, cr| {
                    let [r, g, b] = self.floats(luma, cb, cr, first, false).map(|level| level as f32);
                    let [luma, cb, cr] = back.map(|[red, green, blue]| r * red + g * green + b * blue);
                    let [luma, cb, cr] =
                        [luma, cb + half as f32, cr + half as f32].map(|level| self.clip(level) as u16);
                    self.floats(luma, cb, cr, second, true).map(|level| (level >> shift) as u8)
                });
            }
            Way::Gbr { full_range: true } => {
                each(self.chroma, pixels, row, |g, b, r| [r, g, b].map(|level| (level >> shift) as u8));
            }
            Way::Gbr { full_range: false } => {
                let offset = (16i32 << shift) as f32;
                let wide = |level: u16, factor: f32| (self.clip((f32::from(level) - offset) * factor) >> shift) as u8;
                each(self.chroma, pixels, row, |g, b, r| [wide(r, CHROMA), wide(g, LUMA), wide(b, CHROMA)]);
            }
        }
    }
}

impl Converter {
    #[inline(always)]
    fn clip(&self, level: f32) -> i32 {
        ((level + 0.5) as i32).clamp(0, (1 << self.depth) - 1)
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
        [luma + r_cr * cr, luma + g_cb * cb + g_cr * cr, luma + b_cb * cb].map(|level| self.clip(level))
    }
}

/// Chroma samples are repeated.
#[inline(always)]
fn each(chroma: Chroma, pixels: &mut [[u8; 3]], row: &Row, convert: impl Fn(u16, u16, u16) -> [u8; 3]) {
    let wide = if chroma.shifts().0 == 0 { 1 } else { 2 };
    let samples = row.cb.iter().zip(row.cr);
    for ((pixels, lumas), (&cb, &cr)) in pixels.chunks_mut(wide).zip(row.luma.chunks(wide)).zip(samples) {
        for (pixel, &luma) in pixels.iter_mut().zip(lumas) {
            *pixel = convert(luma, cb, cr);
        }
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
