//! YCbCr to RGB, in three ways: libjpeg's, libtiff's and Pillow's.

use crate::directory::{Directory, tag};
use crate::error::{Error, Result};

/// What luma and chroma add to red, green and blue, in `2^-shift`; and which sums are shifted.
#[derive(Clone)]
pub struct Tables {
    luma: [i32; 256],
    red: [i32; 256],
    blue: [i32; 256],
    /// Of blue and of red chroma.
    green: [[i32; 256]; 2],
    green_shift: u32,
}

impl Tables {
    /// A pixel's levels of red, green and blue.
    pub fn rgb(&self, [y, cb, cr]: [u8; 3]) -> [u8; 3] {
        let [y, cb, cr] = [y, cb, cr].map(usize::from);
        let luma = self.luma[y];
        let green = (self.green[0][cb] + self.green[1][cr]) >> self.green_shift;
        [self.red[cr], green, self.blue[cb]].map(|chroma| (luma + chroma).clamp(0, 255) as u8)
    }

    fn new(
        luma: impl Fn(i32) -> i32,
        [red, green_blue, green_red, blue]: [&dyn Fn(i32) -> i32; 4],
        shift: u32,
    ) -> Self {
        let table = |of: &dyn Fn(i32) -> i32| std::array::from_fn(|i| of(i as i32));
        Self {
            luma: table(&luma),
            red: table(red),
            blue: table(blue),
            green: [table(green_blue), table(green_red)],
            green_shift: shift,
        }
    }

    /// `ycc_rgb_convert` of `jdcolor.c`: what libjpeg does on the way.
    pub fn jpeg() -> Self {
        let shifted = |x: i32, factor: i32| (factor * (x - 128) + (1 << 15)) >> 16;
        Self::new(
            |y| y,
            [&|cr| shifted(cr, 91881), &|cb| -22554 * (cb - 128) + (1 << 15), &|cr| -46802 * (cr - 128), &|cb| {
                shifted(cb, 116130)
            }],
            16,
        )
    }

    /// `ImagingConvertYCbCr2RGB` of Pillow's `ConvertYCbCr.c`: of a picture that is not compressed.
    pub fn pillow() -> Self {
        // Six fractional bits; halves are added before the rest is cut off, whatever the sign is.
        let fixed = |x: i32, factor: f64| (factor * 64.0 * f64::from(x - 128) + 0.5) as i32;
        Self::new(
            |y| y,
            [&|cr| fixed(cr, 1.402) >> 6, &|cb| fixed(cb, -0.34414), &|cr| fixed(cr, -0.71414), &|cb| {
                fixed(cb, 1.772) >> 6
            }],
            6,
        )
    }

    /// `TIFFYCbCrToRGBInit` of libtiff's `tif_color.c`: by the file's own coefficients and ranges.
    pub fn libtiff(directory: &Directory<'_>) -> Result<Self> {
        let numbers = |tag, default: &[f32]| -> Vec<f32> {
            let entry = directory.find(tag).filter(|entry| entry.count >= default.len());
            let number = |(i, &default)| entry.and_then(|entry| directory.number(entry, i)).unwrap_or(default);
            default.iter().enumerate().map(number).collect()
        };
        let luma = numbers(tag::LUMA, &[0.299, 0.587, 0.114]);
        let range = numbers(tag::BLACK_WHITE, &[0.0, 255.0, 128.0, 255.0, 128.0, 255.0]);
        let (&[red, green, blue], &[black, white, cb_black, cb_white, cr_black, cr_white]) = (&luma[..], &range[..])
        else {
            return Err(Error::Damaged("YCbCr coefficients"));
        };
        let sane = |x: &f32| *x > (-0x7fff_ffff + 128) as f32 && *x < 0x7fff_ffff as f32;
        if luma.iter().any(|x| x.is_nan()) || green == 0.0 || !range.iter().all(sane) {
            return Err(Error::Damaged("YCbCr coefficients or ranges are out of bounds"));
        }
        let fix = |x: f32| {
            let x = if x >= 0.0 { x.min(2.0) } else { 0.0 };
            (f64::from(x) * 65536.0 + 0.5) as i32
        };
        let (to_red, to_blue) = (2.0 - 2.0 * red, 2.0 - 2.0 * blue);
        let (d1, d2) = (fix(to_red), -fix(red * to_red / green));
        let (d3, d4) = (fix(to_blue), -fix(blue * to_blue / green));
        let value = |code: i32, black: f32, white: f32, most: f32| {
            let black_code = black as i32;
            let span = if white == black { 1.0 } else { white - black };
            (((code.wrapping_sub(black_code)) as f32 * most) / span).clamp(-4096.0, 4096.0) as i32
        };
        let cr_of = |i: i32| value(i - 128, cr_black - 128.0, cr_white - 128.0, 127.0);
        let cb_of = |i: i32| value(i - 128, cb_black - 128.0, cb_white - 128.0, 127.0);
        Ok(Self::new(
            |i| value(i, black, white, 255.0),
            [&|i| (d1 * cr_of(i) + (1 << 15)) >> 16, &|i| d4 * cb_of(i) + (1 << 15), &|i| d2 * cr_of(i), &|i| {
                (d3 * cb_of(i) + (1 << 15)) >> 16
            }],
            16,
        ))
    }
}

/// A row of pixels, three bytes each, out of blocks of luma with one sample each of chroma behind it. `row` is counted in
/// `blocks`, whose rows are `stride` bytes each.
pub fn unpack(blocks: &[u8], stride: usize, row: usize, (across, down): (usize, usize), out: &mut [[u8; 3]]) {
    let size = across * down + 2;
    let line = blocks.get(row / down * stride..).unwrap_or_default();
    let first = row % down * across;
    for (block, out) in line.chunks_exact(size).zip(out.chunks_mut(across)) {
        for (luma, out) in block[first..].iter().zip(out) {
            *out = [*luma, block[size - 2], block[size - 1]];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sums of entry × (index + 1) of the tables in Pillow's source.
    #[test]
    fn tables_are_those_of_pillow() {
        let tables = Tables::pillow();
        let sum = |table: &[i32; 256]| table.iter().zip(1..).map(|(&x, i)| i64::from(x) * i).sum::<i64>();
        assert_eq!(tables.green.each_ref().map(sum), [-30_405_978, -63_122_907]);
        assert_eq!([tables.red[0], tables.red[127], tables.red[129]], [-11484 >> 6, -89 >> 6, 90 >> 6]);
        assert_eq!([tables.blue[0], tables.blue[127], tables.blue[255]], [-14515 >> 6, -112 >> 6, 14403 >> 6]);
    }

    #[test]
    fn blocks_become_rows() {
        // Two rows of blocks of 2 × 2, three pixels wide.
        let blocks: Vec<u8> = (0..24).collect();
        let mut out = [[0; 3]; 3];
        unpack(&blocks, 12, 0, (2, 2), &mut out);
        assert_eq!(out, [[0, 4, 5], [1, 4, 5], [6, 10, 11]]);
        unpack(&blocks, 12, 3, (2, 2), &mut out);
        assert_eq!(out, [[14, 16, 17], [15, 16, 17], [20, 22, 23]]);
    }
}
