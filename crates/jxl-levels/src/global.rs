//! What a frame's groups have in common (ISO/IEC 18181-1, annexes G.1, G.3 and H.4.2): the tree of its modular image and the codes of its
//! coefficients. Both may be much larger than the bytes that ask for them.

use jpeg_levels::Env;
use jxl_bitstream::{Bitstream, U};
use jxl_frame::FrameHeader;
use jxl_frame::data::NoiseParameters;
use jxl_frame::header::Encoding;
use jxl_oxide_common::Bundle;
use jxl_vardct::{HfBlockContext, LfChannelCorrelation, LfChannelDequantization, Quantizer};

use crate::error::{Error, Result, look};
use crate::header::Header;
use crate::transforms::{Image, Transforms};
use crate::{codes, features, groups, tree};

/// What is known when the first section is read.
#[derive(Debug, Default)]
pub struct Global {
    /// Bytes that it takes at most.
    pub bytes: usize,
    /// Kinds of blocks, whose coefficients have codes of their own.
    block_contexts: Option<u32>,
}

impl Global {
    fn add(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

/// Reads the frame's first section up to the pixels in it. `is_all`: there is no other. What it found before an error is in `global`.
pub fn read_first(
    global: &mut Global,
    frame: &FrameHeader,
    header: &Header,
    section: &[u8],
    is_all: bool,
    env: &Env<'_>,
) -> Result<()> {
    let channels = header.channels();
    let mut bits = Bitstream::new(section);
    features::read(&mut global.bytes, frame, channels, &mut bits, env)?;
    if frame.flags.noise() {
        NoiseParameters::parse(&mut bits, ())?;
    }
    LfChannelDequantization::parse(&mut bits, ())?;
    if frame.encoding == Encoding::VarDct {
        Quantizer::parse(&mut bits, ())?;
        global.block_contexts = Some(HfBlockContext::parse(&mut bits, ())?.num_block_clusters);
        LfChannelCorrelation::parse(&mut bits, ())?;
    }
    if bits.read_bool()? {
        tree::read(&mut global.bytes, most_nodes(frame, channels), &mut bits, env)?;
    }
    let mut image = Image::of(frame, header);
    // Colours are cosines, and other channels are not.
    if frame.encoding == Encoding::VarDct {
        image.channels -= 3;
    }
    if image.channels > 0 {
        global.add(Transforms::read(&image, &mut bits)?.needs(&image));
    } else if is_all {
        global.add(groups::needs(frame, header, true, &mut bits, env)?);
    }
    Ok(())
}

/// As many as `jxl` allows, which counts one channel of colour for grey, and pixels for averages of theirs.
fn most_nodes(frame: &FrameHeader, channels: usize) -> usize {
    let area = (frame.width as usize).saturating_mul(frame.height as usize);
    (1024 + area.saturating_mul(channels) / 16).min(1 << 22)
}

/// Reads the section of what all coefficients have in common: orders and codes of each pass.
pub fn read_coefficients(global: &mut Global, frame: &FrameHeader, section: &[u8], env: &Env<'_>) -> Result<()> {
    let Some(block_contexts) = global.block_contexts else { return Ok(()) };
    let mut bits = Bitstream::new(section);
    if !bits.read_bool()? && !skip_quantizers(&mut bits)? {
        // They are a picture, as in what was a JPEG, and nobody knows where they end but who decodes them. Encoders write one pass then.
        global.add((frame.passes.num_passes as usize - 1).saturating_mul(codes::LARGEST));
        return Ok(());
    }
    let presets = bits.read_bits(frame.num_groups().next_power_of_two().trailing_zeros() as usize)? as usize + 1;
    let contexts = presets.saturating_mul(495 * block_contexts as usize);
    for _ in 0..frame.passes.num_passes {
        look(env)?;
        let used = bits.read_u32(0x5f, 0x13, 0, U(13))?;
        if used != 0 {
            global.add(orders(used, &mut bits, env)?);
        }
        let (_, bytes) = codes::read(&mut bits, contexts)?;
        global.add(bytes);
    }
    Ok(())
}

/// Bits of a number of quantizers.
const NUMBER: usize = 16;

/// Quantizers that the file has itself. False: up to some that cannot be skipped.
fn skip_quantizers(bits: &mut Bitstream) -> Result<bool> {
    for _ in 0..17 {
        let (numbers, bands) = match bits.read_bits(3)? {
            0 => (0, 0),
            1 => (9, 0),
            2 => (18, 0),
            3 => (6, 1),
            4 => (3, 1),
            5 => (27, 2),
            6 => (0, 1),
            _ => return Ok(false),
        };
        for _ in 0..numbers {
            bits.read_bits(NUMBER)?;
        }
        for _ in 0..bands {
            for _ in 0..3 * (bits.read_bits(4)? + 1) {
                bits.read_bits(NUMBER)?;
            }
        }
    }
    Ok(true)
}

/// Coefficients of a block, by the kinds of blocks that may have an order of their own.
const BLOCKS: [u32; 13] = [64, 64, 256, 1024, 128, 256, 512, 4096, 2048, 16384, 8192, 65536, 32768];

/// Bytes of the orders in `used`.
fn orders(used: u32, bits: &mut Bitstream, env: &Env<'_>) -> Result<usize> {
    // Another one while it is made, and a tree of numbers for that.
    const EACH: usize = 3 * 4 * 3;
    let (mut coded, mut bytes) = codes::read(bits, 8)?;
    coded.begin(bits)?;
    let context = |n: u32| (n + 1).next_power_of_two().trailing_zeros().min(7);
    for (_, size) in BLOCKS.into_iter().enumerate().filter(|(i, _)| used >> i & 1 == 1) {
        for _ in 0..3 {
            look(env)?;
            let count = coded.read_varint(bits, context(size))?;
            if count > size {
                return Err(Error::Damaged("an order of more coefficients than there are".to_owned()));
            }
            let mut last = 0;
            for _ in 0..count {
                last = coded.read_varint(bits, context(last))?;
                // more is damage, and too much for a context
                last = last.min(size);
            }
        }
        bytes += size as usize * EACH;
    }
    coded.finalize()?;
    Ok(bytes)
}
