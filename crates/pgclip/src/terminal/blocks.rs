//! Half blocks: a character shows two pixels, one above the other.

use std::io::{self, Write};

use image::{Rgb, RgbImage};

use super::palette::nearest;

pub fn write(out: &mut impl Write, picture: &RgbImage, all_colours: bool) -> io::Result<()> {
    let colour = |Rgb([r, g, b]): &Rgb<u8>| {
        // The cube begins after the sixteen colours that everybody sets as he likes.
        if all_colours { format!("2;{r};{g};{b}") } else { format!("5;{}", 16 + nearest([*r, *g, *b]).0) }
    };
    let black = Rgb([0; 3]);
    for y in (0..picture.height()).step_by(2) {
        for x in 0..picture.width() {
            let (upper, lower) = (picture.get_pixel(x, y), picture.get_pixel_checked(x, y + 1).unwrap_or(&black));
            write!(out, "\x1b[38;{}m\x1b[48;{}m▀", colour(upper), colour(lower))?;
        }
        writeln!(out, "\x1b[0m")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_pixels_a_character() {
        let picture = RgbImage::from_fn(1, 3, |_, y| Rgb([255 * u8::from(y == 0), 0, 0]));
        let written = |all| {
            let mut out = Vec::new();
            write(&mut out, &picture, all).unwrap();
            String::from_utf8(out).unwrap()
        };
        let black = "\x1b[38;2;0;0;0m\x1b[48;2;0;0;0m▀\x1b[0m\n";
        assert_eq!(written(true), format!("\x1b[38;2;255;0;0m\x1b[48;2;0;0;0m▀\x1b[0m\n{black}"));
        assert!(written(false).starts_with("\x1b[38;5;196m\x1b[48;5;16m▀"));
    }
}
