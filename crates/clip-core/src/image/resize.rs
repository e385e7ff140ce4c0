//! Antialiased resampling with Pillow's arithmetic, so that every 8-bit level comes out the same.
//!
//! Follows Pillow's `src/libImaging/Resample.c`: weights in f64, normalised, rounded to fixed point with 22 fractional
//! bits; a horizontal pass, rounded to 8 bits, then a vertical one (of tall pictures the other way about). Unlike Pillow
//! this computes only a window of the result, and reads only the rows and columns that the window needs: the numbers are
//! the same, and a 5000 × 1 picture costs no 1.1 million columns.

use super::Rgb8;
use crate::spec::ResizeFilter;

/// Fractional bits of a weight: `PRECISION_BITS`, 32 less 8 for the level less 2 for the sum's overshoot.
const PRECISION_BITS: u32 = 32 - 8 - 2;

/// Rows that the horizontal pass takes at once; their samples side by side fill vector registers.
const ROWS: usize = 8;
const LANES: usize = 3 * ROWS;

/// Weights are made for as many columns as fit in this many, at least for one. Only extreme pictures need several rounds.
const MAX_WEIGHTS: usize = 1 << 20;

/// Beyond this many taps a block of transposed rows would no longer fit the cache (and, at the extreme, the memory).
const MAX_BLOCK_TAPS: usize = 1 << 14;

/// One axis of a resize: `input` samples become `output`, of which only `count` from `first` are computed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    pub input: usize,
    pub output: u64,
    pub first: u64,
    pub count: usize,
}

/// The taps of every output sample of a window.
struct Kernels {
    /// Per output sample: the first input sample, and where its weights begin and end.
    taps: Vec<(usize, std::ops::Range<usize>)>,
    weights: Vec<i32>,
}

impl Kernels {
    /// `precompute_coeffs` and `normalize_coeffs_8bpc` of Resample.c, for the output samples from `from` on, until
    /// the axis ends or the weights fill up.
    fn new(axis: Axis, filter: ResizeFilter, from: usize, max_weights: usize) -> Self {
        // Pillow passes the box to resize from as f32.
        let scale = f64::from(axis.input as f32) / axis.output as f64;
        let filter_scale = scale.max(1.0);
        let support = filter_support(filter) * filter_scale;
        let inverse = 1.0 / filter_scale;
        let mut kernels = Self { taps: Vec::new(), weights: Vec::new() };
        for i in from..axis.count {
            let center = ((axis.first + i as u64) as f64 + 0.5) * scale;
            // Casts truncate towards zero and saturate at zero, as Pillow's do with its check.
            let start = ((center - support + 0.5) as usize).min(axis.input);
            let end = ((center + support + 0.5) as usize).clamp(start, axis.input);
            let begin = kernels.weights.len();
            if begin > 0 && begin + (end - start) > max_weights {
                break;
            }
            let weight = |x: usize| filter_at(filter, (x as f64 - center + 0.5) * inverse);
            let sum: f64 = (start..end).map(weight).sum();
            kernels.weights.extend((start..end).map(|x| {
                let w = if sum == 0.0 { weight(x) } else { weight(x) / sum };
                let fixed = w * f64::from(1u32 << PRECISION_BITS);
                (if w < 0.0 { fixed - 0.5 } else { fixed + 0.5 }) as i32
            }));
            kernels.taps.push((start, begin..kernels.weights.len()));
        }
        kernels
    }

    /// The input samples that any output sample needs.
    fn span(&self) -> std::ops::Range<usize> {
        let start = self.taps.iter().map(|(start, _)| *start).min().unwrap_or(0);
        let end = self.taps.iter().map(|(start, w)| start + w.len()).max().unwrap_or(0);
        start..end
    }
}

fn filter_support(filter: ResizeFilter) -> f64 {
    match filter {
        ResizeFilter::Bilinear => 1.0,
        ResizeFilter::Bicubic => 2.0,
        ResizeFilter::Lanczos => 3.0,
    }
}

fn filter_at(filter: ResizeFilter, x: f64) -> f64 {
    match filter {
        ResizeFilter::Bilinear => (1.0 - x.abs()).max(0.0),
        ResizeFilter::Bicubic => {
            const A: f64 = -0.5;
            let x = x.abs();
            if x < 1.0 {
                ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
            } else if x < 2.0 {
                (((x - 5.0) * x + 8.0) * x - 4.0) * A
            } else {
                0.0
            }
        }
        ResizeFilter::Lanczos if (-3.0..3.0).contains(&x) => sinc(x) * sinc(x / 3.0),
        ResizeFilter::Lanczos => 0.0,
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 {
        return 1.0;
    }
    let x = x * std::f64::consts::PI;
    x.sin() / x
}

/// `clip8` of Resample.c.
fn to_level(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}

/// Half a level: sums start here, so that dropping the fraction rounds.
const HALF: i32 = 1 << (PRECISION_BITS - 1);

/// Resizes `image` and returns the window `x.count` × `y.count`, interleaved RGB.
///
/// The axes' inputs must be the picture's width and height, and neither may be zero.
pub(super) fn resize_window(image: &Rgb8, x: Axis, y: Axis, filter: ResizeFilter) -> Vec<u8> {
    let vertical = Kernels::new(y, filter, 0, usize::MAX);
    let rows = vertical.span();
    if vertical_first(x, y) {
        let stride = 3 * image.width as usize;
        let pixels = columns(&image.pixels[rows.start * stride..], &vertical, rows.start, stride);
        let short = Rgb8 { width: image.width, height: y.count as u32, pixels };
        horizontal(&short, 0..y.count, x, filter)
    } else {
        let narrow = horizontal(image, rows.clone(), x, filter);
        columns(&narrow, &vertical, rows.start, x.count * 3)
    }
}

/// Which pass comes first shows in the levels, since each one rounds and clips. Pillow 13 begins with the rows when they
/// are to lose more than twice what the columns lose: tall pictures only; versions before it never do.
fn vertical_first(x: Axis, y: Axis) -> bool {
    let lost = |axis: Axis| i128::from(axis.input as u64) - i128::from(axis.output);
    lost(y) > 0 && lost(y) > 2 * lost(x)
}

/// The horizontal pass over some rows of `image`.
fn horizontal(image: &Rgb8, rows: std::ops::Range<usize>, x: Axis, filter: ResizeFilter) -> Vec<u8> {
    let mut narrow = vec![0u8; rows.len() * x.count * 3];
    let mut from = 0;
    while from < x.count {
        let kernels = Kernels::new(x, filter, from, MAX_WEIGHTS);
        if kernels.span().len() <= MAX_BLOCK_TAPS {
            blocks(image, &kernels, rows.clone(), from, x.count, &mut narrow);
        } else {
            lines(image, &kernels, rows.clone(), from, x.count, &mut narrow);
        }
        from += kernels.taps.len();
    }
    narrow
}

/// The horizontal pass, [`ROWS`] rows at once: transposed so that one weight meets [`LANES`] adjacent samples.
fn blocks(image: &Rgb8, kernels: &Kernels, rows: std::ops::Range<usize>, from: usize, width: usize, narrow: &mut [u8]) {
    let stride = 3 * image.width as usize;
    let span = kernels.span();
    let mut block = vec![[0u8; LANES]; span.len()];
    for (block_rows, out) in rows.step_by(ROWS).zip(narrow.chunks_mut(ROWS * width * 3)) {
        let height = out.len() / (width * 3);
        for r in 0..height {
            let row = &image.pixels[(block_rows + r) * stride..][3 * span.start..3 * span.end];
            for (lanes, pixel) in block.iter_mut().zip(row.as_chunks::<3>().0) {
                lanes[3 * r..3 * r + 3].copy_from_slice(pixel);
            }
        }
        for (i, (start, weights)) in kernels.taps.iter().enumerate() {
            let mut sums = [HALF; LANES];
            for (w, lanes) in kernels.weights[weights.clone()].iter().zip(&block[start - span.start..]) {
                for (sum, sample) in sums.iter_mut().zip(lanes) {
                    *sum = sum.wrapping_add(w.wrapping_mul(i32::from(*sample)));
                }
            }
            for r in 0..height {
                for c in 0..3 {
                    out[(r * width + from + i) * 3 + c] = to_level(sums[3 * r + c]);
                }
            }
        }
    }
}

/// The horizontal pass for pictures so wide that a block of rows would not fit the cache.
fn lines(image: &Rgb8, kernels: &Kernels, rows: std::ops::Range<usize>, from: usize, width: usize, narrow: &mut [u8]) {
    let stride = 3 * image.width as usize;
    for (y, out) in rows.zip(narrow.chunks_exact_mut(width * 3)) {
        let row = image.pixels[y * stride..][..stride].as_chunks::<3>().0;
        for ((start, weights), pixel) in kernels.taps.iter().zip(out[3 * from..].as_chunks_mut::<3>().0) {
            let mut sums = [HALF; 3];
            for (w, samples) in kernels.weights[weights.clone()].iter().zip(&row[*start..]) {
                for c in 0..3 {
                    sums[c] = sums[c].wrapping_add(w.wrapping_mul(i32::from(samples[c])));
                }
            }
            *pixel = sums.map(to_level);
        }
    }
}

/// The vertical pass: whole rows, weighted and summed.
fn columns(narrow: &[u8], kernels: &Kernels, first_row: usize, stride: usize) -> Vec<u8> {
    let mut out = vec![0u8; kernels.taps.len() * stride];
    let mut sums = vec![0i32; stride];
    for ((start, weights), out_row) in kernels.taps.iter().zip(out.chunks_exact_mut(stride)) {
        sums.fill(HALF);
        let input = narrow[(start - first_row) * stride..].chunks_exact(stride);
        for (w, row) in kernels.weights[weights.clone()].iter().zip(input) {
            for (sum, sample) in sums.iter_mut().zip(row) {
                *sum = sum.wrapping_add(w.wrapping_mul(i32::from(*sample)));
            }
        }
        for (level, sum) in out_row.iter_mut().zip(&sums) {
            *level = to_level(*sum);
        }
    }
    out
}

#[cfg(test)]
mod tests {
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
            let whole = resize_window(&image, axis(67, 29, 0, 29), axis(41, 90, 0, 90), filter);
            let part = resize_window(&image, axis(67, 29, 11, 7), axis(41, 90, 40, 13), filter);
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

    #[test]
    fn the_two_horizontal_passes_agree() {
        let image = noise(301, 19);
        let x = Axis { input: 301, output: 40, first: 3, count: 30 };
        let kernels = Kernels::new(x, ResizeFilter::Bicubic, 5, 200);
        assert!(kernels.taps.len() < 25, "the weights' limit cuts the window short");
        let (mut a, mut b) = (vec![0; 19 * 30 * 3], vec![0; 19 * 30 * 3]);
        blocks(&image, &kernels, 0..19, 5, 30, &mut a);
        lines(&image, &kernels, 0..19, 5, 30, &mut b);
        assert_eq!(a, b);
    }
}
