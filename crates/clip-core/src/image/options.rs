//! How images are read: limits, and the choices in which the reference's way may not be the one that is wanted.

use super::Limits;
use super::format::Format;

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

/// Limits and choices. The default of each choice is what the reference does, so that [`Limits`] convert into them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// What an image may cost.
    pub limits: Limits,
    /// What becomes of a damaged image.
    pub truncated: Truncated,
    /// What becomes of grey levels that 8 bits do not hold.
    pub grey16: Grey16,
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
