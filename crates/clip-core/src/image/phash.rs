//! A perceptual hash: pictures that look alike, scaled, recompressed or slightly retouched, differ in few bits.
//!
//! The hash by discrete cosine transform of pHash (C. Zauner, *Implementation and Benchmarking of Perceptual Image Hash Functions*,
//! 2010), as the Python library ImageHash computes it (`imagehash.phash`, `hash_size` 8): grey, 32 × 32 pixels by Pillow's Lanczos
//! filter, of the transform the 8 × 8 lowest frequencies, and of each whether it is above their median.

use super::Limits;
use super::decode::{self, Decoded};
use super::orient::Upright;
use super::resize::{Axis, memory, resize_window};
use super::ycc::{Levels, ycc_pixels_to_rgb};
use crate::Result;
use crate::guarded::look;
use crate::spec::ResizeFilter;

/// Side of the picture that is transformed.
const SIDE: usize = 32;
/// Frequencies of an axis.
const KEPT: usize = 8;

/// 2^30 · cos(mπ / 64), rounded. Sums of whole numbers are the same on every machine, and those of a flat picture are zero.
const COSINES: [i64; SIDE + 1] = [
    1_073_741_824,
    1_072_448_455,
    1_068_571_464,
    1_062_120_190,
    1_053_110_176,
    1_041_563_127,
    1_027_506_862,
    1_010_975_242,
    992_008_094,
    970_651_112,
    946_955_747,
    920_979_082,
    892_783_698,
    862_437_520,
    830_013_654,
    795_590_213,
    759_250_125,
    721_080_937,
    681_174_602,
    639_627_258,
    596_538_995,
    552_013_618,
    506_158_392,
    459_083_786,
    410_903_207,
    361_732_726,
    311_690_799,
    260_897_982,
    209_476_638,
    157_550_647,
    105_245_103,
    52_686_014,
    0,
];

/// The hash of an encoded image, 64 bits. Its highest bit is the lowest frequency, then come the others, row by row.
///
/// Two pictures are as different as the number of bits in which their hashes differ. The algorithm is pHash's, with
/// the numbers of Python's ImageHash.
///
/// Fails as [`decode`](super::decode()) does.
pub fn perceptual_hash(bytes: &[u8], limits: &Limits) -> Result<u64> {
    Ok(hash(&small(decode::stored(bytes, &limits.into())?)?))
}

/// Bytes that it takes beside the picture, at most, whichever side is up.
pub(super) fn needed(width: u32, height: u32) -> usize {
    let (x, y) = (axis(width as usize), axis(height as usize));
    memory(x, y, ResizeFilter::Lanczos).max(memory(y, x, ResizeFilter::Lanczos))
}

/// From `input` samples to the side of the picture that is transformed.
fn axis(input: usize) -> Axis {
    Axis { count: SIDE, ..Axis::new(input, SIDE as u64) }
}

/// Grey and upright, 32 × 32 pixels.
fn small(picture: Decoded) -> Result<Vec<u8>> {
    /// Bytes between two looks, whole pixels.
    const PIECE: usize = 3 << 18;
    let Decoded { mut image, levels, orientation, .. } = picture;
    for piece in image.pixels.chunks_mut(PIECE) {
        look();
        if levels == Levels::YCbCr {
            ycc_pixels_to_rgb(piece);
        }
        piece.as_chunks_mut::<3>().0.iter_mut().for_each(|pixel| *pixel = [luma(*pixel); 3]);
    }
    let upright = Upright::new(&image, orientation);
    let (x, y) = (axis(upright.width()), axis(upright.height()));
    let pixels = resize_window(upright, Levels::Rgb, x, y, ResizeFilter::Lanczos)?;
    Ok(pixels.as_chunks::<3>().0.iter().map(|pixel| pixel[0]).collect())
}

/// Pillow's `convert("L")`.
fn luma([r, g, b]: [u8; 3]) -> u8 {
    ((19595 * u32::from(r) + 38470 * u32::from(g) + 7471 * u32::from(b) + (1 << 15)) >> 16) as u8
}

/// Of 32 × 32 grey levels, row by row.
fn hash(pixels: &[u8]) -> u64 {
    // Columns first, as the order does not matter.
    let mut by_rows = [[0i64; KEPT]; SIDE];
    for (row, pixels) in by_rows.iter_mut().zip(pixels.chunks_exact(SIDE)) {
        for (k, sum) in row.iter_mut().enumerate() {
            *sum = pixels.iter().enumerate().map(|(x, level)| i64::from(*level) * cosine(x, k)).sum();
        }
    }
    let mut frequencies = [0i128; KEPT * KEPT];
    for (i, sum) in frequencies.iter_mut().enumerate() {
        let (v, u) = (i / KEPT, i % KEPT);
        *sum = by_rows.iter().enumerate().map(|(y, row)| i128::from(row[u]) * i128::from(cosine(y, v))).sum();
    }
    let mut sorted = frequencies;
    sorted.sort_unstable();
    // Twice the median, which lies between the two in the middle.
    let median = sorted[KEPT * KEPT / 2 - 1] + sorted[KEPT * KEPT / 2];
    frequencies.iter().fold(0, |hash, frequency| hash << 1 | u64::from(2 * frequency > median))
}

/// cos((2n + 1)kπ / 64), from the first quarter of a turn.
fn cosine(n: usize, k: usize) -> i64 {
    match (2 * n + 1) * k % (4 * SIDE) {
        m @ 0..=32 => COSINES[m],
        m @ 33..=64 => -COSINES[64 - m],
        m @ 65..=96 => -COSINES[m - 64],
        m => COSINES[128 - m],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Rgb8;

    #[test]
    fn cosines_are_those_of_the_transform() {
        for n in 0..SIDE {
            for k in 0..KEPT {
                let exact = (std::f64::consts::PI * (2 * n + 1) as f64 * k as f64 / 64.0).cos();
                assert!((cosine(n, k) as f64 / (1u64 << 30) as f64 - exact).abs() < 1e-9, "{n}, {k}");
            }
        }
    }

    /// No frequency of one is there by rounding.
    #[test]
    fn flat_pictures_are_equal() {
        for level in [1, 77, 255] {
            assert_eq!(hash(&[level; SIDE * SIDE]), 1 << 63, "level {level}");
        }
        assert_eq!(hash(&[0; SIDE * SIDE]), 0);
    }

    #[test]
    fn bits_are_in_order() {
        // A wave from left to right, the third frequency of the first row, on grey.
        let wave: Vec<u8> = (0..SIDE * SIDE).map(|i| (128 + (cosine(i % SIDE, 2) >> 24)) as u8).collect();
        let hash = hash(&wave);
        assert_eq!(hash >> 61 & 0b101, 0b101, "{hash:016x}");
    }

    #[test]
    fn turned_pictures_are_hashed_upright() {
        let pixels = |w: usize, h: usize, of: &dyn Fn(usize, usize) -> u8| {
            (0..h).flat_map(|y| (0..w).map(move |x| (x, y))).flat_map(|(x, y)| [of(x, y); 3]).collect::<Vec<u8>>()
        };
        let level = |x: usize, y: usize| (x * 5 + y * y * 3) as u8;
        let upright = Rgb8 { width: 40, height: 24, pixels: pixels(40, 24, &level) };
        // Orientation 8: the first column that is stored is the lowest row.
        let turned = Rgb8 { width: 24, height: 40, pixels: pixels(24, 40, &|x, y| level(y, 23 - x)) };
        let of = |image, orientation| hash(&small(Decoded::rgb(image, orientation)).unwrap());
        assert_eq!(of(turned.clone(), 8), of(upright.clone(), 1));
        assert_ne!(of(turned, 1), of(upright, 1));
    }
}
