//! How many patches and splines a frame has (ISO/IEC 18181-1, annexes K.3 and K.4). A few bytes can say millions of both, and `jxl` makes room
//! for all of them before it looks up. So they are counted first.

use jpeg_levels::Env;
use jxl_bitstream::{Bitstream, unpack_signed};
use jxl_frame::FrameHeader;

use crate::codes;
use crate::error::{Error, Result, look};

/// Patches and splines that are read between two looks.
const LOOK: usize = 1 << 10;
/// Bytes that `jxl` has of a patch: its place, eight ways to blend for each channel, its places in three lists. Vectors grow to the double.
const PATCH: usize = 640;
/// Bytes of a spline without points, as a vector grows.
const SPLINE: usize = 3 * 552;
/// Bytes of a point, which becomes sixteen; and of one that is drawn at each unit of length.
const POINT: usize = 3 * (16 + 8 + 16 * 8);
const DRAWN: usize = 3 * (12 + 40);
/// Bytes of a row that a drawn point reaches.
const ROW: usize = 3 * 24;
const MOST_SPLINES: usize = 1 << 14;
const MOST_POINTS: usize = 1 << 16;

/// Reads the frame's patches and splines, with which its first section begins, and adds to `bytes` what they take at most.
pub fn read(
    bytes: &mut usize,
    frame: &FrameHeader,
    channels: usize,
    bits: &mut Bitstream,
    env: &Env<'_>,
) -> Result<()> {
    if frame.flags.patches() {
        *bytes = bytes.saturating_add(patches(frame, channels, bits, env)?.saturating_mul(PATCH));
    }
    if frame.flags.splines() {
        *bytes = bytes.saturating_add(splines(frame, bits, env)?);
    }
    Ok(())
}

/// Pixels of a frame; of one that has averages of blocks, those.
pub fn area(frame: &FrameHeader) -> usize {
    (frame.sample_width(1) as usize).saturating_mul(frame.sample_height(1) as usize)
}

/// How many there are.
fn patches(frame: &FrameHeader, channels: usize, bits: &mut Bitstream, env: &Env<'_>) -> Result<usize> {
    const MANY: Error = Error::TooMuch("too many patches");
    let area = area(frame);
    let most = (1 << 16) + area / 64;
    let most_pixels = (1 << 20) + 8 * area as u64;
    let (mut coded, _) = codes::read(bits, 10)?;
    coded.begin(bits)?;
    let mut next = |bits: &mut Bitstream, context| coded.read_varint(bits, context).map(|n| n as usize);
    // All channels but those of colour blend on their own.
    let ways = channels - 2;
    let (mut count, mut pixels) = (0_usize, 0_u64);
    let sources = next(bits, 0)?;
    if sources > most {
        return Err(MANY);
    }
    for i in 0..sources {
        if i % LOOK == 0 {
            look(env)?;
        }
        let _frame = next(bits, 1)?;
        let _place = (next(bits, 3)?, next(bits, 3)?);
        let (width, height) = (next(bits, 2)? as u64 + 1, next(bits, 2)? as u64 + 1);
        let copies = next(bits, 7)?.saturating_add(1);
        count = count.saturating_add(copies);
        pixels = pixels.saturating_add(width.saturating_mul(height).saturating_mul(copies as u64));
        if count.saturating_mul(ways) > most || pixels > most_pixels {
            return Err(MANY);
        }
        for copy in 0..copies {
            let context = if copy == 0 { 4 } else { 6 };
            let _place = (next(bits, context)?, next(bits, context)?);
            for _ in 0..ways {
                // `jxl` takes the low byte.
                let mode = next(bits, 5)? as u8;
                // One of several alpha channels is named.
                if mode >= 4 && ways > 2 {
                    next(bits, 8)?;
                }
                if mode >= 3 {
                    next(bits, 9)?;
                }
            }
        }
    }
    coded.finalize()?;
    Ok(count.saturating_mul(ways).saturating_add(sources))
}

/// Bytes that they take.
fn splines(frame: &FrameHeader, bits: &mut Bitstream, env: &Env<'_>) -> Result<usize> {
    const MANY: Error = Error::TooMuch("too many splines");
    let (mut coded, _) = codes::read(bits, 6)?;
    coded.begin(bits)?;
    let mut next = |bits: &mut Bitstream, context| coded.read_varint(bits, context);
    let count = (next(bits, 2)? as usize).saturating_add(1);
    if count > MOST_SPLINES {
        return Err(MANY);
    }
    for _ in 0..2 * count {
        next(bits, 1)?;
    }
    let scale = inverse_quantizer(unpack_signed(next(bits, 0)?));
    let mut bytes = count * SPLINE;
    let (mut points, mut drawn) = (0_usize, 0.0);
    for i in 0..count {
        if i % LOOK == 0 {
            look(env)?;
        }
        let here = next(bits, 3)? as usize;
        points = points.saturating_add(here);
        if points > MOST_POINTS {
            return Err(MANY);
        }
        let length = length(here, || Ok((unpack_signed(next(bits, 4)?), unpack_signed(next(bits, 4)?))))?;
        for _ in 0..3 * 32 {
            next(bits, 5)?;
        }
        let mut width = 0.0;
        for _ in 0..32 {
            width += f64::from(unpack_signed(next(bits, 5)?).unsigned_abs());
        }
        // Drawn as far as a 1000th of the brightest of colours. The curve goes round its points.
        let rows = 2.0 + 2.0 * 14.0 * 0.4715 * scale * width;
        let length = 2.0 * length + 2.0;
        drawn += length * rows * rows.min(f64::from(frame.width));
        if drawn > (1 << 28) as f64 + 64.0 * area(frame) as f64 {
            return Err(MANY);
        }
        let line = length * (DRAWN as f64 + ROW as f64 * rows);
        bytes = bytes.saturating_add(here.saturating_mul(POINT)).saturating_add(line as usize);
    }
    coded.finalize()?;
    Ok(bytes)
}

/// From point to point, by what a step differs from the step before: columns and rows together.
fn length(points: usize, mut next: impl FnMut() -> Result<(i32, i32)>) -> Result<f64> {
    let (mut x, mut y, mut length) = (0_i64, 0_i64, 0_u64);
    for _ in 0..points {
        let more = next()?;
        (x, y) = (x + i64::from(more.0), y + i64::from(more.1));
        length = length.saturating_add(x.unsigned_abs()).saturating_add(y.unsigned_abs());
    }
    Ok(length as f64)
}

fn inverse_quantizer(adjustment: i32) -> f64 {
    let adjustment = f64::from(adjustment) / 8.0;
    if adjustment < 0.0 { 1.0 - adjustment } else { 1.0 / (1.0 + adjustment) }
}
