//! Which part of the picture the model sees: resize and centre crop.

use super::Rgb8;
use super::decode::{Decoded, Reduced};
use super::orient::Upright;
use super::resize::{Axis, memory, resize_window};
use super::ycc::Levels;
use crate::memory::zeroed;
use crate::spec::{Centre, ImageSpec, ResizeRule};
use crate::{Error, ErrorKind, Result};

/// Resizes by `spec.resize`, then cuts the centre: a picture of `spec.crop` × `spec.crop` pixels.
///
/// Follows `get_resize_output_image_size` and `center_crop` in transformers' `image_transforms.py` (a crop larger than
/// the resized picture is padded with black) and Pillow's `Image.resize`. Only the pixels of the crop are computed.
///
/// Fails with `InvalidArgument` when `image` or `spec` contradicts itself.
pub fn preprocess(image: &Rgb8, spec: &ImageSpec) -> Result<Rgb8> {
    upright_square(image, Levels::Rgb, 1, None, spec)
}

/// Resizes a picture as it is stored and cuts the centre, as [`preprocess`] does, and turns it upright on the way.
pub(super) fn square(picture: &Decoded, spec: &ImageSpec) -> Result<Rgb8> {
    upright_square(&picture.image, picture.levels, picture.orientation, picture.reduced, spec)
}

/// `spec.crop` × `spec.crop` pixels of RGB, of a picture whose `levels` and orientation are still to be changed.
///
/// Of a reduced one they are where they would be of the whole one, as with the `box` of Pillow's `resize`.
fn upright_square(
    image: &Rgb8,
    levels: Levels,
    orientation: u8,
    reduced: Option<Reduced>,
    spec: &ImageSpec,
) -> Result<Rgb8> {
    check(image, spec)?;
    let upright = Upright::new(image, orientation);
    let (width, height) = (upright.width(), upright.height());
    let ((x, left), (y, top)) = match reduced {
        None => axes(width as u32, height as u32, spec),
        Some(Reduced { whole, divisor }) => {
            let whole = if orientation > 4 { (whole.1, whole.0) } else { whole };
            let ((x, left), (y, top)) = axes(whole.0, whole.1, spec);
            let (from_right, from_below) = (matches!(orientation, 2 | 3 | 6 | 7), matches!(orientation, 3 | 4 | 7 | 8));
            ((x.reduced(width, divisor, from_right), left), (y.reduced(height, divisor, from_below), top))
        }
    };
    let window = resize_window(upright, levels, x, y, spec.filter)?;
    let side = spec.crop as usize;
    let pixels = if (x.count, y.count) == (side, side) {
        window
    } else {
        let mut padded: Vec<u8> = zeroed(side * side * 3)?;
        let rows = padded.chunks_exact_mut(side * 3).skip(top);
        for (out, row) in rows.zip(window.chunks_exact(x.count * 3)) {
            out[left * 3..][..row.len()].copy_from_slice(row);
        }
        padded
    };
    Ok(Rgb8 { width: spec.crop, height: spec.crop, pixels })
}

/// Both axes of a picture, each with the black samples before it.
fn axes(width: u32, height: u32, spec: &ImageSpec) -> ((Axis, usize), (Axis, usize)) {
    let (x, y) = resized(width, height, spec.resize);
    (crop(width, x, spec), crop(height, y, spec))
}

/// Bytes that [`preprocess`] takes beside the picture, at most, whichever side is up.
pub(super) fn needed(width: u32, height: u32, spec: &ImageSpec) -> usize {
    let turned = axes(height, width, spec);
    let pass = |((x, _), (y, _)): ((Axis, usize), (Axis, usize))| memory(x, y, spec.filter);
    pass(axes(width, height, spec)).max(pass(turned)).saturating_add(15 * (spec.crop as usize).pow(2))
}

/// Refuses, as `InvalidArgument`, a picture whose bytes are not its size, and a spec without pixels.
fn check(image: &Rgb8, spec: &ImageSpec) -> Result<()> {
    let (given, expected) = (image.pixels.len() as u64, 3 * u64::from(image.width) * u64::from(image.height));
    if given != expected || expected == 0 {
        return Err(Error::new(
            ErrorKind::InvalidArgument,
            format!("picture of {} x {} pixels has {given} bytes, not {expected}", image.width, image.height),
        ));
    }
    let (ResizeRule::ShortestEdge(side) | ResizeRule::Squash(side)) = spec.resize;
    if side == 0 || spec.crop == 0 {
        let what = format!("image size of the model is {side}, its crop {}; both must be positive", spec.crop);
        return Err(Error::new(ErrorKind::InvalidArgument, what));
    }
    Ok(())
}

/// Width and height after the resize.
fn resized(width: u32, height: u32, rule: ResizeRule) -> (u64, u64) {
    match rule {
        ResizeRule::Squash(side) => (side.into(), side.into()),
        ResizeRule::ShortestEdge(side) => {
            // Python's `int(side * long / short)`: the product is exact, the quotient the nearest f64, cut to an integer.
            let long = |long: u32, short: u32| ((u64::from(side) * u64::from(long)) as f64 / f64::from(short)) as u64;
            if width <= height { (side.into(), long(height, width)) } else { (long(width, height), side.into()) }
        }
    }
}

/// The samples of one axis that the crop keeps, and the black ones before them.
fn crop(input: u32, output: u64, spec: &ImageSpec) -> (Axis, usize) {
    let (input, side) = (input as usize, u64::from(spec.crop));
    if output >= side {
        let half = (output - side) / 2;
        let first = match spec.centre {
            Centre::Floor => half,
            Centre::HalfEven => half + (output - side) % 2 * (half % 2),
        };
        (Axis { first, count: spec.crop as usize, ..Axis::new(input, output) }, 0)
    } else {
        (Axis { count: output as usize, ..Axis::new(input, output) }, (side - output).div_ceil(2) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_side_is_cut_not_rounded() {
        assert_eq!(resized(640, 480, ResizeRule::ShortestEdge(224)), (298, 224));
        assert_eq!(resized(480, 640, ResizeRule::ShortestEdge(224)), (224, 298));
        assert_eq!(resized(1, 5000, ResizeRule::ShortestEdge(224)), (224, 1_120_000));
        assert_eq!(resized(640, 480, ResizeRule::Squash(224)), (224, 224));
    }

    #[test]
    fn crop_is_centred() {
        let mut spec = image_spec();
        let (axis, pad) = crop(640, 299, &spec);
        assert_eq!((axis.first, axis.count, pad), (37, 224, 0));
        let (axis, pad) = crop(640, 221, &spec);
        assert_eq!((axis.first, axis.count, pad), (0, 221, 2));
        // Python's round: 37.5 to 38, 36.5 to 36
        spec.centre = Centre::HalfEven;
        for (output, first) in [(299, 38), (297, 36), (298, 37), (300, 38), (224, 0), (225, 0), (227, 2)] {
            assert_eq!(crop(640, output, &spec).0.first, first, "{output}");
        }
    }

    fn image_spec() -> ImageSpec {
        let tower = crate::spec::TowerSpec {
            hidden: 4,
            layers: 1,
            heads: 2,
            intermediate: 8,
            layer_norm_eps: 1e-5,
            activation: crate::spec::Activation::Gelu,
        };
        ImageSpec { crop: 224, ..crate::spec::tests::spec(tower).image }
    }
}
