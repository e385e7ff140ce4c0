//! From 8-bit levels to the vision tower's floats.

use super::Rgb8;
use crate::spec::ImageSpec;

/// Writes `(level * rescale - mean) / std` channel-first: `out` is `[3, height, width]`, in units of standard deviations.
///
/// The same arithmetic as `rescale` and `normalize` in transformers' `image_transforms.py`: the product in f64 (there
/// the factor is the Python float 1/255), rounded to f32, then difference and quotient in f32. Only 256 levels exist, so
/// this is a table look-up.
///
/// # Panics
/// When `out` is not exactly `3 * width * height` long: that is the caller's mistake, never the image's.
pub fn normalize(image: &Rgb8, spec: &ImageSpec, out: &mut [f32]) {
    assert_eq!(out.len(), image.pixels.len(), "output of normalize has the wrong length");
    if out.is_empty() {
        return;
    }
    let plane = out.len() / 3;
    for (c, channel) in out.chunks_exact_mut(plane).enumerate() {
        let table: [f32; 256] = std::array::from_fn(|level| {
            let rescaled = (level as f64 * spec.rescale) as f32;
            (rescaled - spec.mean[c]) / spec.std[c]
        });
        for (value, pixel) in channel.iter_mut().zip(image.pixels.as_chunks::<3>().0) {
            *value = table[usize::from(pixel[c])];
        }
    }
}
