//! YCbCr to RGB with libjpeg's numbers.

/// What the three bytes of a pixel are. A JPEG's stay YCbCr until a pass reads them: converting a row that is in the
/// cache costs little, and columns that the crop drops are never converted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Levels {
    /// Red, green and blue.
    Rgb,
    /// Luma and two chromas, as JFIF has them.
    YCbCr,
}

impl Levels {
    /// A pixel in RGB, whatever it was.
    #[inline(always)]
    pub fn rgb(self, pixel: [u8; 3]) -> [u8; 3] {
        match self {
            Self::Rgb => pixel,
            Self::YCbCr => ycc_to_rgb(pixel),
        }
    }
}

/// `ycc_rgb_convert` of libjpeg's `jdcolor.c`: 16 fractional bits, red and blue rounded by themselves.
#[inline(always)]
pub(super) fn ycc_to_rgb([y, cb, cr]: [u8; 3]) -> [u8; 3] {
    const HALF: i32 = 1 << 15;
    let (y, cb, cr) = (i32::from(y), i32::from(cb) - 128, i32::from(cr) - 128);
    let r = y + ((91881 * cr + HALF) >> 16);
    let g = y + ((-22554 * cb - 46802 * cr + HALF) >> 16);
    let b = y + ((116130 * cb + HALF) >> 16);
    [r, g, b].map(|v| v.clamp(0, 255) as u8)
}

/// YCbCr to RGB in planes, in place: `a`, `b` and `c` are Y, Cb and Cr on entry, red, green and blue on return. The
/// levels are those of `ycc_to_rgb`.
///
/// In 16-bit arithmetic, which fills vector registers. Whole multiples of the chroma are taken out of the factors of
/// red and blue, and the rest of 2^16 · factor fits 16 bits. `(⌊2xf / 2^16⌋ + 1) >> 1` is `(xf + 2^15) >> 16`.
#[inline(always)]
pub(super) fn ycc_planes_to_rgb(a: &mut [i16], b: &mut [i16], c: &mut [i16]) {
    let high = |x: i16, factor: i16| ((i32::from(x) * i32::from(factor)) >> 16) as i16;
    let rounded = |x: i16, factor: i16| (high(2 * x, factor) + 1) >> 1;
    for ((a, b), c) in a.iter_mut().zip(b.iter_mut()).zip(c.iter_mut()) {
        let (y, cb, cr) = (*a, *b - 128, *c - 128);
        let green = (-22554 * i32::from(cb) - 46802 * i32::from(cr) + (1 << 15)) >> 16;
        *a = (y + cr + rounded(cr, (91881 - 65536) as i16)).clamp(0, 255);
        *b = (y + green as i16).clamp(0, 255);
        *c = (y + 2 * cb + rounded(cb, (116130 - 2 * 65536) as i16)).clamp(0, 255);
    }
}

/// YCbCr to RGB in whole pixels, three bytes each, in place. The levels are those of `ycc_to_rgb`.
#[pulp::with_simd(ycc_pixels_to_rgb = pulp::Arch::new())]
#[inline(always)]
pub(super) fn ycc_pixels_to_rgb_with<S: pulp::Simd>(_: S, pixels: &mut [u8]) {
    const PIXELS: usize = 32;
    for pixels in pixels.as_chunks_mut::<3>().0.chunks_mut(PIXELS) {
        let mut planes = [[0i16; PIXELS]; 3];
        for (i, pixel) in pixels.iter().enumerate() {
            (planes[0][i], planes[1][i], planes[2][i]) = (pixel[0].into(), pixel[1].into(), pixel[2].into());
        }
        let [a, b, c] = &mut planes;
        ycc_planes_to_rgb(a, b, c);
        for (i, pixel) in pixels.iter_mut().enumerate() {
            *pixel = [a[i] as u8, b[i] as u8, c[i] as u8];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every pair of chroma levels at the ends and in the middle of luma.
    #[test]
    fn planes_and_pixels_convert_alike() {
        for y in [0, 1, 100, 128, 254, 255] {
            let mut pixels: Vec<u8> = (0..=0xffff).flat_map(|c: u32| [y, c as u8, (c >> 8) as u8]).collect();
            let expected: Vec<[u8; 3]> = pixels.as_chunks().0.iter().map(|p| ycc_to_rgb(*p)).collect();
            ycc_pixels_to_rgb(&mut pixels);
            assert!(pixels.as_chunks().0 == expected, "luma {y}");
        }
    }
}
