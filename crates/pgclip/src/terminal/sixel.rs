//! Sixels: bands of six rows, colour by colour.

use std::io::{self, Write};

use image::RgbImage;

use super::palette::{LEVELS, nearest};

/// In the colours of the cube. Errors are spread over the neighbours (Floyd and Steinberg), so that a sky has no steps.
pub fn write(out: &mut impl Write, picture: &RgbImage) -> io::Result<()> {
    let (width, height) = picture.dimensions();
    let colours = dithered(picture);
    write!(out, "\x1bP0;1q\"1;1;{width};{height}")?;
    let percent = |level: u8| (u32::from(level) * 100 + 127) / 255;
    let mut number = 0;
    for red in LEVELS {
        for green in LEVELS {
            for blue in LEVELS {
                write!(out, "#{number};2;{};{};{}", percent(red), percent(green), percent(blue))?;
                number += 1;
            }
        }
    }
    for band in colours.chunks(6 * width.max(1) as usize) {
        write_band(out, band, width.max(1) as usize)?;
    }
    out.write_all(b"\x1b\\")
}

fn write_band(out: &mut impl Write, band: &[u8], width: usize) -> io::Result<()> {
    let mut used = [false; 216];
    for &colour in band {
        if let Some(used) = used.get_mut(usize::from(colour)) {
            *used = true;
        }
    }
    for colour in (0..216u8).filter(|colour| used.get(usize::from(*colour)) == Some(&true)) {
        write!(out, "#{colour}")?;
        let column = |x: usize| {
            let rows = band.chunks(width).enumerate().filter(|(_, row)| row.get(x) == Some(&colour));
            rows.fold(0u8, |bits, (y, _)| bits | 1 << y)
        };
        let (mut last, mut times) = (column(0), 0);
        for bits in (0..width).map(column) {
            if bits != last {
                write_run(out, last, times)?;
                (last, times) = (bits, 0);
            }
            times += 1;
        }
        write_run(out, last, times)?;
        out.write_all(b"$")?;
    }
    out.write_all(b"-")
}

fn write_run(out: &mut impl Write, bits: u8, times: usize) -> io::Result<()> {
    let letter = char::from(b'?' + bits);
    match times {
        0..=3 => (0..times).try_for_each(|_| write!(out, "{letter}")),
        _ => write!(out, "!{times}{letter}"),
    }
}

/// Numbers of colours, row by row.
fn dithered(picture: &RgbImage) -> Vec<u8> {
    let width = picture.width() as usize;
    // Errors that came from above, and those of this row, with a place at both ends.
    let (mut above, mut below) = (vec![[0i32; 3]; width + 2], vec![[0i32; 3]; width + 2]);
    let mut colours = Vec::with_capacity(width * picture.height() as usize);
    for row in picture.rows() {
        for (x, pixel) in row.enumerate() {
            let wanted: [i32; 3] = std::array::from_fn(|i| i32::from(pixel.0[i]) + above[x + 1][i] / 16);
            let (number, got) = nearest(wanted.map(|value| value.clamp(0, 255) as u8));
            colours.push(number);
            for i in 0..3 {
                let error = wanted[i] - i32::from(got[i]);
                above[x + 2][i] += 7 * error;
                below[x][i] += 3 * error;
                below[x + 1][i] += 5 * error;
                below[x + 2][i] += error;
            }
        }
        std::mem::swap(&mut above, &mut below);
        below.fill([0; 3]);
    }
    colours
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_are_written_colour_by_colour() {
        let picture = RgbImage::from_fn(5, 7, |x, _| image::Rgb([255 * u8::from(x == 4), 0, 0]));
        let mut out = Vec::new();
        write(&mut out, &picture).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with("\x1bP0;1q\"1;1;5;7#0;2;0;0;0#1;2;0;0;37"), "{text}");
        assert!(text.ends_with("#215;2;100;100;100#0!4~?$#180!4?~$-#0!4@?$#180!4?@$-\x1b\\"), "{text}");
    }

    #[test]
    fn a_grey_between_two_levels_is_of_both() {
        let picture = RgbImage::from_pixel(40, 40, image::Rgb([115; 3]));
        let mean =
            dithered(&picture).iter().map(|number| u32::from(LEVELS[usize::from(number % 6)])).sum::<u32>() / 1600;
        assert!((113..=117).contains(&mean), "{mean}");
    }
}
