//! The size of a picture and of its samples, by the first bits of a codestream (ISO/IEC 18181-1, annexes D and E).

use crate::bits::{Bits, Choice};

/// What is known before anything is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// As stored: the orientation is not applied.
    pub width: u32,
    pub height: u32,
    /// EXIF's number from 1 to 8.
    pub orientation: u8,
    pub samples: Samples,
    /// Channels beside those of colour: alpha, depth and others.
    pub extra: u32,
    pub animated: bool,
}

/// How samples are declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Samples {
    /// Whole numbers of so many bits.
    Bits(u32),
    Floats,
}

/// Bytes that a header may take.
pub const LONGEST: usize = 64;

impl Header {
    /// `None` where the bytes are no header, or end in it.
    pub fn read(codestream: &[u8]) -> Option<Self> {
        let mut bits = Bits::new(codestream.strip_prefix(b"\xff\x0a")?);
        let (width, height) = size(&mut bits)?;
        let mut header = Self { width, height, orientation: 1, samples: Samples::Bits(8), extra: 0, animated: false };
        let all_default = bits.flag()?;
        if all_default {
            return Some(header);
        }
        if bits.flag()? {
            header.orientation = bits.take(3)? as u8 + 1;
            let intrinsic = bits.flag()?;
            if intrinsic {
                size(&mut bits)?;
            }
            let preview = bits.flag()?;
            if preview {
                preview_size(&mut bits)?;
            }
            header.animated = bits.flag()?;
            if header.animated {
                animation(&mut bits)?;
            }
        }
        let floats = bits.flag()?;
        header.samples = if floats {
            bits.choose([Choice::Is(32), Choice::Is(16), Choice::Is(24), Choice::Of(6, 1)])?;
            bits.take(4)?;
            Samples::Floats
        } else {
            Samples::Bits(bits.choose([Choice::Is(8), Choice::Is(10), Choice::Is(12), Choice::Of(6, 1)])?)
        };
        let _narrow_modular = bits.flag()?;
        header.extra = bits.choose([Choice::Is(0), Choice::Is(1), Choice::Of(4, 2), Choice::Of(12, 1)])?;
        Some(header)
    }
}

/// Height first; the width may be said by a ratio.
fn size(bits: &mut Bits) -> Option<(u32, u32)> {
    let small = bits.flag()?;
    let side = |bits: &mut Bits| {
        if small {
            Some(8 * (bits.take(5)? + 1))
        } else {
            bits.choose([Choice::Of(9, 1), Choice::Of(13, 1), Choice::Of(18, 1), Choice::Of(30, 1)])
        }
    };
    sides(bits, side)
}

fn preview_size(bits: &mut Bits) -> Option<(u32, u32)> {
    let eights = bits.flag()?;
    let side = |bits: &mut Bits| {
        if eights {
            Some(8 * bits.choose([Choice::Is(16), Choice::Is(32), Choice::Of(5, 1), Choice::Of(9, 33)])?)
        } else {
            bits.choose([Choice::Of(6, 1), Choice::Of(8, 65), Choice::Of(10, 321), Choice::Of(12, 1345)])
        }
    };
    sides(bits, side)
}

fn sides(bits: &mut Bits, side: impl Fn(&mut Bits) -> Option<u32>) -> Option<(u32, u32)> {
    const RATIOS: [(u64, u64); 7] = [(1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1)];
    let height = side(bits)?;
    let width = match bits.take(3)? {
        0 => side(bits)?,
        ratio => {
            let (across, down) = RATIOS.get(ratio as usize - 1)?;
            u32::try_from(u64::from(height) * across / down).ok()?
        }
    };
    Some((width, height))
}

fn animation(bits: &mut Bits) -> Option<()> {
    bits.choose([Choice::Is(100), Choice::Is(1000), Choice::Of(10, 1), Choice::Of(30, 1)])?;
    bits.choose([Choice::Is(1), Choice::Is(1001), Choice::Of(8, 1), Choice::Of(10, 1)])?;
    bits.choose([Choice::Is(0), Choice::Of(3, 0), Choice::Of(16, 0), Choice::Of(32, 0)])?;
    bits.flag()?;
    Some(())
}
