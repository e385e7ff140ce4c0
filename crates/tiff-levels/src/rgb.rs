//! Rows of samples to rows of red, green and blue, by Pillow's `Unpack.c` and `Convert.c`: 16-bit colours keep their high byte,
//! wide grey is clipped to 0..=255, unless it is scaled before, alpha is dropped.

use std::cell::Cell;

use crate::Env;
use crate::directory::{Directory, tag};
use crate::error::{Error, Result, zeroed};
use crate::lab::Lab;
use crate::samples::{Kind, Number, Samples};
use crate::wide::{Range, Scale};
use crate::ycbcr::Tables;

/// How the samples of a row become colours.
pub struct ToRgb {
    samples: Samples,
    /// Samples come in rows of their own.
    planes: bool,
    palette: Option<Box<[[u8; 3]; 256]>>,
    chroma: Option<Box<Tables>>,
    lab: Option<Lab>,
    /// A row of whole pixels, of samples that came in planes.
    mixed: Vec<u8>,
    scale: Scale,
    /// Of the wide grey so far.
    range: Cell<Option<Range>>,
}

impl ToRgb {
    /// `width`: columns of a chunk that are in the picture.
    pub fn new(
        directory: &Directory<'_>,
        samples: Samples,
        planes: bool,
        chroma: Option<Tables>,
        width: usize,
        scale: Scale,
        env: &Env<'_>,
    ) -> Result<Self> {
        let palette = if samples.kind == Kind::Palette { Some(palette(directory)?) } else { None };
        let lab = if samples.kind == Kind::Lab { Some(Lab::new(env)?) } else { None };
        let used = samples.kind.used();
        let mixed = if planes && used > 1 { zeroed(width * used * samples.bytes(), env)? } else { Vec::new() };
        Ok(Self { samples, planes, palette, chroma: chroma.map(Box::new), lab, mixed, scale, range: Cell::new(None) })
    }

    /// Darkest and brightest of the wide grey that became levels.
    pub fn range(&self) -> Option<Range> {
        self.range.get()
    }

    /// One row of whole pixels, or one of each plane; each is at least as long as its samples of `out`.
    pub fn row(&mut self, rows: &[&[u8]], out: &mut [[u8; 3]]) {
        let used = self.samples.kind.used();
        if !self.planes {
            return self.pixels(rows[0], self.samples.count, out);
        }
        if used == 1 {
            return self.pixels(rows[0], 1, out);
        }
        let bytes = self.samples.bytes();
        let mut mixed = std::mem::take(&mut self.mixed);
        for (i, row) in rows.iter().enumerate().take(used) {
            let pixels = mixed.chunks_exact_mut(used * bytes);
            for (pixel, sample) in pixels.zip(row.chunks_exact(bytes)) {
                pixel[i * bytes..][..bytes].copy_from_slice(sample);
            }
        }
        self.pixels(&mixed, used, out);
        self.mixed = mixed;
    }

    /// `count`: samples a pixel.
    fn pixels(&self, row: &[u8], count: usize, out: &mut [[u8; 3]]) {
        let Samples { kind, bits, little, .. } = self.samples;
        match kind {
            Kind::Grey { white_is_zero } if bits < 8 => {
                let (scale, invert) = (255 / ((1u8 << bits) - 1), if white_is_zero { 0xff } else { 0 });
                out.iter_mut().zip(unpack(row, bits)).for_each(|(o, s)| *o = [(s * scale) ^ invert; 3]);
            }
            Kind::Grey { white_is_zero } => {
                let invert = if white_is_zero { 0xff } else { 0 };
                each(row, count, out, |s| [s[0] ^ invert; 3]);
            }
            Kind::Palette => {
                let Some(palette) = &self.palette else { return };
                let colour = |s: u8| palette[usize::from(s)];
                if bits < 8 {
                    out.iter_mut().zip(unpack(row, bits)).for_each(|(o, s)| *o = colour(s));
                } else {
                    each(row, count, out, |s| colour(s[0]));
                }
            }
            Kind::Wide(Number::U12) => {
                let number = |i: usize| {
                    let at = |place: usize| u16::from(row.get(place).copied().unwrap_or(0));
                    let place = i / 2 * 3;
                    if i.is_multiple_of(2) {
                        at(place) << 4 | at(place + 1) >> 4
                    } else {
                        (at(place + 1) & 15) << 8 | at(place + 2)
                    }
                };
                let mut range = Range::of(Number::U12);
                out.iter_mut().enumerate().for_each(|(i, o)| *o = [self.scale.level(number(i).into(), &mut range); 3]);
                self.has_met(range);
            }
            Kind::Wide(number) => self.has_met(wide(row, count, out, number, little, self.scale)),
            Kind::Rgb { multiplied } => {
                let bytes = bits / 8;
                // The high byte of each sample.
                let high = if little { bytes - 1 } else { 0 };
                let at = |s: &[u8], i: usize| s[i * bytes + high];
                each(row, count * bytes, out, |s| {
                    let rgb = [at(s, 0), at(s, 1), at(s, 2)];
                    if multiplied { divided(rgb, at(s, 3)) } else { rgb }
                });
            }
            Kind::Cmyk => {
                let bytes = bits / 8;
                let high = if little { bytes - 1 } else { 0 };
                let at = |s: &[u8], i: usize| s[i * bytes + high];
                each(row, count * bytes, out, |s| cmyk_to_rgb([at(s, 0), at(s, 1), at(s, 2), at(s, 3)]));
            }
            Kind::YCbCr => {
                let Some(tables) = &self.chroma else { return };
                each(row, count, out, |s| tables.rgb([s[0], s[1], s[2]]));
            }
            Kind::Lab => {
                let Some(lab) = &self.lab else { return };
                each(row, count, out, |s| lab.rgb([s[0], s[1], s[2]]));
            }
        }
    }
}

impl ToRgb {
    fn has_met(&self, range: Range) {
        self.range.set(Some(self.range.get().map_or(range, |before| before.and(range))));
    }
}

fn each(row: &[u8], bytes: usize, out: &mut [[u8; 3]], mut colour: impl FnMut(&[u8]) -> [u8; 3]) {
    out.iter_mut().zip(row.chunks_exact(bytes)).for_each(|(o, s)| *o = colour(s));
}

/// Samples of 1, 2 or 4 bits, the first in the high bits.
fn unpack(row: &[u8], bits: usize) -> impl Iterator<Item = u8> + '_ {
    let mask = ((1u16 << bits) - 1) as u8;
    row.iter().flat_map(move |byte| (0..8 / bits).map(move |i| (byte >> (8 - bits * (i + 1))) & mask))
}

fn wide(row: &[u8], count: usize, out: &mut [[u8; 3]], number: Number, little: bool, scale: Scale) -> Range {
    let mut range = Range::of(number);
    let two = |s: &[u8]| if little { u16::from_le_bytes([s[0], s[1]]) } else { u16::from_be_bytes([s[0], s[1]]) };
    let four = |s: &[u8]| {
        let s = [s[0], s[1], s[2], s[3]];
        if little { u32::from_le_bytes(s) } else { u32::from_be_bytes(s) }
    };
    let mut level = |value: f64| [scale.level(value, &mut range); 3];
    match number {
        Number::U12 | Number::U16 => each(row, 2 * count, out, |s| level(two(s).into())),
        Number::I16 => each(row, 2 * count, out, |s| level((two(s) as i16).into())),
        Number::I32 => each(row, 4 * count, out, |s| level((four(s) as i32).into())),
        Number::F32 => each(row, 4 * count, out, |s| level(f32::from_bits(four(s)).into())),
    }
    range
}

/// The colour map: all reds, then all greens, then all blues, of which the high byte counts. Pillow has no more than 256.
fn palette(directory: &Directory<'_>) -> Result<Box<[[u8; 3]; 256]>> {
    let map = directory.find(tag::COLOUR_MAP).ok_or(Error::Damaged("no colour map"))?;
    let n = map.count / 3;
    let high = |i: usize| directory.value(map, i).map_or(0, |value| (value >> 8) as u8);
    let mut palette = Box::new([[0; 3]; 256]);
    for (i, entry) in palette.iter_mut().enumerate().take(n) {
        *entry = [high(i), high(n + i), high(2 * n + i)];
    }
    Ok(palette)
}

/// `unpackRGBa`: colours that were multiplied by their alpha, as they were.
fn divided(rgb: [u8; 3], alpha: u8) -> [u8; 3] {
    match alpha {
        0 => [0; 3],
        255 => rgb,
        _ => rgb.map(|v| (u32::from(v) * 255 / u32::from(alpha)).min(255) as u8),
    }
}

/// Inks and black to what is left of white, as Pillow's `cmyk2rgb`: level = (255 - k) - ink × (255 - k) / 255.
pub fn cmyk_to_rgb([c, m, y, k]: [u8; 4]) -> [u8; 3] {
    let white = 255 - i32::from(k);
    [c, m, y].map(|ink| {
        let product = i32::from(ink) * white + 128;
        (white - (((product >> 8) + product) >> 8)).clamp(0, 255) as u8
    })
}
