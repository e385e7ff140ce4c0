//! Transforms of a frame's modular image (ISO/IEC 18181-1, annex H.6), which say what is kept of it while its groups are decoded.

use jxl_bitstream::{Bitstream, U};
use jxl_frame::FrameHeader;

use crate::error::{Error, Result};
use crate::features::area;
use crate::header::Header;

/// Bytes that `jxl` notes of a channel, or of what becomes of it, in a group; and of all groups together.
const NOTE: usize = 192;
/// As many as level 5 allows.
const MOST: u32 = 8;
const MOST_CHANNELS: usize = 256;

/// A modular image: a frame's, or what a group has of one.
pub struct Image {
    pixels: usize,
    /// Before transforms.
    pub channels: usize,
    groups: usize,
    /// Pixels of a group.
    group: usize,
    /// Bytes of a sample.
    sample: usize,
    /// How often it may become half as large.
    halvings: usize,
}

impl Image {
    pub fn of(frame: &FrameHeader, header: &Header) -> Self {
        Self {
            pixels: area(frame),
            channels: header.channels(),
            groups: frame.num_groups() as usize + 1,
            group: (frame.group_dim() as usize).pow(2),
            sample: if header.image.metadata.modular_16bit_buffers { 2 } else { 4 },
            halvings: (frame.width.max(1).ilog2() + frame.height.max(1).ilog2() + 2) as usize,
        }
    }

    /// What one group has at most.
    pub fn of_group(frame: &FrameHeader, header: &Header, channels: usize) -> Self {
        let of_all = Self::of(frame, header);
        Self { pixels: of_all.group, channels, groups: 1, ..of_all }
    }

    pub fn samples(&self) -> usize {
        self.pixels.saturating_mul(self.channels)
    }
}

/// An image's header.
#[derive(Default)]
pub struct Transforms {
    /// It has the frame's tree, and none of its own.
    pub global_tree: bool,
    channels: usize,
    /// Channels, and what becomes of them on the way.
    notes: usize,
    /// Samples of palettes.
    colors: usize,
    squeezed: bool,
}

impl Transforms {
    pub fn read(image: &Image, bits: &mut Bitstream) -> Result<Self> {
        let mut transforms = Self { channels: image.channels, notes: image.channels, ..Self::default() };
        transforms.read_all(image.halvings, bits)?;
        Ok(transforms)
    }

    /// Bytes that the image takes until its groups are put together.
    pub fn needs(&self, image: &Image) -> usize {
        let notes = self.notes.saturating_mul(image.groups).saturating_mul(NOTE);
        // Squeezed groups wait for those that are coded last, and one is there in several sizes.
        let several = 4 * image.group.min(image.pixels);
        let pixels = if self.squeezed { image.pixels.saturating_add(several) } else { 0 };
        let waiting = pixels.saturating_mul(image.channels * image.sample);
        notes.saturating_add(waiting).saturating_add(self.colors.saturating_mul(2 * image.sample))
    }

    fn read_all(&mut self, halvings: usize, bits: &mut Bitstream) -> Result<()> {
        self.global_tree = bits.read_bool()?;
        // Weights of a predictor.
        if !bits.read_bool()? {
            for len in [5, 5, 5, 5, 5, 5, 5, 4, 4, 4, 4] {
                bits.read_bits(len)?;
            }
        }
        let count = bits.read_u32(0, 1, 2 + U(4), 18 + U(8))?;
        if count > MOST {
            return Err(Error::TooMuch("too many transforms"));
        }
        for _ in 0..count {
            match bits.read_bits(2)? {
                0 => self.colors_of_others(bits)?,
                1 => self.palette(bits)?,
                2 => self.squeeze(halvings, bits)?,
                _ => return Err(Error::Damaged("a transform of an unknown kind".to_owned())),
            }
        }
        Ok(())
    }

    fn colors_of_others(&mut self, bits: &mut Bitstream) -> Result<()> {
        first_channel(bits)?;
        bits.read_u32(6, U(2), 2 + U(4), 10 + U(6))?;
        self.notes += 3;
        Ok(())
    }

    fn palette(&mut self, bits: &mut Bitstream) -> Result<()> {
        first_channel(bits)?;
        let channels = bits.read_u32(1, 3, 4, 1 + U(13))? as usize;
        let colors = bits.read_u32(U(8), 256 + U(10), 1280 + U(12), 5376 + U(16))? as usize;
        let differences = bits.read_u32(0, 1 + U(8), 257 + U(10), 1281 + U(16))? as usize;
        let _predictor = bits.read_bits(4)?;
        self.colors = self.colors.saturating_add((colors + differences) * channels);
        self.notes += 2 + channels;
        self.channels += 1;
        Ok(())
    }

    fn squeeze(&mut self, halvings: usize, bits: &mut Bitstream) -> Result<()> {
        self.squeezed = true;
        let count = bits.read_u32(0, 1 + U(4), 9 + U(6), 41 + U(8))?;
        if count == 0 {
            // All channels, until they are small.
            self.halve(self.channels.min(MOST_CHANNELS) * halvings);
        }
        for _ in 0..count {
            let _across_and_in_place = bits.read_bits(2)?;
            first_channel(bits)?;
            let channels = bits.read_u32(1, 2, 3, 4 + U(4))?;
            self.halve(channels as usize);
        }
        Ok(())
    }

    fn halve(&mut self, channels: usize) {
        self.channels += channels;
        self.notes += 2 * channels;
    }
}

fn first_channel(bits: &mut Bitstream) -> Result<u32> {
    Ok(bits.read_u32(U(3), 8 + U(6), 72 + U(10), 1096 + U(13))?)
}
