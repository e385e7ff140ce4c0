//! Sequence parameter sets (clause 7.3.2.2).

use crate::bits::Bits;
use crate::error::{Error, Result};
use crate::scaling::ScalingList;
use crate::vui::{self, Signal};

/// Of chroma samples to luma samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chroma {
    /// There is none.
    Monochrome,
    /// 4:2:0: half the width and height.
    Halved,
    /// 4:2:2: half the width.
    Narrow,
    /// 4:4:4.
    Full,
}

impl Chroma {
    /// Shifts from luma to chroma places, across and down.
    pub fn shifts(self) -> (u32, u32) {
        match self {
            Self::Halved => (1, 1),
            Self::Narrow => (1, 0),
            Self::Monochrome | Self::Full => (0, 0),
        }
    }

    /// Components of a picture.
    pub fn planes(self) -> usize {
        if self == Self::Monochrome { 1 } else { 3 }
    }
}

/// A sequence parameter set.
#[derive(Clone, Debug)]
pub struct Sps {
    /// chroma_format_idc.
    pub chroma: Chroma,
    /// Luma samples across as coded: whole minimum coding blocks.
    pub width: usize,
    /// Luma samples down as coded: whole minimum coding blocks.
    pub height: usize,
    /// Luma samples that are not to be shown: left, right, top, bottom.
    pub crop: [usize; 4],
    /// Of luma and chroma, 8 to 16.
    pub depth: [u32; 2],
    /// Bits of slice_pic_order_cnt_lsb.
    pub poc_bits: u32,
    /// Of the side of the smallest coding block.
    pub min_cb_log2: u32,
    /// Of the side of a coding tree block.
    pub ctb_log2: u32,
    /// Of the side of the smallest transform block.
    pub min_tb_log2: u32,
    /// Of the side of the largest transform block.
    pub max_tb_log2: u32,
    /// max_transform_hierarchy_depth_intra.
    pub max_depth_intra: u32,
    /// `None`: flat.
    pub scaling: Option<Box<ScalingList>>,
    /// sample_adaptive_offset_enabled_flag.
    pub sao: bool,
    /// Negative and positive pictures of each set, added.
    pub ref_pic_sets: Vec<u32>,
    /// num_long_term_ref_pics_sps, where there may be such pictures.
    pub long_term: Option<u32>,
    /// sps_temporal_mvp_enabled_flag.
    pub temporal_mvp: bool,
    /// strong_intra_smoothing_enabled_flag.
    pub strong_smoothing: bool,
    /// Of the video usability information.
    pub signal: Signal,
}

/// Samples that a side may have.
const MOST: u32 = 1 << 16;

impl Sps {
    /// With its number.
    pub fn read(payload: &[u8]) -> Result<(usize, Self)> {
        let bits = &mut Bits::new(payload);
        bits.skip(4)?;
        let sub_layers = bits.bits(3)?;
        bits.skip(1)?;
        profile_tier_level(bits, sub_layers)?;
        let id = bits.ue_to(15)? as usize;
        let chroma = match bits.ue_to(3)? {
            0 => Chroma::Monochrome,
            1 => Chroma::Halved,
            2 => Chroma::Narrow,
            _ if bits.flag()? => return Err(Error::Unsupported("colour planes coded apart")),
            _ => Chroma::Full,
        };
        let (width, height) = (bits.ue_to(MOST)?, bits.ue_to(MOST)?);
        let mut crop = [0; 4];
        if bits.flag()? {
            let (across, down) = chroma.shifts();
            for (side, shift) in crop.iter_mut().zip([across, across, down, down]) {
                *side = (bits.ue_to(MOST)? as usize) << shift;
            }
        }
        let depth = [bits.ue_to(8)? + 8, bits.ue_to(8)? + 8];
        let poc_bits = bits.ue_to(12)? + 4;
        let first = if bits.flag()? { 0 } else { sub_layers };
        for _ in first..=sub_layers {
            for _ in 0..3 {
                bits.ue()?;
            }
        }
        let min_cb_log2 = bits.ue_to(3)? + 3;
        let ctb_log2 = min_cb_log2 + bits.ue_to(3)?;
        let min_tb_log2 = bits.ue_to(3)? + 2;
        let max_tb_log2 = min_tb_log2 + bits.ue_to(3)?;
        bits.ue_to(4)?;
        let max_depth_intra = bits.ue_to(4)?;
        let scaling = if !bits.flag()? {
            None
        } else if bits.flag()? {
            Some(Box::new(ScalingList::read(bits)?))
        } else {
            Some(Box::default())
        };
        // Asymmetric motion.
        bits.skip(1)?;
        let sao = bits.flag()?;
        if bits.flag()? {
            return Err(Error::Unsupported("blocks of raw samples (PCM)"));
        }
        let mut ref_pic_sets = Vec::new();
        for i in 0..bits.ue_to(64)? {
            let set = ref_pic_set(bits, i as usize, &ref_pic_sets, false)?;
            ref_pic_sets.push(set);
        }
        let mut long_term = None;
        if bits.flag()? {
            let count = bits.ue_to(32)?;
            bits.skip(count as usize * (poc_bits as usize + 1))?;
            long_term = Some(count);
        }
        let (temporal_mvp, strong_smoothing) = (bits.flag()?, bits.flag()?);
        let signal = if bits.flag()? { vui::read(bits, sub_layers)? } else { Signal::default() };
        if bits.flag()? {
            extensions(bits)?;
        }
        let (width, height) = (width as usize, height as usize);
        let whole = (1 << min_cb_log2) - 1;
        let sizes = width > 0 && height > 0 && width & whole == 0 && height & whole == 0;
        let blocks = (4..=6).contains(&ctb_log2) && max_tb_log2 <= ctb_log2.min(5) && min_tb_log2 < min_cb_log2;
        let [left, right, top, bottom] = crop;
        if !sizes || !blocks || left + right >= width || top + bottom >= height {
            return Err(Error::Damaged("sizes of a sequence parameter set contradict each other"));
        }
        #[rustfmt::skip]
        let sps = Self {
            chroma, width, height, crop, depth, poc_bits, min_cb_log2, ctb_log2, min_tb_log2, max_tb_log2, max_depth_intra,
            scaling, sao, ref_pic_sets, long_term, temporal_mvp, strong_smoothing, signal,
        };
        Ok((id, sps))
    }

    /// What is shown.
    pub fn shown(&self) -> (usize, usize) {
        let [left, right, top, bottom] = self.crop;
        (self.width - left - right, self.height - top - bottom)
    }

    /// Of luma or chroma.
    pub fn depth_of(&self, component: usize) -> u32 {
        self.depth[usize::from(component > 0)]
    }

    /// Coding tree blocks in a row, and rows of them.
    pub fn ctbs(&self) -> (usize, usize) {
        let size = 1 << self.ctb_log2;
        (self.width.div_ceil(size), self.height.div_ceil(size))
    }
}

fn profile_tier_level(bits: &mut Bits, sub_layers: u32) -> Result<()> {
    bits.skip(88 + 8)?;
    let mut present = Vec::new();
    for _ in 0..sub_layers {
        present.push((bits.flag()?, bits.flag()?));
    }
    if sub_layers > 0 {
        bits.skip(2 * (8 - sub_layers as usize))?;
    }
    for (profile, level) in present {
        bits.skip(if profile { 88 } else { 0 } + if level { 8 } else { 0 })?;
    }
    Ok(())
}

/// How many pictures a set has (clause 7.3.7).
pub fn ref_pic_set(bits: &mut Bits, i: usize, sets: &[u32], in_slice: bool) -> Result<u32> {
    const BAD: Error = Error::Damaged("a reference picture set is not there");
    if i > 0 && bits.flag()? {
        let back = if in_slice { bits.ue()? as usize } else { 0 };
        bits.skip(1)?;
        bits.ue()?;
        let of = i.checked_sub(back.saturating_add(1)).and_then(|i| sets.get(i)).ok_or(BAD)?;
        let mut count = 0;
        for _ in 0..=*of {
            // Used by this picture, or by later ones.
            if bits.flag()? || bits.flag()? {
                count += 1;
            }
        }
        return Ok(count);
    }
    let count = bits.ue_to(16)? + bits.ue_to(16)?;
    for _ in 0..count {
        bits.ue()?;
        bits.skip(1)?;
    }
    Ok(count)
}

/// Tools of later versions that change how a picture is decoded.
fn extensions(bits: &mut Bits) -> Result<()> {
    let (range, multilayer, three, screen) = (bits.flag()?, bits.flag()?, bits.flag()?, bits.flag()?);
    bits.skip(4)?;
    if range && bits.bits(9)? != 0 {
        return Err(Error::Unsupported("tools of the range extensions"));
    }
    if multilayer {
        bits.skip(1)?;
    }
    if three {
        return Err(Error::Unsupported("tools of the 3D extension"));
    }
    if screen {
        return Err(Error::Unsupported("tools of the screen content extensions"));
    }
    Ok(())
}
