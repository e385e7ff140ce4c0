//! Rows of pixels from rows of components. Follows `jdcolor.c`, and for red, green and blue of CMYK Pillow's `Convert.c`.

use crate::frame::Colour;

/// What a picture's pixels are to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// The components as they are, as large as the picture.
    Stored,
    /// libjpeg's choice: grey, RGB, CMYK.
    Native,
    /// Red, green and blue, as Pillow's `convert("RGB")` gives them. Every picture of four components is taken for
    /// an inverted one, as Adobe writes them.
    Rgb,
}

impl Output {
    /// Bytes a pixel.
    pub fn channels(self, colour: Colour) -> usize {
        match (self, colour) {
            (Self::Rgb, _) | (_, Colour::YCbCr | Colour::Rgb) => 3,
            (_, Colour::Grey) => 1,
            (_, Colour::Unknown) => 2,
            (_, Colour::Cmyk | Colour::Ycck) => 4,
        }
    }
}

/// Pixels converted at a time.
const PIECE: usize = 64;

/// `lines` are as long as the row has pixels.
#[inline(always)]
pub fn convert(output: Output, colour: Colour, lines: [&[u8]; 4], out: &mut [u8]) {
    match (output, colour) {
        (Output::Stored | Output::Native, Colour::Grey) => out.copy_from_slice(lines[0]),
        (Output::Rgb, Colour::Grey) => interleave([lines[0]; 3], out),
        (Output::Stored, Colour::YCbCr) | (_, Colour::Rgb) => interleave([lines[0], lines[1], lines[2]], out),
        (_, Colour::Unknown) => interleave([lines[0], lines[1]], out),
        (Output::Stored, _) | (Output::Native, Colour::Cmyk) => interleave(lines, out),
        (_, Colour::YCbCr) => pieces::<3>(lines, out, |levels| {
            let [y, cb, cr, _] = levels;
            to_rgb(y, cb, cr)
        }),
        (Output::Native, Colour::Ycck) => pieces::<4>(lines, out, |[y, cb, cr, k]| {
            let [r, g, b] = to_rgb(y, cb, cr).map(|level| level.map(|v| 255 - v));
            [r, g, b, k]
        }),
        (Output::Rgb, Colour::Ycck) => pieces::<3>(lines, out, |[y, cb, cr, k]| inks(to_rgb(y, cb, cr), k)),
        (Output::Rgb, Colour::Cmyk) => pieces::<3>(lines, out, |[c, m, y, k]| {
            inks([c, m, y].map(|ink| ink.map(|v| 255 - v)), k)
        }),
    }
}

#[inline(always)]
fn interleave<const N: usize>(lines: [&[u8]; N], out: &mut [u8]) {
    for (x, out) in out.as_chunks_mut::<N>().0.iter_mut().enumerate() {
        *out = lines.map(|line| line.get(x).copied().unwrap_or(0));
    }
}

type Piece = [u8; PIECE];

#[inline(always)]
fn pieces<const N: usize>(lines: [&[u8]; 4], out: &mut [u8], convert: impl Fn([Piece; 4]) -> [Piece; N]) {
    for (i, out) in out.chunks_mut(N * PIECE).enumerate() {
        let pixels = out.len() / N;
        let mut levels = [[0; PIECE]; 4];
        for (levels, line) in levels.iter_mut().zip(lines) {
            let line = line.get(i * PIECE..i * PIECE + pixels).unwrap_or_default();
            match <&Piece>::try_from(line) {
                Ok(whole) => *levels = *whole,
                Err(_) => levels.iter_mut().zip(line).for_each(|(l, v)| *l = *v),
            }
        }
        let levels = convert(levels);
        interleave(levels.each_ref().map(|l| &l[..pixels]), out);
    }
}

/// `ycc_rgb_convert`: 16 fractional bits, red and blue rounded by themselves.
///
/// In 16-bit arithmetic, which fills vector registers: whole multiples of the chroma are taken out of the factors of red
/// and blue, and the rest of 2^16 · factor fits 16 bits. `(⌊2xf / 2^16⌋ + 1) >> 1` is `(xf + 2^15) >> 16`.
#[inline(always)]
fn to_rgb(y: Piece, cb: Piece, cr: Piece) -> [Piece; 3] {
    let high = |x: i16, factor: i16| ((i32::from(x) * i32::from(factor)) >> 16) as i16;
    let rounded = |x: i16, factor: i16| (high(2 * x, factor) + 1) >> 1;
    let mut out = [[0; PIECE]; 3];
    let [red, green, blue] = &mut out;
    for i in 0..PIECE {
        let (y, cb, cr) = (i16::from(y[i]), i16::from(cb[i]) - 128, i16::from(cr[i]) - 128);
        let mixed = (-22554 * i32::from(cb) - 46802 * i32::from(cr) + (1 << 15)) >> 16;
        red[i] = (y + cr + rounded(cr, (91881 - 65536) as i16)).clamp(0, 255) as u8;
        green[i] = (y + mixed as i16).clamp(0, 255) as u8;
        blue[i] = (y + 2 * cb + rounded(cb, (116130 - 2 * 65536) as i16)).clamp(0, 255) as u8;
    }
    out
}

/// `cmyk2rgb` of Pillow: level = white - ink × white / 255, with white what black ink leaves. `black` is as stored, inverted.
#[inline(always)]
fn inks(inks: [Piece; 3], black: Piece) -> [Piece; 3] {
    let mut out = inks;
    for levels in &mut out {
        for (level, &white) in levels.iter_mut().zip(&black) {
            let white = u32::from(white);
            let product = u32::from(*level) * white + 128;
            *level = white.wrapping_sub(((product >> 8) + product) >> 8) as u8;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_those_of_the_tables() {
        let pairs: Vec<[u8; 2]> = (0..=0xffffu16).map(u16::to_be_bytes).collect();
        let (cb, cr): (Vec<u8>, Vec<u8>) = pairs.iter().map(|p| (p[0], p[1])).unzip();
        for y in [0, 1, 100, 128, 254, 255] {
            let luma = vec![y; cb.len()];
            let mut out = vec![0; 3 * luma.len()];
            convert(Output::Rgb, Colour::YCbCr, [&luma, &cb, &cr, &[]], &mut out);
            for (rgb, [cb, cr]) in out.as_chunks::<3>().0.iter().zip(&pairs) {
                let (y, cb, cr) = (i32::from(y), i32::from(*cb) - 128, i32::from(*cr) - 128);
                let r = y + ((91881 * cr + 32768) >> 16);
                let g = y + ((-22554 * cb - 46802 * cr + 32768) >> 16);
                let b = y + ((116130 * cb + 32768) >> 16);
                assert_eq!(*rgb, [r, g, b].map(|v| v.clamp(0, 255) as u8));
            }
        }
    }
}
