//! Levels of 0 to 255 out of grey samples that have more of them: 16 and 32 bits, floats.
//!
//! Pillow cuts them (modes `I;16`, `I` and `F`). The other way keeps what is in the picture:
//!
//! - Whole numbers that are not negative lose their lowest bits, as many as the brightest level needs for 255 to be enough. So 16 bits are
//!   divided by 256, as viewers do, and 12 bits that lie in 16, as X-rays and microscopes have them, by 16. Black stays black.
//! - Floats, and numbers some of which are negative, have no range of their own: the darkest is 0 and the brightest 255.

use super::options::Grey16;

/// Lowest bits that levels up to `brightest` lose.
pub(super) fn shift(brightest: u32) -> u32 {
    (u32::BITS - brightest.leading_zeros()).saturating_sub(8)
}

/// What a level is: `(value - from) * factor`.
pub(super) fn scale(how: Grey16, darkest: f64, brightest: f64, whole: bool) -> (f64, f64) {
    match how {
        Grey16::Clip => (0.0, 1.0),
        // A picture without any number is black either way.
        _ if darkest > brightest => (0.0, 1.0),
        Grey16::Scale if whole && darkest >= 0.0 => (0.0, 1.0 / f64::from(1u32 << shift(brightest as u32))),
        Grey16::Scale if brightest > darkest => (darkest, 255.0 / (brightest - darkest)),
        // All alike.
        Grey16::Scale => (darkest, 1.0),
    }
}

/// Are there levels that do not fit?
pub(super) fn is_cut(how: Grey16, darkest: f64, brightest: f64) -> bool {
    how == Grey16::Clip && darkest <= brightest && !(darkest >= 0.0 && brightest <= 255.0)
}

/// Pixels of a picture of 16 bits, two bytes a pixel in the machine's order, as those of a PNG.
#[cfg(any(feature = "jxl", feature = "more-formats"))]
pub(super) fn to_rgb(samples: &[u8], how: Grey16, remarks: &mut super::Remarks) -> crate::Result<Vec<u8>> {
    /// Pixels between two looks.
    const PIECE: usize = 1 << 16;
    let samples = samples.as_chunks::<2>().0;
    let brightest = samples.iter().map(|sample| u16::from_ne_bytes(*sample)).max().unwrap_or(0);
    let shift = match how {
        Grey16::Clip => 0,
        Grey16::Scale => shift(brightest.into()),
    };
    remarks.clipped = how == Grey16::Clip && brightest > 255;
    let mut pixels = crate::memory::zeroed(3 * samples.len())?;
    for (out, samples) in pixels.chunks_mut(3 * PIECE).zip(samples.chunks(PIECE)) {
        crate::guarded::look();
        for (pixel, sample) in out.as_chunks_mut::<3>().0.iter_mut().zip(samples) {
            *pixel = [(u16::from_ne_bytes(*sample) >> shift).min(255) as u8; 3];
        }
    }
    Ok(pixels)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: bool = true;
    const FLOATS: bool = false;

    fn levels(values: &[f64], whole: bool, how: Grey16) -> (Vec<u8>, bool) {
        let numbers = || values.iter().copied().filter(|value| value.is_finite());
        let (darkest, brightest) =
            (numbers().fold(f64::INFINITY, f64::min), numbers().fold(f64::NEG_INFINITY, f64::max));
        let (from, factor) = scale(how, darkest, brightest, whole);
        let level = |value: &f64| ((value - from) * factor).clamp(0.0, 255.0) as u8;
        (values.iter().map(level).collect(), is_cut(how, darkest, brightest))
    }

    #[test]
    fn clipped_as_pillow_does() {
        assert_eq!(levels(&[0.0, 255.0, 256.0, 65535.0], WHOLE, Grey16::Clip), (vec![0, 255, 255, 255], true));
        assert_eq!(levels(&[-3.0, 7.0, 300.0], WHOLE, Grey16::Clip), (vec![0, 7, 255], true));
        assert_eq!(
            levels(&[0.9, 254.9, 1e9, f64::NAN, f64::NEG_INFINITY], FLOATS, Grey16::Clip),
            (vec![0, 254, 255, 0, 0], true)
        );
        assert_eq!(levels(&[0.0, 255.0], WHOLE, Grey16::Clip), (vec![0, 255], false));
        assert_eq!(levels(&[f64::NAN], FLOATS, Grey16::Clip), (vec![0], false));
    }

    /// By the bits that the brightest level needs.
    #[test]
    fn whole_numbers_lose_their_lowest_bits() {
        let scaled = |values: &[f64]| levels(values, WHOLE, Grey16::Scale);
        assert_eq!(scaled(&[0.0, 255.0, 256.0, 32768.0, 65535.0]), (vec![0, 0, 1, 128, 255], false));
        assert_eq!(scaled(&[0.0, 16.0, 4095.0]).0, [0, 1, 255]);
        assert_eq!(scaled(&[0.0, 100.0, 255.0]).0, [0, 100, 255]);
        assert_eq!(scaled(&[0.0, f64::from(1 << 24), f64::from(u32::MAX)]).0, [0, 1, 255]);
        assert_eq!(scaled(&[0.0, f64::from(i32::MAX)]).0, [0, 255]);
    }

    #[test]
    fn what_has_no_range_is_stretched() {
        assert_eq!(levels(&[-1000.0, 0.0, 1000.0], WHOLE, Grey16::Scale).0, [0, 127, 255]);
        let scaled = |values: &[f64]| levels(values, FLOATS, Grey16::Scale).0;
        assert_eq!(scaled(&[0.0, 0.5, 1.0, f64::NAN, f64::INFINITY]), [0, 127, 255, 0, 255]);
        assert_eq!(scaled(&[7.5, 7.5]), [0, 0]);
        assert_eq!(scaled(&[f64::NAN, f64::NAN]), [0, 0]);
        assert_eq!(levels(&[], FLOATS, Grey16::Scale), (vec![], false));
    }
}
