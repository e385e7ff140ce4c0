//! Groups of a frame that have trees, codes and transforms of their own (ISO/IEC 18181-1, annexes G.2 and G.4).

use jpeg_levels::Env;
use jxl_bitstream::Bitstream;
use jxl_frame::FrameHeader;
use jxl_frame::header::Encoding;

use crate::error::{Error, Result};
use crate::header::Header;
use crate::transforms::{Image, Transforms};
use crate::tree;

/// As many as `jxl` allows.
const MOST_NODES: usize = 1 << 20;

/// Bytes that the image takes at most with which a group begins. What else a group has is not found without decoding.
///
/// # Errors
///
/// None of damage: `jxl` reads no image of groups without pixels.
pub fn needs(frame: &FrameHeader, header: &Header, is_lf: bool, bits: &mut Bitstream, env: &Env<'_>) -> Result<usize> {
    let Some(image) = image(frame, header, is_lf) else { return Ok(0) };
    let mut bytes = 0;
    match read(&mut bytes, frame, &image, bits, env) {
        // Where the section ends within a tree, `jxl` reads zeros on, which may be nodes.
        Err(Error::Truncated) if bytes > 0 => Ok(bytes.saturating_add(tree::needs(most_nodes(&image)))),
        Err(Error::Truncated | Error::Damaged(_)) | Ok(()) => Ok(bytes),
        Err(error) => Err(error),
    }
}

/// The first image of the section. None where it is not known where that begins.
fn image(frame: &FrameHeader, header: &Header, is_lf: bool) -> Option<Image> {
    let channels = match frame.encoding {
        Encoding::Modular => header.channels(),
        // Averages of as many blocks as a group has pixels.
        Encoding::VarDct if is_lf && !frame.flags.use_lf_frame() => 3,
        Encoding::VarDct => return None,
    };
    Some(Image::of_group(frame, header, channels))
}

fn read(bytes: &mut usize, frame: &FrameHeader, image: &Image, bits: &mut Bitstream, env: &Env<'_>) -> Result<()> {
    if frame.encoding == Encoding::VarDct {
        let _more_precision = bits.read_bits(2)?;
    }
    let transforms = Transforms::read(image, bits)?;
    *bytes = transforms.needs(image);
    if !transforms.global_tree {
        tree::read(bytes, MOST_NODES, bits, env)?;
    }
    Ok(())
}

fn most_nodes(image: &Image) -> usize {
    (1024 + image.samples()).min(MOST_NODES)
}
