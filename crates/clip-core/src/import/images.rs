//! From a raw preprocessor to an [`ImageSpec`].

use serde_json::Value;

use super::raw::{Preprocessor, Size};
use crate::bounds::check_levels;
use crate::error::{Error, Result};
use crate::spec::*;

/// Of red, green and blue: OpenAI's (`OPENAI_CLIP_MEAN` in transformers' `image_utils.py`, `OPENAI_DATASET_MEAN` in
/// open_clip).
const CLIP_MEAN: [f32; 3] = [0.48145466, 0.4578275, 0.40821073];
/// Of red, green and blue: OpenAI's (`OPENAI_CLIP_STD` in transformers' `image_utils.py`, `OPENAI_DATASET_STD` in
/// open_clip).
const CLIP_STD: [f32; 3] = [0.268_629_54, 0.261_302_6, 0.275_777_1];

/// The preprocessing of `preprocessor_config.json`, for a tower that sees squares of `image_size` pixels.
///
/// Defaults are those of `image_processing_clip.py` or `image_processing_siglip.py`.
///
/// # Errors
///
/// `Unsupported` for a step that is switched off or unknown, `InvalidModel` where the crop is not what the tower
/// sees.
pub fn image(p: &Preprocessor, image_size: usize, architecture: Architecture) -> Result<ImageSpec> {
    let kind = p.image_processor_type.as_deref().or(p.feature_extractor_type.as_deref());
    let clip = match (kind, architecture) {
        (
            Some(
                "CLIPImageProcessor" | "CLIPImageProcessorFast" | "CLIPImageProcessorPil" | "CLIPFeatureExtractor"
                // the same defaults
                | "ChineseCLIPImageProcessor" | "ChineseCLIPImageProcessorFast" | "ChineseCLIPImageProcessorPil"
                | "ChineseCLIPFeatureExtractor",
            ),
            _,
        )
        | (None, Architecture::Clip) => true,
        (Some("SiglipImageProcessor" | "SiglipImageProcessorFast" | "SiglipImageProcessorPil"), _)
        | (None, Architecture::Siglip) => false,
        (Some(other), _) => return Err(Error::unsupported(format!("image processor \"{other}\" is not supported"))),
    };
    steps(p)?;
    const DEFAULT: Size = Size::Exact { height: 224, width: 224 };
    let resize = match p.size.unwrap_or(if clip { Size::Shortest { shortest_edge: 224 } } else { DEFAULT }) {
        Size::Side(side) | Size::Shortest { shortest_edge: side } => ResizeRule::ShortestEdge(side),
        Size::Exact { height, width } | Size::Pair([height, width]) if height == width => ResizeRule::Squash(height),
        Size::Exact { height, width } | Size::Pair([height, width]) => {
            return Err(Error::unsupported(format!(
                "resizing to {width} x {height} is not supported: expected a square"
            )));
        }
    };
    let crop = match (p.do_center_crop.unwrap_or(clip), resize) {
        (true, _) => match p.crop_size.unwrap_or(DEFAULT) {
            Size::Side(side) | Size::Shortest { shortest_edge: side } => (side, side),
            Size::Exact { height, width } | Size::Pair([height, width]) => (height, width),
        },
        // squashed to a square, nothing is left to crop
        (false, ResizeRule::Squash(side)) => (side, side),
        (false, ResizeRule::ShortestEdge(_) | ResizeRule::Patches { .. }) => {
            return Err(Error::unsupported(
                "preprocessor_config.json: do_center_crop = false is not supported where the aspect is kept",
            ));
        }
    };
    if crop.0 != crop.1 || crop.0 as usize != image_size {
        return Err(Error::invalid_model(format!(
            "preprocessor_config.json crops to {} x {}, config.json expects {image_size} x {image_size}",
            crop.1, crop.0
        )));
    }
    let (ResizeRule::ShortestEdge(side) | ResizeRule::Squash(side) | ResizeRule::Patches { size: side, .. }) = resize;
    if side < crop.0 {
        return Err(Error::unsupported(format!(
            "a crop of {} pixels out of a side of {side} is not supported",
            crop.0
        )));
    }
    let filter = filter(p.resample.unwrap_or(3))?;
    let (mean, std) = if clip { (CLIP_MEAN, CLIP_STD) } else { ([0.5; 3], [0.5; 3]) };
    of_transformers(p, resize, filter, crop.0, (mean, std))
}

/// The preprocessing of pictures of any aspect, which become patches of so many pixels, for a tower whose table of positions is of a
/// square of `image_size` pixels. Defaults are those of `image_processing_siglip2.py`.
///
/// # Errors
///
/// As [`image`]. `InvalidModel` where the tower has other patches.
pub fn in_patches(p: &Preprocessor, image_size: usize, patch_size: usize) -> Result<ImageSpec> {
    let kind = p.image_processor_type.as_deref().or(p.feature_extractor_type.as_deref());
    match kind {
        None | Some("Siglip2ImageProcessor" | "Siglip2ImageProcessorFast" | "Siglip2ImageProcessorPil") => {}
        Some(other) => return Err(Error::unsupported(format!("image processor \"{other}\" is not supported"))),
    }
    steps(p)?;
    if p.do_center_crop == Some(true) {
        return Err(Error::unsupported("preprocessor_config.json: do_center_crop = true is not supported"));
    }
    let (given, most) = (p.patch_size.unwrap_or(16), p.max_num_patches.unwrap_or(256));
    if given != patch_size {
        return Err(Error::invalid_model(format!(
            "preprocessor_config.json makes patches of {given} pixels, config.json expects {patch_size}"
        )));
    }
    let side = |pixels: usize| u32::try_from(pixels).map_err(|_| Error::invalid_model("patch_size is out of range"));
    let resize = ResizeRule::Patches { size: side(patch_size)?, most };
    of_transformers(p, resize, filter(p.resample.unwrap_or(2))?, side(image_size)?, ([0.5; 3], [0.5; 3]))
}

/// The preprocessing that open_clip puts together of torchvision's steps (`transform.py`, `image_transform_v2`), for a tower that
/// sees squares of `image_size` pixels. `place`: what stands before a key in messages. `levels`: mean and deviation.
///
/// # Errors
///
/// `Unsupported` for another way of resizing, `InvalidModel` for levels that are none.
pub fn torchvision(
    place: &str,
    image_size: usize,
    resize_mode: Option<&str>,
    interpolation: Option<&str>,
    levels: (Option<[f32; 3]>, Option<[f32; 3]>),
) -> Result<ImageSpec> {
    let side = u32::try_from(image_size).map_err(|_| Error::invalid_model("image_size is out of range"))?;
    let unknown =
        |key: &str, value: &str| Error::unsupported(format!("{place}{key} = {} is not supported", Value::from(value)));
    let filter = match interpolation {
        // "random" is for training; open_clip then tests with bicubic
        None | Some("bicubic" | "random") => ResizeFilter::Bicubic,
        Some("bilinear") => ResizeFilter::Bilinear,
        Some(other) => return Err(unknown("interpolation", other)),
    };
    let resize = match resize_mode {
        None | Some("shortest") => ResizeRule::ShortestEdge(side),
        Some("squash") => ResizeRule::Squash(side),
        Some(other) => return Err(unknown("resize_mode", other)),
    };
    let levels = (levels.0.unwrap_or(CLIP_MEAN), levels.1.unwrap_or(CLIP_STD));
    spec(resize, filter, side, (1.0 / 255.0, Centre::HalfEven), levels)
}

/// As transformers' processors scale and cut. `levels`: mean and deviation where the file has none.
fn of_transformers(
    p: &Preprocessor,
    resize: ResizeRule,
    filter: ResizeFilter,
    crop: u32,
    levels: ([f32; 3], [f32; 3]),
) -> Result<ImageSpec> {
    let levels = (p.image_mean.unwrap_or(levels.0), p.image_std.unwrap_or(levels.1));
    spec(resize, filter, crop, (p.rescale_factor, Centre::Floor), levels)
}

/// With the pictures as people see them, without their alpha, as all these processors are given them. `scale`: what levels are multiplied
/// by, and where a crop lies. `levels`: mean and deviation.
fn spec(
    resize: ResizeRule,
    filter: ResizeFilter,
    crop: u32,
    (rescale, centre): (f64, Centre),
    (mean, std): ([f32; 3], [f32; 3]),
) -> Result<ImageSpec> {
    check_levels(mean, std).map_err(Error::invalid_model)?;
    Ok(ImageSpec {
        orientation: Orientation::Exif,
        alpha: AlphaRule::Drop,
        resize,
        filter,
        crop,
        rescale,
        centre,
        mean,
        std,
    })
}

/// Are the steps on that every processor here has, and those off that none has?
fn steps(p: &Preprocessor) -> Result<()> {
    for (step, on) in [
        ("do_resize", p.do_resize),
        ("do_rescale", p.do_rescale),
        ("do_normalize", p.do_normalize),
        ("do_convert_rgb", p.do_convert_rgb != Some(false)),
    ] {
        if !on {
            return Err(Error::unsupported(format!("preprocessor_config.json: {step} = false is not supported")));
        }
    }
    for (step, on) in [("use_square_size", p.use_square_size), ("do_pad", p.do_pad)] {
        if on == Some(true) {
            return Err(Error::unsupported(format!("preprocessor_config.json: {step} = true is not supported")));
        }
    }
    Ok(())
}

/// By PIL's number.
fn filter(number: u32) -> Result<ResizeFilter> {
    Ok(match number {
        1 => ResizeFilter::Lanczos,
        2 => ResizeFilter::Bilinear,
        3 => ResizeFilter::Bicubic,
        other => {
            return Err(Error::unsupported(format!(
                "resampling filter {other} is not supported: expected 1 (Lanczos), 2 (bilinear) or 3 (bicubic)"
            )));
        }
    })
}
