//! JPEG 2000, alone and in boxes: `hayro-jpeg2000` decodes it, in safe Rust alone. Its levels are those that Pillow gets of OpenJPEG, lossy
//! ones within one. What makes levels of other depths than 8 bits follows Pillow's `Jpeg2KDecode.c`.

use hayro_jpeg2000::{ColorSpace, DecodeError, DecodeSettings, DecoderContext, Image};

use super::decode::{Decoded, check_pixels, damaged, look, unsupported};
use super::estimate::Need;
use super::format::Format::Jpeg2000;
use super::options::{ReadOptions, Remarks};
use super::reader::{array, u8_at, u32_be};
use super::{Rgb8, grey16};
use crate::Result;
use crate::memory::zeroed;

/// Components of a picture, colours and others.
const MOST_COMPONENTS: u16 = 5;

/// The signature box of a JP2, or the first two markers of a bare codestream.
pub(super) fn is(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\0\0\0\x0cjP  \r\n\x87\n") || bytes.starts_with(b"\xff\x4f\xff\x51")
}

/// The picture in RGB. Each component is brought to 8 bits.
pub(super) fn decode(bytes: &[u8], options: &ReadOptions) -> Result<Decoded> {
    let size = Size::read(bytes).ok_or_else(|| damaged(Jpeg2000, "no size in it"))?;
    let area = check_pixels(Jpeg2000, size.width, size.height, &options.limits)?;
    if size.components > MOST_COMPONENTS {
        return Err(unsupported(Jpeg2000, format_args!("{} components", size.components)));
    }
    let settings = DecodeSettings { strict: true, ..DecodeSettings::default() };
    let image = Image::new(bytes, &settings).map_err(jpeg2000_error)?;
    if (image.width(), image.height()) != (size.width, size.height) {
        return Err(damaged(Jpeg2000, "headers disagree"));
    }
    let channels = match image.color_space() {
        ColorSpace::Gray | ColorSpace::Icc { num_channels: 1, .. } => 1,
        ColorSpace::RGB | ColorSpace::Icc { num_channels: 3, .. } => 3,
        ColorSpace::CMYK | ColorSpace::Icc { num_channels: 4, .. } => return Err(unsupported(Jpeg2000, "CMYK")),
        _ => return Err(unsupported(Jpeg2000, "its colour space")),
    };
    let mut context = DecoderContext::default();
    let decoded = image.decode(&mut context).map_err(jpeg2000_error)?;
    let planes = decoded.components().get(..channels).ok_or_else(|| damaged(Jpeg2000, "colours are missing"))?;
    if planes.iter().any(|plane| plane.samples().len() < area) {
        return Err(unsupported(Jpeg2000, "components of different sizes"));
    }
    let mut remarks = Remarks::default();
    let pixels = match planes {
        [grey] if grey.bit_depth() > 8 => {
            let shift = 16u8.saturating_sub(grey.bit_depth());
            let mut samples = zeroed(2 * area)?;
            for (out, sample) in samples.as_chunks_mut::<2>().0.iter_mut().zip(grey.samples()) {
                *out = ((sample.round_ties_even() as u16) << shift).to_ne_bytes();
            }
            grey16::to_rgb(&samples, options.grey16, &mut remarks)?
        }
        planes => {
            let mut pixels = zeroed(3 * area)?;
            for (channel, plane) in planes.iter().enumerate() {
                look();
                let (samples, depth) = (plane.samples(), plane.bit_depth());
                for (pixel, sample) in pixels.as_chunks_mut::<3>().0.iter_mut().zip(samples) {
                    pixel[channel] = level(*sample, depth);
                }
            }
            if channels == 1 {
                pixels.as_chunks_mut::<3>().0.iter_mut().for_each(|pixel| *pixel = [pixel[0]; 3]);
            }
            pixels
        }
    };
    let image = Rgb8 { width: size.width, height: size.height, pixels };
    Ok(Decoded { remarks, ..Decoded::rgb(image, 1) })
}

/// Deeper samples keep their high bits, and of less than 8 bits the others are zeros.
fn level(sample: f32, depth: u8) -> u8 {
    let value = sample.round_ties_even().clamp(0.0, 65535.0) as u32;
    let most = (1u32 << depth.min(16)) - 1;
    (value.min(most) << 8 >> depth.min(16)) as u8
}

/// Coefficients and samples are floats.
pub(super) fn need(bytes: &[u8]) -> Option<Need> {
    let Size { width, height, components } = Size::read(bytes)?;
    let area = (width as usize).checked_mul(height as usize)?;
    let each = 7 * usize::from(components.min(MOST_COMPONENTS)) + 4;
    let bytes = area.checked_mul(each)?.checked_add(4 << 20)?;
    Some(Need { width, height, bytes, deaf: true })
}

/// What the codestream's first marker says.
struct Size {
    width: u32,
    height: u32,
    components: u16,
}

impl Size {
    fn read(bytes: &[u8]) -> Option<Self> {
        let stream = if bytes.starts_with(b"\xff\x4f") { bytes } else { codestream(bytes)? };
        if stream.get(..4)? != b"\xff\x4f\xff\x51" {
            return None;
        }
        let number = |at| u32_be(stream, at);
        let side = |whole, offset| number(whole)?.checked_sub(number(offset)?);
        let components = array(stream, 40).map(u16::from_be_bytes)?;
        Some(Self { width: side(8, 16)?, height: side(12, 20)?, components })
    }
}

/// The body of the first box that is one.
fn codestream(mut boxes: &[u8]) -> Option<&[u8]> {
    loop {
        let (size, kind) = (u32_be(boxes, 0)? as usize, array::<4>(boxes, 4)?);
        let (head, size) = match size {
            0 => (8, boxes.len()),
            // Its length has 64 bits.
            1 => (16, usize::try_from(u64::from_be_bytes(array(boxes, 8)?)).ok()?),
            size => (8, size),
        };
        u8_at(boxes, head)?;
        if &kind == b"jp2c" {
            return boxes.get(head..size.min(boxes.len()));
        }
        boxes = boxes.get(size.max(head)..)?;
    }
}

fn jpeg2000_error(e: DecodeError) -> crate::Error {
    damaged(Jpeg2000, e)
}
