//! The frames that are decoded for a picture, by their headers (ISO/IEC 18181-1, annex F): what is kept of them for others, and what a few
//! bytes of theirs can ask for.

use jpeg_levels::Env;
use jxl_bitstream::Bitstream;
use jxl_frame::FrameHeader;
use jxl_frame::data::{Toc, TocGroup, TocGroupKind};
use jxl_frame::header::{Encoding, FrameType};
use jxl_oxide_common::Bundle;

use crate::error::{Error, Result, look};
use crate::features::area;
use crate::global::{self, Global};
use crate::header::Header;
use crate::{groups, profile};

/// Groups of pixels are no smaller than this in both directions.
const GROUP: usize = 128;

/// What the frames take beside the picture.
#[derive(Clone, Copy, Debug, Default)]
pub struct Needs {
    /// Bytes at most at a time.
    pub bytes: usize,
    /// Bytes of frames that are kept, by the slot that they are kept in.
    kept: [usize; SLOTS],
}

/// Four for whole frames, and as many for averages of blocks.
const SLOTS: usize = 8;

/// Reads the headers up to the frame that is shown first, or to the end of the bytes: more is what the decoder misses, too.
///
/// # Errors
///
/// What does not end in its section is an error: `jxl` reads zeros behind it, and may find any number of them.
pub fn read(header: &Header, codestream: &[u8], needs: &mut Needs, env: &Env<'_>) -> Result<()> {
    let mut rest = match behind_profile(header, codestream, env) {
        Err(Error::Truncated) => return Ok(()),
        rest => rest?,
    };
    let mut left = Left { groups: most_groups(header), pixels: most_pixels_of_all(header) };
    loop {
        look(env)?;
        let frame = match Frame::read(header, rest, &mut left) {
            Err(Error::Truncated) => return Ok(()),
            frame => frame?,
        };
        needs.add(&frame, header, rest, env)?;
        if frame.header.is_keyframe() {
            return Ok(());
        }
        let Some(next) = rest.get(frame.len..) else { return Ok(()) };
        rest = next;
    }
}

/// The first frame, and what follows it.
fn behind_profile<'a>(header: &Header, codestream: &'a [u8], env: &Env<'_>) -> Result<&'a [u8]> {
    let mut bits = Bitstream::new(codestream);
    bits.skip_bits(header.bits)?;
    if header.image.metadata.colour_encoding.want_icc() {
        profile::skip(&mut bits, env)?;
    }
    bits.zero_pad_to_byte()?;
    codestream.get(bits.num_read_bits() / 8..).ok_or(Error::Truncated)
}

/// Samples that a frame may have: those of frames which others are made of may be more than the picture's.
pub fn most_samples(header: &Header) -> usize {
    most_pixels(header).saturating_mul(header.channels())
}

/// No frame has more than 2^40.
fn most_pixels(header: &Header) -> usize {
    header.area().saturating_mul(4).saturating_add(1 << 20).min(1 << 40)
}

/// Groups that are decoded for a picture, all passes and frames together.
pub fn most_groups(header: &Header) -> usize {
    let across = header.width().div_ceil(GROUP);
    let down = header.height().div_ceil(GROUP);
    across.saturating_mul(down).saturating_add(64).saturating_mul(64)
}

/// Bytes of a row of groups that is on its way through a frame: numbers of four bytes.
fn rows(frame: &FrameHeader, channels: usize) -> usize {
    let rows = frame.group_dim().min(frame.height) as usize;
    (4 * rows).saturating_mul(frame.width as usize).saturating_mul(channels + 1)
}

/// Of all frames together.
fn most_pixels_of_all(header: &Header) -> usize {
    header.area().saturating_mul(32).saturating_add(1 << 24)
}

/// Work that the frames may still be.
struct Left {
    groups: usize,
    pixels: usize,
}

impl Left {
    fn take(&mut self, groups: usize, pixels: usize) -> Result<()> {
        let left = self.groups.checked_sub(groups).zip(self.pixels.checked_sub(pixels));
        (self.groups, self.pixels) = left.ok_or(Error::TooMuch("too many frames before the first that is shown"))?;
        Ok(())
    }
}

struct Frame {
    header: FrameHeader,
    sections: Vec<TocGroup>,
    /// Bytes to the next one.
    len: usize,
}

impl Frame {
    fn read(header: &Header, bytes: &[u8], left: &mut Left) -> Result<Self> {
        const LARGE: Error = Error::TooMuch("frames are much larger than the picture");
        let mut bits = Bitstream::new(bytes);
        let frame = FrameHeader::parse(&mut bits, &header.image)?;
        if area(&frame) > most_pixels(header) {
            return Err(LARGE);
        }
        if area(&frame) == 0 {
            return Err(Error::Damaged("a frame without pixels".to_owned()));
        }
        let passes = frame.passes.num_passes as usize;
        let count = (frame.num_groups() as usize).saturating_mul(passes);
        left.take(count, area(&frame))?;
        let toc = Toc::parse(&mut bits, &frame)?;
        let len = toc.bookmark().saturating_add(toc.total_byte_size());
        Ok(Self { header: frame, sections: toc.iter_bitstream_order().collect(), len })
    }

    /// Bytes that all its groups have in common.
    fn global(&self, header: &Header, bytes: &[u8], env: &Env<'_>) -> Result<usize> {
        let mut global = Global::default();
        for kind in [TocGroupKind::All, TocGroupKind::LfGlobal, TocGroupKind::HfGlobal] {
            let Some(section) = self.sections.iter().find(|section| section.kind == kind) else { continue };
            let (section, is_whole) = part(bytes, section);
            let read = match kind {
                TocGroupKind::HfGlobal if section.is_empty() => Ok(()),
                TocGroupKind::HfGlobal => global::read_coefficients(&mut global, &self.header, section, env),
                _ => {
                    let is_all = kind == TocGroupKind::All;
                    global::read_first(&mut global, &self.header, header, section, is_all, env)
                }
            };
            match read {
                Err(Error::Truncated) if is_whole => {
                    return Err(Error::Damaged("a frame's section ends too early".to_owned()));
                }
                // What the bytes do not have is what the decoder misses, too.
                Err(Error::Truncated) => break,
                read => read?,
            }
        }
        Ok(global.bytes)
    }

    /// Bytes of that group that takes the most.
    fn groups(&self, header: &Header, bytes: &[u8], env: &Env<'_>) -> Result<usize> {
        let mut most = 0;
        for section in &self.sections {
            let is_lf = match section.kind {
                TocGroupKind::LfGroup(_) => true,
                TocGroupKind::GroupPass { .. } => false,
                _ => continue,
            };
            look(env)?;
            let mut bits = Bitstream::new(part(bytes, section).0);
            most = most.max(groups::needs(&self.header, header, is_lf, &mut bits, env)?);
        }
        Ok(most)
    }
}

/// The bytes that there are of a section, and whether those are all.
fn part<'a>(bytes: &'a [u8], section: &TocGroup) -> (&'a [u8], bool) {
    let end = section.offset.saturating_add(section.size as usize);
    (bytes.get(section.offset..end.min(bytes.len())).unwrap_or_default(), end <= bytes.len())
}

impl Needs {
    fn add(&mut self, frame: &Frame, header: &Header, bytes: &[u8], env: &Env<'_>) -> Result<()> {
        let channels = header.channels();
        let global = frame.global(header, bytes, env)?;
        let groups = frame.groups(header, bytes, env)?;
        let frame = &frame.header;
        let mut own = global.saturating_add(groups).saturating_add(rows(frame, channels));
        // Coefficients of all passes, of three channels.
        if frame.encoding == Encoding::VarDct && frame.passes.num_passes > 1 {
            own = own.saturating_add(area(frame).saturating_mul(12));
        }
        let kept = kept(frame, header);
        // Whole, as one of numbers is in the worst case: the picture's room holds none of it.
        if !frame.is_keyframe() {
            let whole = area(frame).saturating_mul(4 * channels);
            own = own.saturating_add(whole);
        }
        let others: usize = self.kept.iter().sum();
        self.bytes = self.bytes.max(others.saturating_add(own).saturating_add(kept));
        let slot = match frame.frame_type {
            FrameType::LfFrame => 3 + frame.lf_level as usize,
            _ => frame.save_as_reference as usize,
        };
        if kept > 0
            && let Some(slot) = self.kept.get_mut(slot)
        {
            *slot = kept;
        }
        Ok(())
    }
}

/// Bytes of a frame that others are made of: numbers of four bytes.
fn kept(frame: &FrameHeader, header: &Header) -> usize {
    let (width, height) = (frame.sample_width(1) as usize, frame.sample_height(1) as usize);
    if frame.frame_type == FrameType::LfFrame {
        return width.saturating_mul(height).saturating_mul(12);
    }
    if !frame.can_reference() {
        return 0;
    }
    // What is kept with its colours made has the picture's size.
    let area = if frame.save_before_ct { width.saturating_mul(height) } else { header.area() };
    area.saturating_mul(4 * header.channels())
}
