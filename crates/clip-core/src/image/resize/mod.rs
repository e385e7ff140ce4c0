//! Antialiased resampling with Pillow's arithmetic, so that every 8-bit level comes out the same.
//!
//! Follows Pillow's `src/libImaging/Resample.c`: weights in f64, normalised, rounded to fixed point with 22 fractional
//! bits; a horizontal pass, rounded to 8 bits, then a vertical one (of tall pictures the other way about). Unlike Pillow
//! this computes only a window of the result, and reads only the rows and columns that the window needs: the numbers are
//! the same, and a 5000 × 1 picture costs no 1.1 million columns.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod block;
mod horizontal;
mod kernels;
mod portable;

use horizontal::horizontal;
use kernels::{Kernels, fit_halves};

use super::Rgb8;
use super::ycc::{Levels, ycc_pixels_to_rgb};
use crate::spec::ResizeFilter;

/// One axis of a resize: `input` samples become `output`, of which only `count` from `first` are computed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    pub input: usize,
    pub output: u64,
    pub first: u64,
    pub count: usize,
}

/// Which code makes the passes. All give the same levels.
#[derive(Clone, Copy, Debug)]
enum Code {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2(avx2::Avx2),
}

impl Code {
    fn fastest() -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(simd) = avx2::Avx2::try_new() {
            return Self::Avx2(simd);
        }
        Self::Portable
    }
}

/// Resizes a picture of `levels` and returns the window `x.count` × `y.count`, interleaved RGB.
///
/// The axes' inputs must be the picture's width and height, and neither may be zero.
pub(super) fn resize_window(image: &Rgb8, levels: Levels, x: Axis, y: Axis, filter: ResizeFilter) -> Vec<u8> {
    window(image, levels, x, y, filter, Code::fastest())
}

fn window(image: &Rgb8, levels: Levels, x: Axis, y: Axis, filter: ResizeFilter, code: Code) -> Vec<u8> {
    let vertical = Kernels::new(y, filter, 0, usize::MAX);
    let rows = vertical.span();
    let stride = 3 * image.width as usize;
    if !vertical_first(x, y) {
        let narrow = horizontal(image, levels, rows.clone(), x, filter, code);
        return columns(&narrow, &vertical, rows.start, x.count * 3, code);
    }
    let needed = &image.pixels[rows.start * stride..rows.end * stride];
    let pixels = match levels {
        Levels::Rgb => columns(needed, &vertical, rows.start, stride, code),
        Levels::YCbCr => {
            let mut rgb = needed.to_vec();
            ycc_pixels_to_rgb(&mut rgb);
            columns(&rgb, &vertical, rows.start, stride, code)
        }
    };
    let short = Rgb8 { width: image.width, height: y.count as u32, pixels };
    horizontal(&short, Levels::Rgb, 0..y.count, x, filter, code)
}

/// Which pass comes first shows in the levels, since each one rounds and clips. Pillow 13 begins with the rows when they
/// are to lose more than twice what the columns lose: tall pictures only; versions before it never do.
fn vertical_first(x: Axis, y: Axis) -> bool {
    let lost = |axis: Axis| i128::from(axis.input as u64) - i128::from(axis.output);
    lost(y) > 0 && lost(y) > 2 * lost(x)
}

/// The vertical pass: whole rows, weighted and summed.
fn columns(narrow: &[u8], kernels: &Kernels, first_row: usize, stride: usize, code: Code) -> Vec<u8> {
    match code {
        #[cfg(target_arch = "x86_64")]
        Code::Avx2(simd) if stride >= avx2::COLUMNS && fit_halves(kernels) => {
            simd.columns(narrow, kernels, first_row, stride)
        }
        _ => portable::columns(narrow, kernels, first_row, stride),
    }
}

#[cfg(test)]
mod tests {
    use super::horizontal::Pass;
    use super::kernels::{Paired, whole};
    use super::*;

    fn noise(width: u32, height: u32) -> Rgb8 {
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1664525).wrapping_add(1013904223);
            (state >> 24) as u8
        };
        Rgb8 { width, height, pixels: (0..3 * width * height).map(|_| next()).collect() }
    }

    /// A window holds the same numbers as the same part of the whole.
    #[test]
    fn window_is_part_of_the_whole() {
        for filter in [ResizeFilter::Bilinear, ResizeFilter::Bicubic, ResizeFilter::Lanczos] {
            let image = noise(67, 41);
            let axis = |input, output, first, count| Axis { input, output, first, count };
            let whole = resize_window(&image, Levels::Rgb, axis(67, 29, 0, 29), axis(41, 90, 0, 90), filter);
            let part = resize_window(&image, Levels::Rgb, axis(67, 29, 11, 7), axis(41, 90, 40, 13), filter);
            for (y, row) in part.chunks_exact(7 * 3).enumerate() {
                let at = ((y + 40) * 29 + 11) * 3;
                assert_eq!(row, &whole[at..at + 21], "{filter:?} row {y}");
            }
        }
    }

    #[test]
    fn tall_pictures_begin_with_the_rows() {
        let axis = |input, output| Axis { input, output, first: 0, count: 1 };
        // found by trying Pillow 13.0 with either order
        for (x, y, first) in [
            (axis(100, 90), axis(100, 79), true),
            (axis(100, 90), axis(100, 80), false),
            (axis(50, 5), axis(400, 309), true),
            (axis(50, 5), axis(400, 310), false),
            (axis(50, 60), axis(200, 199), true),
            (axis(50, 60), axis(200, 201), false),
            (axis(4000, 298), axis(3000, 224), false),
            (axis(3000, 224), axis(4000, 298), false),
        ] {
            assert_eq!(vertical_first(x, y), first, "{x:?} {y:?}");
        }
    }

    /// All code there is gives the same levels, whatever the sizes leave over at the ends, as does converting first.
    #[test]
    fn all_code_agrees() {
        let sizes = [(1, 1), (2, 3), (3, 70), (16, 16), (33, 31), (301, 19), (100, 640), (257, 130)];
        for (width, height) in sizes {
            let image = noise(width, height);
            let mut rgb = image.clone();
            ycc_pixels_to_rgb(&mut rgb.pixels);
            for (x, y) in [(1, 1), (7, 5), (40, 90), (120, 33)] {
                for filter in [ResizeFilter::Bilinear, ResizeFilter::Bicubic, ResizeFilter::Lanczos] {
                    let axis =
                        |input: u32, output| Axis { input: input as usize, output, first: 0, count: output as usize };
                    let of = |image, levels, code| window(image, levels, axis(width, x), axis(height, y), filter, code);
                    let (plain, converted) =
                        (of(&image, Levels::Rgb, Code::Portable), of(&rgb, Levels::Rgb, Code::Portable));
                    let what = format!("{width} x {height} to {x} x {y}, {filter:?}");
                    assert!(of(&image, Levels::Rgb, Code::fastest()) == plain, "{what}");
                    for code in [Code::Portable, Code::fastest()] {
                        assert!(of(&image, Levels::YCbCr, code) == converted, "{what}, {code:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_horizontal_passes_agree() {
        let image = noise(301, 19);
        let x = Axis { input: 301, output: 40, first: 3, count: 30 };
        let kernels = Kernels::new(x, ResizeFilter::Bicubic, 5, 200);
        assert!(kernels.taps.len() < 25, "the weights' limit cuts the window short");
        for levels in [Levels::Rgb, Levels::YCbCr] {
            let pass = Pass { image: &image, levels, kernels: &kernels, rows: 0..19, from: 5, width: 30 };
            let mut by_pixels = vec![0; 19 * 30 * 3];
            pass.pixels(&mut by_pixels);
            for code in [Code::Portable, Code::fastest()] {
                let mut by_blocks = vec![0; 19 * 30 * 3];
                pass.blocks(&mut by_blocks, code);
                assert_eq!(by_blocks, by_pixels, "{levels:?}, {code:?}");
            }
        }
    }

    /// Weights of any size that fits, not only those that a filter gives.
    #[test]
    fn halves_make_the_whole() {
        for w in [0, 1, -1, 2047, 2048, -2048, -2049, 1 << 22, -(1 << 21), (1 << 26) - 1, -(1 << 26)] {
            let kernels = Kernels { taps: vec![(0, 0..1)], weights: vec![w] };
            assert!(fit_halves(&kernels));
            let [high, low] = Paired::new(&kernels).pairs[0];
            assert_eq!(whole(high[0].into(), low[0].into()), w);
        }
        assert!(!fit_halves(&Kernels { taps: vec![(0, 0..1)], weights: vec![1 << 26] }));
    }
}
