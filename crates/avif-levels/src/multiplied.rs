//! Colours that are multiplied by alpha, which Pillow has divided before it drops alpha: libyuv's integers.

use crate::Env;
use crate::colour::Colour;
use crate::error::{Error, Result, Unsupported, look};
use crate::planes::{Kind, Planes};

/// Whether libyuv does both, the conversion to RGB and the division.
pub fn check(kind: Kind, colour: Colour) -> Result<()> {
    let known = kind.depth == 8 || kind.depth == 10 && kind.chroma.is_some();
    if known && colour.integers(kind).is_some() { Ok(()) } else { Err(Error::Unsupported(Unsupported::Multiplied)) }
}

/// Three bytes a pixel, whose levels are divided by alpha.
pub fn divide(pixels: &mut [u8], alpha: &Planes, full_range: bool, depth: u8, env: &Env<'_>) -> Result<()> {
    if pixels.len() != 3 * alpha.width * alpha.height || alpha.kind.depth != depth {
        return Err(Error::Damaged("alpha is not of the picture's size or depth"));
    }
    for (y, row) in pixels.as_chunks_mut::<3>().0.chunks_exact_mut(alpha.width).enumerate() {
        look(env)?;
        alpha.row(0, y).with(row, |rgb, level| divide_pixel(rgb, whole(level, full_range, depth)));
    }
    Ok(())
}

/// In 8 bits, of full range.
fn whole(level: u16, full_range: bool, depth: u8) -> u8 {
    let (level, most, shift) = (i32::from(level), (1 << depth) - 1, depth - 8);
    let range = 219 << shift;
    let full = if full_range { level } else { ((level - (16 << shift)) * most + range / 2) / range };
    (full.clamp(0, most) >> shift) as u8
}

fn divide_pixel(rgb: &mut [u8; 3], alpha: u8) {
    let inverse = match alpha {
        0 => 0,
        1 => 0xffff,
        0xff => 0x100,
        _ => 0x1_0000 / u32::from(alpha),
    };
    for level in rgb {
        // Of 16 bits, which the vector code takes for signed ones.
        let divided = ((u32::from(*level) * 0x101 * inverse) >> 16) as u16 as i16;
        *level = divided.clamp(0, 255) as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divisions() {
        let divided = |level: u8, alpha: u8| {
            let mut rgb = [level; 3];
            divide_pixel(&mut rgb, alpha);
            rgb[0]
        };
        for level in 0..=255 {
            assert_eq!((divided(level, 255), divided(level, 0)), (level, 0));
        }
        assert_eq!((divided(100, 128), divided(200, 128), divided(1, 1)), (200, 255, 255));
    }

    #[test]
    fn ranges() {
        assert_eq!(
            (whole(16, false, 8), whole(235, false, 8), whole(255, false, 8), whole(0, false, 8)),
            (0, 255, 255, 0)
        );
        assert_eq!((whole(1023, true, 10), whole(940, false, 10), whole(64, false, 10)), (255, 255, 0));
    }
}
