//! How images are read: limits, and the choices in which the reference's way may not be the one that is wanted.

use super::Limits;
use super::format::Format;
use crate::spec::{ImageSpec, ResizeRule};

/// What becomes of an image whose data end, or break, before the picture does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Truncated {
    /// It is an error, as in Pillow.
    #[default]
    Refuse,
    /// What can be decoded is the picture. The rest is grey or black, as with Pillow's `LOAD_TRUNCATED_IMAGES`.
    Accept,
}

/// What becomes of grey levels above 255, and of those that are no whole numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Grey16 {
    /// They are cut at 0 and 255, as by Pillow's `convert("RGB")`: most such pictures become white.
    #[default]
    Clip,
    /// They are brought into 0 to 255. Whole numbers lose their lowest bits, as many as the brightest needs. Of
    /// floats the darkest is 0 and the brightest 255.
    Scale,
}

/// What part of a JPEG's pixels is decoded, where it has far more of them than the model gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum JpegDecoding {
    /// All of them, as the reference does.
    #[default]
    Full,
    /// A picture of 1/2, 1/4 or 1/8 of the width and height, if both sides keep at least twice what the model's resize makes of
    /// them: less time and memory, and a vector that differs a little. As Pillow's `thumbnail`, by its `reducing_gap` of 2.
    Reduced,
    /// The same where both sides keep so many pixels.
    AtLeast(u32),
}

/// Limits and choices. The default of each choice is what the reference does, so that [`Limits`] convert into them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// What an image may cost.
    pub limits: Limits,
    /// What becomes of a damaged image.
    pub truncated: Truncated,
    /// What becomes of grey levels that 8 bits do not hold.
    pub grey16: Grey16,
    /// What part of a JPEG's pixels is decoded.
    pub jpeg: JpegDecoding,
}

impl ReadOptions {
    /// For a model: a side's pixels in the place of [`JpegDecoding::Reduced`].
    pub(super) fn of_model(mut self, spec: &ImageSpec) -> Self {
        if self.jpeg == JpegDecoding::Reduced {
            let side = match spec.resize {
                ResizeRule::ShortestEdge(side) | ResizeRule::Squash(side) => side,
                // No short side is longer than that of as many patches in a square.
                ResizeRule::Patches { size, most } => size.saturating_mul(most.isqrt() + 1),
            };
            self.jpeg = JpegDecoding::AtLeast(side.saturating_mul(2));
        }
        self
    }
}

impl From<&Limits> for ReadOptions {
    fn from(limits: &Limits) -> Self {
        Self { limits: *limits, ..Self::default() }
    }
}

impl From<&ReadOptions> for ReadOptions {
    fn from(options: &ReadOptions) -> Self {
        *options
    }
}

/// What has to be known of a picture beside its pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Remarks {
    /// Its file, of that format, is truncated or damaged: there is more of the picture than could be decoded.
    pub incomplete: Option<Format>,
    /// Grey levels outside of 0 to 255 were cut.
    pub clipped: bool,
}
