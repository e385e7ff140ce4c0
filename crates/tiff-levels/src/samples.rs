//! What the samples of a pixel are: Pillow's table `OPEN_INFO` by its rules, not by its lines. Where it has an arrangement, the levels
//! are Pillow's.

use crate::directory::{Directory, tag};
use crate::error::{Error, Result, Unsupported};

/// Samples a pixel, at most.
const MOST_SAMPLES: usize = 16;

/// What colours the samples are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Of 1, 2, 4 or 8 bits, which become levels from 0 to 255.
    Grey {
        /// 0 is white and the highest value black.
        white_is_zero: bool,
    },
    /// Numbers that are clipped to 0..=255.
    Wide(Number),
    /// Indices of 1, 2, 4 or 8 bits.
    Palette,
    /// Of 8 or 16 bits, of which the high byte is taken. The colours may have been multiplied by the alpha that follows.
    Rgb {
        /// There is such an alpha: colours are divided by it.
        multiplied: bool,
    },
    /// Inks of 8 or 16 bits, converted as Pillow does: without a profile.
    Cmyk,
    /// Luma and two chromas of 8 bits.
    YCbCr,
    /// L* a* b*, of 8 bits.
    Lab,
}

/// The type of a wide sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    /// 12 bits, two values in three bytes.
    U12,
    /// 16 bits without a sign.
    U16,
    /// 16 bits with a sign.
    I16,
    /// Unsigned ones, too: Pillow takes the upper half of their range for negative.
    I32,
    /// Floats of 32 bits.
    F32,
}

/// What a pixel is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Samples {
    /// Their colours.
    pub kind: Kind,
    /// Bits of each.
    pub bits: usize,
    /// Samples a pixel in the file.
    pub count: usize,
    /// The low byte of a sample comes first.
    pub little: bool,
}

impl Kind {
    /// Samples of a pixel that are looked at, the first ones.
    pub fn used(self) -> usize {
        match self {
            Self::Grey { .. } | Self::Wide(_) | Self::Palette => 1,
            Self::Rgb { multiplied: false } | Self::YCbCr | Self::Lab => 3,
            Self::Rgb { multiplied: true } | Self::Cmyk => 4,
        }
    }
}

impl Samples {
    /// `old_jpeg`: the picture is one of old-style JPEG, which is YCbCr whatever the tags say.
    pub fn read(directory: &Directory<'_>, old_jpeg: bool) -> Result<Self> {
        let colours = if old_jpeg { 6 } else { directory.first(tag::COLOURS).unwrap_or(0) };
        let default = if old_jpeg { 3 } else { 1 };
        let count = directory.first(tag::SAMPLES).unwrap_or(default);
        if !(1..=MOST_SAMPLES).contains(&count) {
            return Err(Error::Unsupported(Unsupported::Samples { samples: count, colours: "a TIFF image" }));
        }
        let mut bits = directory.values(tag::BITS, count);
        let extra = directory.values(tag::EXTRA_SAMPLES, MOST_SAMPLES);
        if bits.is_empty() {
            bits.push(1);
        }
        let planes = directory.first(tag::PLANES) == Some(2);
        let ignored = if planes && extra.iter().all(|&kind| kind == 0) { extra.len() } else { 0 };
        // Planes of samples that are not looked at may be of any kind.
        let relevant = &bits[..bits.len().saturating_sub(ignored).max(1)];
        let format = directory.values(tag::SAMPLE_FORMAT, count);
        if relevant.windows(2).any(|pair| pair[0] != pair[1]) || format.windows(2).any(|pair| pair[0] != pair[1]) {
            return Err(Error::Unsupported(Unsupported::MixedSamples));
        }
        let (bits, format) = (relevant[0], format.first().copied().unwrap_or(1));
        // Void samples are what the writer did not know more of.
        let format = if format == 4 { 1 } else { format };
        let kind = kind(colours, bits, format, extra.first() == Some(&1) && count > 3)?;
        if (colours, bits, format, directory.little) == (0, 16, 1, false) {
            // Pillow takes the numbers of the other byte order as if black were zero, and refuses these.
            return Err(Error::Unsupported(Unsupported::WideWhiteIsZero));
        }
        let name = name(kind);
        if count < kind.used() {
            return match kind {
                // Luma without chroma.
                Kind::YCbCr if count == 1 && !old_jpeg => {
                    Ok(Self { kind: Kind::Grey { white_is_zero: false }, bits, count, little: directory.little })
                }
                _ => Err(Error::Unsupported(Unsupported::Samples { samples: count, colours: name })),
            };
        }
        if count > 1 && !bits.is_multiple_of(8) {
            return Err(Error::Unsupported(Unsupported::Bits { bits, colours: "several samples per pixel" }));
        }
        Ok(Self { kind, bits, count, little: directory.little })
    }

    /// Bytes of a sample that has whole ones.
    pub fn bytes(&self) -> usize {
        self.bits / 8
    }
}

fn kind(colours: usize, bits: usize, format: usize, multiplied: bool) -> Result<Kind> {
    let kind = match (colours, bits, format) {
        (0 | 1, 1 | 2 | 4 | 8, 1) | (1, 8, 2) => Kind::Grey { white_is_zero: colours == 0 },
        (1, 12, 1) => Kind::Wide(Number::U12),
        (0 | 1, 16, 1) => Kind::Wide(Number::U16),
        (1, 16, 2) => Kind::Wide(Number::I16),
        (1, 32, 1 | 2) => Kind::Wide(Number::I32),
        (0 | 1, 32, 3) => Kind::Wide(Number::F32),
        (0, 8, 2) | (0, 12 | 32, 1) | (0, 16 | 32, 2) => {
            return Err(Error::Unsupported(Unsupported::WideWhiteIsZero));
        }
        (2, 8 | 16, 1) | (2, 8, 2) => Kind::Rgb { multiplied },
        (3, 1 | 2 | 4 | 8, 1) => Kind::Palette,
        (5, 8 | 16, 1) => Kind::Cmyk,
        (6, 8, 1) => Kind::YCbCr,
        (8, 8, 1) => Kind::Lab,
        _ => {
            let colours = match colours {
                0 | 1 => "grey",
                2 => "RGB",
                3 => "a palette",
                5 => "CMYK",
                6 => "YCbCr",
                8 => "Lab",
                other => return Err(Error::Unsupported(Unsupported::Colours(other))),
            };
            let what = match format {
                1 => Unsupported::Bits { bits, colours },
                2 | 3 if !matches!(bits, 8 | 16 | 32) => Unsupported::Bits { bits, colours },
                _ => Unsupported::Format { format, colours },
            };
            return Err(Error::Unsupported(what));
        }
    };
    Ok(kind)
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Grey { .. } | Kind::Wide(_) => "grey",
        Kind::Palette => "a palette",
        Kind::Rgb { .. } => "RGB",
        Kind::Cmyk => "CMYK",
        Kind::YCbCr => "YCbCr",
        Kind::Lab => "Lab",
    }
}
