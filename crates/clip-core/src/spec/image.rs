//! How an image becomes what the vision tower sees.

use serde::{Deserialize, Serialize};

use super::is_default;

/// From a decoded picture to the vision tower's input (transformers, `CLIPImageProcessor`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageSpec {
    /// What becomes of the EXIF orientation.
    pub orientation: Orientation,
    /// What becomes of transparency.
    pub alpha: AlphaRule,
    /// The size before the crop.
    pub resize: ResizeRule,
    /// How samples are weighed in the resize.
    pub filter: ResizeFilter,
    /// Side of the centre crop, in pixels; equals the vision tower's `image_size`. With [`ResizeRule::Patches`] nothing is cut.
    pub crop: u32,
    /// Where the crop begins. Left out of the file where it is [`Centre::Floor`], as [`ModelSpec::scoring`] is where
    /// it is the softmax.
    #[serde(default, skip_serializing_if = "is_default")]
    pub centre: Centre,
    /// Factor on the 8-bit levels before mean and deviation, 1/255 everywhere.
    pub rescale: f64,
    /// Of red, green and blue, on levels of 0 to 1: subtracted.
    pub mean: [f32; 3],
    /// Of red, green and blue: divided by, after the mean. All are positive.
    pub std: [f32; 3],
}

/// Where the crop begins when an odd number of pixels is left over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Centre {
    /// `(side - crop) // 2`, transformers' rule.
    #[default]
    Floor,
    /// `int(round((side - crop) / 2))`, torchvision's: a half goes to the even neighbour.
    HalfEven,
}

/// What becomes of the EXIF orientation. One rule today: the spec names it so that another one gets another
/// fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Orientation {
    /// The EXIF orientation tag is applied (`PIL.ImageOps.exif_transpose`).
    Exif,
}

/// What becomes of transparency. One rule today: the spec names it so that another one gets another fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlphaRule {
    /// The alpha channel is dropped, colours under it stay (`PIL.Image.convert("RGB")`).
    Drop,
}

/// The size before the crop, in pixels (transformers, `get_resize_output_image_size`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResizeRule {
    /// The short side becomes this long, the long side `int(short * long / short)`; the crop takes the centre.
    ShortestEdge(u32),
    /// Both sides become this long, whatever the aspect.
    Squash(u32),
    /// The aspect is nearly kept, and each side becomes a number of whole patches, so that there are as many patches as may be
    /// (transformers, `get_image_size_for_max_num_patches`). Nothing is cut.
    Patches {
        /// Side of a patch, in pixels.
        size: u32,
        /// Patches at most.
        most: u32,
    },
}

/// Pillow's antialiased resampling filters, with Pillow's 8-bit fixed-point arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResizeFilter {
    /// A triangle, 1 sample to each side; PIL's number 2.
    Bilinear,
    /// Keys' cubic with a = -0.5, 2 samples to each side; PIL's number 3.
    Bicubic,
    /// A windowed sinc, 3 samples to each side; PIL's number 1.
    Lanczos,
}
