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
pub fn convert(mix: impl Interleave, output: Output, colour: Colour, lines: [&[u8]; 4], out: &mut [u8]) {
    let [a, b, c, _] = lines;
    match (output, colour) {
        (Output::Stored | Output::Native, Colour::Grey) => out.copy_from_slice(a),
        (Output::Rgb, Colour::Grey) => mix.three([a; 3], out),
        (Output::Stored, Colour::YCbCr) | (_, Colour::Rgb) => mix.three([a, b, c], out),
        (_, Colour::Unknown) => interleave([a, b], out),
        (Output::Stored, _) | (Output::Native, Colour::Cmyk) => interleave(lines, out),
        (_, Colour::YCbCr) => pieces(mix, 3, lines, out, to_rgb),
        (Output::Native, Colour::Ycck) => pieces(mix, 4, lines, out, |levels| {
            to_rgb(levels);
            levels[..3].iter_mut().for_each(invert);
        }),
        (Output::Rgb, Colour::Ycck) => pieces(mix, 3, lines, out, |levels| {
            to_rgb(levels);
            inks(levels);
        }),
        (Output::Rgb, Colour::Cmyk) => pieces(mix, 3, lines, out, |levels| {
            levels[..3].iter_mut().for_each(invert);
            inks(levels);
        }),
    }
}

/// How three lines become pixels.
pub trait Interleave: Copy {
    fn three(self, lines: [&[u8]; 3], out: &mut [u8]);
}

#[derive(Clone, Copy)]
pub struct Portable;

impl Interleave for Portable {
    #[inline(always)]
    fn three(self, lines: [&[u8]; 3], out: &mut [u8]) {
        interleave(lines, out);
    }
}

#[inline(always)]
fn interleave<const N: usize>(lines: [&[u8]; N], out: &mut [u8]) {
    let pixels = out.as_chunks_mut::<N>().0;
    for (i, line) in lines.iter().enumerate() {
        let line = &line[..pixels.len()];
        for x in 0..line.len() {
            pixels[x][i] = line[x];
        }
    }
}

type Piece = [u8; PIECE];

/// Converts levels in place; the first three lines of each piece go out, or all four.
#[inline(always)]
fn pieces(mix: impl Interleave, n: usize, lines: [&[u8]; 4], out: &mut [u8], convert: impl Fn(&mut [Piece; 4])) {
    let mut at = 0;
    for out in out.chunks_mut(n * PIECE) {
        let mut levels = [[0; PIECE]; 4];
        for i in 0..4 {
            let line = lines[i].get(at..).unwrap_or_default();
            match line.first_chunk() {
                Some(whole) => levels[i] = *whole,
                None => levels[i][..line.len()].copy_from_slice(line),
            }
        }
        convert(&mut levels);
        let [a, b, c, d] = &levels;
        let pixels = out.len() / n;
        let lines = [&a[..pixels], &b[..pixels], &c[..pixels], &d[..pixels]];
        if n == 3 {
            mix.three([lines[0], lines[1], lines[2]], out);
        } else {
            interleave(lines, out);
        }
        at += PIECE;
    }
}

/// `ycc_rgb_convert`: 16 fractional bits, red and blue rounded by themselves.
///
/// In 16-bit arithmetic, which fills vector registers: whole multiples of the chroma are taken out of the factors of red
/// and blue, and the rest of 2^16 · factor fits 16 bits. `(⌊2xf / 2^16⌋ + 1) >> 1` is `(xf + 2^15) >> 16`.
#[inline(always)]
fn to_rgb([a, b, c, _]: &mut [Piece; 4]) {
    for i in 0..PIECE {
        let (y, cb, cr) = (i16::from(a[i]), i16::from(b[i]) - 128, i16::from(c[i]) - 128);
        let green = (-22554 * i32::from(cb) - 46802 * i32::from(cr) + (1 << 15)) >> 16;
        a[i] = (y + cr + rounded(cr, (91881 - 65536) as i16)).clamp(0, 255) as u8;
        b[i] = (y + green as i16).clamp(0, 255) as u8;
        c[i] = (y + 2 * cb + rounded(cb, (116130 - 2 * 65536) as i16)).clamp(0, 255) as u8;
    }
}

#[inline(always)]
fn rounded(x: i16, factor: i16) -> i16 {
    (((i32::from(2 * x) * i32::from(factor)) >> 16) as i16 + 1) >> 1
}

#[inline(always)]
fn invert(levels: &mut Piece) {
    levels.iter_mut().for_each(|level| *level = 255 - *level);
}

/// `cmyk2rgb` of Pillow: level = white - ink × white / 255, with white what black ink leaves: black as stored, inverted.
#[inline(always)]
fn inks([c, m, y, black]: &mut [Piece; 4]) {
    for levels in [c, m, y] {
        for i in 0..PIECE {
            let white = u32::from(black[i]);
            let product = u32::from(levels[i]) * white + 128;
            levels[i] = white.wrapping_sub(((product >> 8) + product) >> 8) as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn vectors_mix_as_the_portable_code_does() {
        let Some(simd) = pulp::x86::V3::try_new() else { return };
        let line = |step: usize| (0..200).map(|i| (i * step) as u8).collect::<Vec<u8>>();
        let (a, b, c) = (line(3), line(7), line(11));
        for len in 0..200 {
            let lines = [&a[..len], &b[..len], &c[..len]];
            let (mut expected, mut given) = (vec![0; 3 * len], vec![0; 3 * len]);
            Portable.three(lines, &mut expected);
            crate::color_avx2::Avx2(simd).three(lines, &mut given);
            assert_eq!(given, expected);
        }
    }

    #[test]
    fn colours_are_those_of_the_tables() {
        let pairs: Vec<[u8; 2]> = (0..=0xffffu16).map(u16::to_be_bytes).collect();
        let (cb, cr): (Vec<u8>, Vec<u8>) = pairs.iter().map(|p| (p[0], p[1])).unzip();
        for y in [0, 1, 100, 128, 254, 255] {
            let luma = vec![y; cb.len()];
            let mut out = vec![0; 3 * luma.len()];
            convert(Portable, Output::Rgb, Colour::YCbCr, [&luma, &cb, &cr, &[]], &mut out);
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
