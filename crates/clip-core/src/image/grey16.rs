//! Levels of 0 to 255 out of grey samples that have more of them: 16 and 32 bits, floats.
//!
//! Pillow cuts them (modes `I;16`, `I` and `F`). The other way keeps what is in the picture:
//!
//! - Whole numbers that are not negative lose their lowest bits, as many as the brightest level needs for 255 to be enough. So 16 bits are
//!   divided by 256, as viewers do, and 12 bits that lie in 16, as X-rays and microscopes have them, by 16. Black stays black.
//! - Floats, and numbers some of which are negative, have no range of their own: the darkest is 0 and the brightest 255.

use super::decode::look;
use super::options::Grey16;

/// Samples between two looks.
const PIECE: usize = 1 << 16;

/// Lowest bits that levels up to `brightest` lose.
pub(super) fn shift(brightest: u32) -> u32 {
    (u32::BITS - brightest.leading_zeros()).saturating_sub(8)
}

/// A sample that is a whole number or not; its value is exact.
pub(super) trait Sample: Copy {
    const WHOLE: bool;
    fn value(self) -> f64;
}

macro_rules! samples {
    ($($kind:ty: $whole:literal),+) => {$(
        impl Sample for $kind {
            const WHOLE: bool = $whole;
            fn value(self) -> f64 {
                self.into()
            }
        }
    )+};
}
samples!(u16: true, i16: true, u32: true, i32: true, f32: false, f64: false);

/// Fills `levels`, and says whether any level was cut.
pub(super) fn to_levels<T: Sample>(samples: &[T], how: Grey16, levels: &mut [u8]) -> bool {
    // What is no number is as dark as black.
    let (mut darkest, mut brightest) = (f64::INFINITY, f64::NEG_INFINITY);
    for samples in samples.chunks(PIECE) {
        look();
        for value in samples.iter().map(|sample| sample.value()).filter(|value| value.is_finite()) {
            (darkest, brightest) = (darkest.min(value), brightest.max(value));
        }
    }
    let fits = darkest >= 0.0 && brightest <= 255.0;
    // A picture without any number is black either way.
    let (from, factor) = match how {
        Grey16::Clip => (0.0, 1.0),
        _ if darkest > brightest => (0.0, 1.0),
        Grey16::Scale if T::WHOLE && darkest >= 0.0 => (0.0, 1.0 / f64::from(1u32 << shift(brightest as u32))),
        Grey16::Scale if brightest > darkest => (darkest, 255.0 / (brightest - darkest)),
        // All alike.
        Grey16::Scale => (darkest, 1.0),
    };
    for (samples, levels) in samples.chunks(PIECE).zip(levels.chunks_mut(PIECE)) {
        look();
        for (level, sample) in levels.iter_mut().zip(samples) {
            // Of what is no number the cast makes 0.
            *level = ((sample.value() - from) * factor).clamp(0.0, 255.0) as u8;
        }
    }
    how == Grey16::Clip && darkest <= brightest && !fits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels<T: Sample>(samples: &[T], how: Grey16) -> (Vec<u8>, bool) {
        let mut levels = vec![0; samples.len()];
        let clipped = to_levels(samples, how, &mut levels);
        (levels, clipped)
    }

    #[test]
    fn clipped_as_pillow_does() {
        assert_eq!(levels(&[0u16, 255, 256, 65535], Grey16::Clip), (vec![0, 255, 255, 255], true));
        assert_eq!(levels(&[-3i16, 7, 300], Grey16::Clip), (vec![0, 7, 255], true));
        assert_eq!(
            levels(&[0.9f32, 254.9, 1e9, f32::NAN, f32::NEG_INFINITY], Grey16::Clip),
            (vec![0, 254, 255, 0, 0], true)
        );
        assert_eq!(levels(&[0u32, 255], Grey16::Clip), (vec![0, 255], false));
        assert_eq!(levels(&[f32::NAN], Grey16::Clip), (vec![0], false));
    }

    /// By the bits that the brightest level needs.
    #[test]
    fn whole_numbers_lose_their_lowest_bits() {
        assert_eq!(levels(&[0u16, 255, 256, 0x8000, 0xffff], Grey16::Scale), (vec![0, 0, 1, 128, 255], false));
        assert_eq!(levels(&[0u16, 16, 4095], Grey16::Scale).0, [0, 1, 255]);
        assert_eq!(levels(&[0u16, 100, 255], Grey16::Scale).0, [0, 100, 255]);
        assert_eq!(levels(&[0u32, 1 << 24, u32::MAX], Grey16::Scale).0, [0, 1, 255]);
        assert_eq!(levels(&[0i32, i32::MAX], Grey16::Scale).0, [0, 255]);
    }

    #[test]
    fn what_has_no_range_is_stretched() {
        assert_eq!(levels(&[-1000i16, 0, 1000], Grey16::Scale).0, [0, 127, 255]);
        assert_eq!(levels(&[0.0f32, 0.5, 1.0, f32::NAN, f32::INFINITY], Grey16::Scale).0, [0, 127, 255, 0, 255]);
        assert_eq!(levels(&[7.5f32, 7.5], Grey16::Scale).0, [0, 0]);
        assert_eq!(levels(&[f32::NAN, f32::NAN], Grey16::Scale).0, [0, 0]);
        assert_eq!(levels::<f32>(&[], Grey16::Scale), (vec![], false));
    }
}
