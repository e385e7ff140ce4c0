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
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;

use horizontal::horizontal;
#[cfg(target_arch = "x86_64")]
use kernels::fit_halves;
use kernels::{Kernels, MAX_WEIGHTS};

use super::Rgb8;
use super::orient::Upright;
use super::ycc::{Levels, ycc_pixels_to_rgb};
use crate::Result;
use crate::guarded::look;
use crate::memory::zeroed;
use crate::spec::ResizeFilter;

/// One axis of a resize: `input` samples become `output`, of which only `count` from `first` are computed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    /// Samples that there are.
    pub input: usize,
    /// Samples that they become, more than anybody may compute: a picture of 5000 × 1 pixels becomes 1.1 million
    /// wide.
    pub output: u64,
    /// The first one that is computed.
    pub first: u64,
    /// How many are computed.
    pub count: usize,
    /// Where the picture begins and ends among the samples. Those at its edge may be parts of a pixel.
    pub picture: (f32, f32),
}

impl Axis {
    /// Of a whole picture. Nothing of it is computed yet.
    pub fn new(input: usize, output: u64) -> Self {
        Self { input, output, first: 0, count: 0, picture: (0.0, input as f32) }
    }

    /// The same output, of `input` samples each of which stands for `divisor` of those that there were. One at the end may stand for
    /// less: the last one, or where the picture was `turned` round the first.
    pub fn reduced(self, input: usize, divisor: u32, turned: bool) -> Self {
        let (all, picture) = (input as f32, self.input as f32 / divisor as f32);
        Self { input, picture: if turned { (all - picture, all) } else { (0.0, picture) }, ..self }
    }
}

/// Which code makes the passes. All of them give the same levels, bit by bit.
#[derive(Clone, Copy, Debug)]
enum Code {
    #[cfg_attr(target_arch = "aarch64", allow(dead_code))]
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2(avx2::Avx2),
    #[cfg(target_arch = "aarch64")]
    Neon,
}

impl Code {
    /// By what the processor has.
    fn fastest() -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(simd) = avx2::Avx2::try_new() {
            return Self::Avx2(simd);
        }
        #[cfg(target_arch = "aarch64")]
        return Self::Neon;
        #[cfg(not(target_arch = "aarch64"))]
        Self::Portable
    }
}

/// What of a picture is turned upright, or converted, at once, in bytes.
const BAND: usize = 4 << 20;

/// Resizes a picture of `levels` and returns the window `x.count` × `y.count`, interleaved RGB.
///
/// The axes' inputs must be the picture's width and height, and neither may be zero.
pub(super) fn resize_window(
    picture: Upright,
    levels: Levels,
    x: Axis,
    y: Axis,
    filter: ResizeFilter,
) -> Result<Vec<u8>> {
    window(picture, levels, x, y, filter, Code::fastest())
}

/// The resize by one `code`: `[y.count, x.count, 3]` levels.
fn window(picture: Upright, levels: Levels, x: Axis, y: Axis, filter: ResizeFilter, code: Code) -> Result<Vec<u8>> {
    if vertical_first(x, y) {
        let pixels = vertical(picture, levels, y, filter, code)?;
        let short = Rgb8 { width: picture.width() as u32, height: y.count as u32, pixels };
        return horizontal(Upright::new(&short, 1), Levels::Rgb, 0..y.count, x, filter, code);
    }
    let rows = y.span(filter);
    let pixels = horizontal(picture, levels, rows.clone(), x, filter, code)?;
    let narrow = Rgb8 { width: x.count as u32, height: rows.len() as u32, pixels };
    rounds(y, filter, 3 * x.count, |kernels, out| {
        let needed = kernels.span();
        let input = &narrow.pixels[(needed.start - rows.start) * 3 * x.count..];
        columns(input, kernels, needed.start, 3 * x.count, code, out);
        Ok(())
    })
}

/// The vertical pass over a whole picture: `y.count` rows of RGB.
fn vertical(picture: Upright, levels: Levels, y: Axis, filter: ResizeFilter, code: Code) -> Result<Vec<u8>> {
    let (width, mut buffer) = (picture.width(), Vec::new());
    rounds(y, filter, 3 * width, |kernels, out| {
        let rows = kernels.span();
        if levels == Levels::Rgb
            && let Some(stored) = picture.stored_rows(rows.clone())
        {
            columns(stored, kernels, rows.start, 3 * width, code, out);
            return Ok(());
        }
        let some = (BAND / (3 * rows.len().max(1))).clamp(1, width);
        let mut short = zeroed(kernels.taps.len() * 3 * some)?;
        for from in (0..width).step_by(some) {
            look();
            let part = from..(from + some).min(width);
            picture.read(part.clone(), rows.clone(), &mut buffer)?;
            if levels == Levels::YCbCr {
                ycc_pixels_to_rgb(&mut buffer);
            }
            let stride = 3 * part.len();
            let short = &mut short[..kernels.taps.len() * stride];
            columns(&buffer, kernels, rows.start, stride, code, short);
            for (row, out) in short.chunks_exact(stride).zip(out.chunks_exact_mut(3 * width)) {
                out[3 * part.start..3 * part.end].copy_from_slice(row);
            }
        }
        Ok(())
    })
}

/// Bytes that a resize takes beside the picture, at most: rows between the passes, weights and the window.
pub(super) fn memory(x: Axis, y: Axis, filter: ResizeFilter) -> usize {
    // What the first pass gives; a weight takes twelve bytes, with its pair; a block of rows 48 a column.
    let between = if vertical_first(x, y) { x.input * y.count } else { x.count * y.span(filter).len() };
    let weights = |axis: Axis| {
        let each = axis.span(filter).len().min(axis.input) / axis.count.max(1) * 8 + 8;
        each.saturating_mul(axis.count).min(MAX_WEIGHTS.max(each))
    };
    3 * between + 12 * weights(x).max(weights(y)) + 48 * x.input.min(1 << 16) + 2 * BAND.min(3 * x.input * y.input)
}

/// The rows of a vertical pass, `stride` bytes each, as `make` writes them for as many as have their weights made at once.
fn rounds(
    y: Axis,
    filter: ResizeFilter,
    stride: usize,
    mut make: impl FnMut(&Kernels, &mut [u8]) -> Result<()>,
) -> Result<Vec<u8>> {
    let (mut all, mut from) = (zeroed(y.count * stride)?, 0);
    while from < y.count {
        let kernels = Kernels::new(y, filter, from, MAX_WEIGHTS);
        make(&kernels, &mut all[from * stride..][..kernels.taps.len() * stride])?;
        from += kernels.taps.len();
    }
    Ok(all)
}

/// Which pass comes first shows in the levels, since each one rounds and clips. Pillow 13 begins with the rows when they
/// are to lose more than twice what the columns lose: tall pictures only; versions before it never do.
fn vertical_first(x: Axis, y: Axis) -> bool {
    let lost = |axis: Axis| i128::from(axis.input as u64) - i128::from(axis.output);
    lost(y) > 0 && lost(y) > 2 * lost(x)
}

/// The vertical pass: whole rows, weighted and summed.
fn columns(narrow: &[u8], kernels: &Kernels, first_row: usize, stride: usize, code: Code, out: &mut [u8]) {
    match code {
        #[cfg(target_arch = "x86_64")]
        Code::Avx2(simd) if stride >= avx2::COLUMNS && fit_halves(kernels) => {
            simd.columns(narrow, kernels, first_row, stride, out);
        }
        _ => portable::columns(narrow, kernels, first_row, stride, out),
    }
}

#[cfg(test)]
mod tests {
    use super::horizontal::Pass;
    use super::kernels::fit_halves;
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
            let axis = |input, output, first, count| Axis { first, count, ..Axis::new(input, output) };
            let image = Upright::new(&image, 1);
            let whole = resize_window(image, Levels::Rgb, axis(67, 29, 0, 29), axis(41, 90, 0, 90), filter).unwrap();
            let part = resize_window(image, Levels::Rgb, axis(67, 29, 11, 7), axis(41, 90, 40, 13), filter).unwrap();
            for (y, row) in part.chunks_exact(7 * 3).enumerate() {
                let at = ((y + 40) * 29 + 11) * 3;
                assert_eq!(row, &whole[at..at + 21], "{filter:?} row {y}");
            }
        }
    }

    #[test]
    fn tall_pictures_begin_with_the_rows() {
        let axis = |input, output| Axis { count: 1, ..Axis::new(input, output) };
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
                        |input: u32, output| Axis { count: output as usize, ..Axis::new(input as usize, output) };
                    let of = |image: &_, levels, code| {
                        let image = Upright::new(image, 1);
                        window(image, levels, axis(width, x), axis(height, y), filter, code).unwrap()
                    };
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

    /// Turned while it is resized, and before that.
    #[test]
    fn turned_pictures_are_resized_alike() {
        for (width, height) in [(301, 19), (19, 301), (70, 64), (1, 90), (90, 1), (1500, 1100)] {
            let image = noise(width, height);
            for orientation in 1..=8 {
                let turned = Upright::new(&image, orientation);
                let upright = crate::image::orient::apply(image.clone(), orientation).unwrap();
                let axis = |input, output, count: usize| Axis {
                    first: (output - count as u64) / 2,
                    count,
                    ..Axis::new(input, output)
                };
                for (x, y) in [((40, 40), (90, 50)), ((40, 30), (7, 5)), ((400, 30), (9, 9))] {
                    let (x, y) = (axis(turned.width(), x.0, x.1), axis(turned.height(), y.0, y.1));
                    for levels in [Levels::Rgb, Levels::YCbCr] {
                        let filter = ResizeFilter::Bicubic;
                        let given = resize_window(turned, levels, x, y, filter).unwrap();
                        let expected = resize_window(Upright::new(&upright, 1), levels, x, y, filter).unwrap();
                        assert!(given == expected, "{width} x {height}, {orientation}, {x:?} {y:?} {levels:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn spans_are_those_of_the_weights() {
        for (input, output, first, count) in [(41, 90, 40, 13), (301, 40, 3, 30), (1, 5, 0, 5), (5000, 1, 0, 1)] {
            let axis = Axis { first, count, ..Axis::new(input, output) };
            for filter in [ResizeFilter::Bilinear, ResizeFilter::Bicubic, ResizeFilter::Lanczos] {
                assert_eq!(axis.span(filter), Kernels::new(axis, filter, 0, usize::MAX).span());
            }
        }
    }

    #[test]
    fn the_horizontal_passes_agree() {
        let image = noise(301, 19);
        let x = Axis { first: 3, count: 30, ..Axis::new(301, 40) };
        let kernels = Kernels::new(x, ResizeFilter::Bicubic, 5, 200);
        assert!(kernels.taps.len() < 25, "the weights' limit cuts the window short");
        for levels in [Levels::Rgb, Levels::YCbCr] {
            let pixels = &image.pixels;
            let pass = Pass { pixels, stride: 3 * 301, column: 0, levels, kernels: &kernels, from: 5, width: 30 };
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
