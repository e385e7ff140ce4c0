//! Turns a picture upright: the eight EXIF orientations, as Pillow's `ImageOps.exif_transpose` maps them.

use super::Rgb8;

/// Applies an EXIF orientation; 1 and values outside 1 to 8 leave the picture alone.
pub(super) fn apply(image: Rgb8, orientation: u8) -> Rgb8 {
    match orientation {
        2 => flip_rows(image),
        3 => reverse(image),
        4 => reverse(flip_rows(image)),
        5 => transpose(&image),
        6 => flip_rows(transpose(&image)),
        7 => reverse(transpose(&image)),
        8 => reverse(flip_rows(transpose(&image))),
        _ => image,
    }
}

/// Left becomes right.
fn flip_rows(mut image: Rgb8) -> Rgb8 {
    let stride = 3 * image.width as usize;
    for row in image.pixels.chunks_exact_mut(stride.max(1)) {
        reverse_pixels(row);
    }
    image
}

/// A turn by 180 degrees is the pixels in reverse.
fn reverse(mut image: Rgb8) -> Rgb8 {
    reverse_pixels(&mut image.pixels);
    image
}

fn reverse_pixels(pixels: &mut [u8]) {
    pixels.as_chunks_mut::<3>().0.reverse();
}

/// Rows become columns. In square tiles, because a whole column of a large picture misses the cache at each pixel.
fn transpose(image: &Rgb8) -> Rgb8 {
    const TILE: usize = 32;
    let (w, h) = (image.width as usize, image.height as usize);
    let mut pixels = vec![0; image.pixels.len()];
    let (src, dst) = (image.pixels.as_chunks::<3>().0, pixels.as_chunks_mut::<3>().0);
    for y0 in (0..h).step_by(TILE) {
        for x0 in (0..w).step_by(TILE) {
            for y in y0..(y0 + TILE).min(h) {
                for x in x0..(x0 + TILE).min(w) {
                    dst[x * h + y] = src[y * w + x];
                }
            }
        }
    }
    Rgb8 { width: image.height, height: image.width, pixels }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each EXIF orientation says where row 0 and column 0 of the stored picture are in the upright one.
    #[test]
    fn the_eight_orientations() {
        let px = |s: &str| s.bytes().flat_map(|b| [b, b, b]).collect::<Vec<_>>();
        let stored = Rgb8 { width: 3, height: 2, pixels: px("abcdef") };
        let want = [
            (1, 3, 2, "abcdef"),
            (2, 3, 2, "cbafed"),
            (3, 3, 2, "fedcba"),
            (4, 3, 2, "defabc"),
            (5, 2, 3, "adbecf"),
            (6, 2, 3, "daebfc"),
            (7, 2, 3, "fcebda"),
            (8, 2, 3, "cfbead"),
        ];
        for (o, width, height, pixels) in want {
            assert_eq!(apply(stored.clone(), o), Rgb8 { width, height, pixels: px(pixels) }, "orientation {o}");
        }
    }
}
