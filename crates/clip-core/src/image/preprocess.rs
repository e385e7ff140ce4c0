//! Which part of the picture the model sees: resize and centre crop.

use super::Rgb8;
use super::decode::{Decoded, Reduced};
use super::orient::Upright;
use super::resize::{Axis, memory, resize_window};
use super::ycc::Levels;
use crate::memory::zeroed;
use crate::spec::{Centre, ImageSpec, ResizeRule};
use crate::{Error, ErrorKind, Result};

/// Resizes by `spec.resize`, then cuts the centre: a picture of `spec.crop` × `spec.crop` pixels, or of whole patches, of which
/// nothing is cut.
///
/// Follows `get_resize_output_image_size` and `center_crop` in transformers' `image_transforms.py` (a crop larger than
/// the resized picture is padded with black) and Pillow's `Image.resize`. Only the pixels of the crop are computed.
///
/// Fails with `InvalidArgument` when `image` or `spec` contradicts itself.
pub fn preprocess(image: &Rgb8, spec: &ImageSpec) -> Result<Rgb8> {
    upright_seen(image, Levels::Rgb, 1, None, spec)
}

/// Resizes a picture as it is stored and cuts the centre, as [`preprocess`] does, and turns it upright on the way.
pub(super) fn seen(picture: &Decoded, spec: &ImageSpec) -> Result<Rgb8> {
    upright_seen(&picture.image, picture.levels, picture.orientation, picture.reduced, spec)
}

/// What the model sees in RGB, of a picture whose `levels` and orientation are still to be changed.
///
/// Of a reduced one it is what it would be of the whole one, as with the `box` of Pillow's `resize`.
fn upright_seen(
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
            let whole = if upright.is_turned() { (whole.1, whole.0) } else { whole };
            let ((x, left), (y, top)) = axes(whole.0, whole.1, spec);
            let (from_right, from_below) = upright.are_reversed();
            ((x.reduced(width, divisor, from_right), left), (y.reduced(height, divisor, from_below), top))
        }
    };
    let window = resize_window(upright, levels, x, y, spec.filter)?;
    if let ResizeRule::Patches { .. } = spec.resize {
        return Ok(Rgb8 { width: x.count as u32, height: y.count as u32, pixels: window });
    }
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
    pass(axes(width, height, spec)).max(pass(turned)).saturating_add(15 * most_pixels(spec))
}

/// Pixels that the model sees of an image, at most.
pub fn most_pixels(spec: &ImageSpec) -> usize {
    match spec.resize {
        ResizeRule::Patches { size, most } => (size as usize).pow(2).saturating_mul(most as usize),
        ResizeRule::ShortestEdge(_) | ResizeRule::Squash(_) => (spec.crop as usize).pow(2),
    }
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
    let side = match spec.resize {
        ResizeRule::ShortestEdge(side) | ResizeRule::Squash(side) => side,
        ResizeRule::Patches { size, most } => size.min(most),
    };
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
        ResizeRule::Patches { size, most } => {
            let (columns, rows) = patches(width, height, size, most);
            (columns * u64::from(size), rows * u64::from(size))
        }
        ResizeRule::ShortestEdge(side) => {
            // Python's `int(side * long / short)`: the product is exact, the quotient the nearest f64, cut to an integer.
            let long = |long: u32, short: u32| ((u64::from(side) * u64::from(long)) as f64 / f64::from(short)) as u64;
            if width <= height { (side.into(), long(height, width)) } else { (long(width, height), side.into()) }
        }
    }
}

/// Columns and rows of patches of `size` pixels, by a search for the largest scale at which they are `most` at most.
///
/// As `get_image_size_for_max_num_patches` of transformers' `image_processing_siglip2.py` finds it, to the last step: in f64,
/// each side rounded up to whole patches.
fn patches(width: u32, height: u32, size: u32, most: u32) -> (u64, u64) {
    const EPS: f64 = 1e-5;
    let (size, most) = (f64::from(size), u64::from(most));
    let side = |scale: f64, side: u32| ((f64::from(side) * scale / size).ceil() as u64).max(1);
    let (mut lowest, mut highest) = (EPS / 10.0, 100.0);
    while highest - lowest >= EPS {
        let scale = (lowest + highest) / 2.0;
        if side(scale, width).saturating_mul(side(scale, height)) <= most { lowest = scale } else { highest = scale }
    }
    let (columns, rows) = (side(lowest, width), side(lowest, height));
    // There the reference fails: at the smallest scale that it tries there are still too many.
    let columns = columns.min(most);
    (columns, rows.min((most / columns).max(1)))
}

/// The samples of one axis that the crop keeps, and the black ones before them.
fn crop(input: u32, output: u64, spec: &ImageSpec) -> (Axis, usize) {
    if let ResizeRule::Patches { .. } = spec.resize {
        return (Axis { count: output as usize, ..Axis::new(input as usize, output) }, 0);
    }
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

    /// Width and height, side of a patch, patches at most, and what transformers 5.24 gives: columns and rows.
    const PATCHES: [[u32; 6]; 17] = [
        [640, 480, 16, 256, 18, 14],
        [480, 640, 16, 256, 14, 18],
        [256, 256, 16, 256, 16, 16],
        [257, 256, 16, 256, 16, 16],
        [1, 1, 16, 256, 7, 7],
        [3000, 7, 16, 256, 256, 1],
        [7, 3000, 16, 256, 1, 256],
        [5000, 1, 16, 256, 256, 1],
        [1920, 1080, 16, 256, 21, 12],
        [1080, 1920, 16, 1024, 24, 42],
        [4032, 3024, 14, 729, 31, 23],
        [33, 1000, 4, 20, 1, 20],
        [100, 99, 4, 20, 5, 4],
        [10, 3, 5, 1, 1, 1],
        [16, 16, 16, 1, 1, 1],
        [17, 40, 8, 16, 3, 5],
        [20000, 15, 16, 256, 256, 1],
    ];

    #[test]
    fn as_many_patches_as_may_be() {
        for [width, height, size, most, columns, rows] in PATCHES {
            let expected = (columns.into(), rows.into());
            assert_eq!(patches(width, height, size, most), expected, "{width} x {height}");
            assert!(columns * rows <= most);
            let resized = resized(width, height, ResizeRule::Patches { size, most });
            assert_eq!(resized, ((columns * size).into(), (rows * size).into()));
        }
        // where the reference gives more than there may be
        for (width, height) in [(u32::MAX, 1), (1, u32::MAX), (u32::MAX, u32::MAX)] {
            let (columns, rows) = patches(width, height, 1, 7);
            assert!(columns * rows <= 7 && columns * rows > 0, "{columns} x {rows}");
        }
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
