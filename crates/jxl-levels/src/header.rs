//! What is known of a picture before anything of it is decoded (ISO/IEC 18181-1, annex D).

use jxl_bitstream::Bitstream;
use jxl_image::{BitDepth, ImageHeader};
use jxl_oxide_common::Bundle;

use crate::error::{Error, Result};

/// The header, and where it ends.
#[derive(Debug)]
pub struct Header {
    pub image: ImageHeader,
    /// Bits of it: a colour profile or the first frame begins there.
    pub bits: usize,
}

impl Header {
    pub fn read(codestream: &[u8]) -> Result<Self> {
        let mut bits = Bitstream::new(codestream);
        let image = ImageHeader::parse(&mut bits, ())?;
        // `jxl-image` reads the width of some where there is none. No encoder makes them.
        if image.metadata.preview.is_some() {
            return Err(Error::Unsupported("a preview before the picture"));
        }
        Ok(Self { image, bits: bits.num_read_bits() })
    }

    /// As stored: the orientation is not applied.
    pub fn width(&self) -> usize {
        self.image.size.width as usize
    }

    pub fn height(&self) -> usize {
        self.image.size.height as usize
    }

    pub fn area(&self) -> usize {
        self.width().saturating_mul(self.height())
    }

    /// EXIF's number from 1 to 8.
    pub fn orientation(&self) -> u8 {
        self.image.metadata.orientation as u8
    }

    /// Samples are floating-point numbers.
    pub fn is_float(&self) -> bool {
        matches!(self.image.metadata.bit_depth, BitDepth::FloatSample { .. })
    }

    /// Three of colour, alpha, depth and others.
    pub fn channels(&self) -> usize {
        3 + self.image.metadata.ec_info.len()
    }
}
