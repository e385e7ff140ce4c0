//! Sequence parameter sets (clause 7.3.2.2).

use crate::bits::Bits;
use crate::error::{Error, Result};
use crate::rps::RefPicSet;
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
    /// max_transform_hierarchy_depth_inter.
    pub max_depth_inter: u32,
    /// max_transform_hierarchy_depth_intra.
    pub max_depth_intra: u32,
    /// What pictures wait for before they are shown.
    pub buffering: Buffering,
    /// amp_enabled_flag.
    pub asymmetric: bool,
    /// Blocks of raw samples, where there may be any.
    pub pcm: Option<Pcm>,
    /// `None`: flat.
    pub scaling: Option<Box<ScalingList>>,
    /// sample_adaptive_offset_enabled_flag.
    pub sao: bool,
    /// Those that slices may name.
    pub ref_pic_sets: Vec<RefPicSet>,
    /// Long-term pictures that slices may name, by the last bits of their counts, and whether they are used. `None` where there
    /// are no such pictures.
    pub long_term: Option<Vec<(u32, bool)>>,
    /// sps_temporal_mvp_enabled_flag.
    pub temporal_mvp: bool,
    /// strong_intra_smoothing_enabled_flag.
    pub strong_smoothing: bool,
    /// Of the video usability information.
    pub signal: Signal,
}

/// What pictures wait for before they are shown, for the highest of temporal layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Buffering {
    /// Pictures that are kept at most, with the current one: 1 to 16.
    pub pictures: usize,
    /// Pictures that come before one and are shown after it.
    pub reorder: usize,
}

impl Buffering {
    fn read(bits: &mut Bits) -> Result<Self> {
        let (pictures, reorder) = (bits.ue()?.min(15) as usize + 1, bits.ue()?.min(15) as usize);
        // How late a picture may be does not change their order.
        bits.ue()?;
        Ok(Self { pictures, reorder })
    }
}

/// Blocks of raw samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pcm {
    /// Bits of a luma and of a chroma sample.
    pub depth: [u32; 2],
    /// Of the sides of the blocks that may be coded so.
    pub log2: (u32, u32),
    /// pcm_loop_filter_disabled_flag.
    pub exact: bool,
}

impl Pcm {
    fn read(bits: &mut Bits, depth: [u32; 2]) -> Result<Self> {
        let of_samples = [bits.bits(4)? + 1, bits.bits(4)? + 1];
        let least = bits.ue_to(2)? + 3;
        let most = least + bits.ue_to(2)?;
        if of_samples[0] > depth[0] || of_samples[1] > depth[1] || most > 5 {
            return Err(Error::Damaged("blocks of raw samples are larger than others"));
        }
        Ok(Self { depth: of_samples, log2: (least, most), exact: bits.flag()? })
    }
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
        let mut buffering = Buffering::default();
        for _ in first..=sub_layers {
            buffering = Buffering::read(bits)?;
        }
        let min_cb_log2 = bits.ue_to(3)? + 3;
        let ctb_log2 = min_cb_log2 + bits.ue_to(3)?;
        let min_tb_log2 = bits.ue_to(3)? + 2;
        let max_tb_log2 = min_tb_log2 + bits.ue_to(3)?;
        let max_depth_inter = bits.ue_to(4)?;
        let max_depth_intra = bits.ue_to(4)?;
        let scaling = if !bits.flag()? {
            None
        } else if bits.flag()? {
            Some(Box::new(ScalingList::read(bits)?))
        } else {
            Some(Box::default())
        };
        let (asymmetric, sao) = (bits.flag()?, bits.flag()?);
        let pcm = if bits.flag()? { Some(Pcm::read(bits, depth)?) } else { None };
        let mut ref_pic_sets = Vec::new();
        for _ in 0..bits.ue_to(64)? {
            let set = RefPicSet::read(bits, &ref_pic_sets, false)?;
            ref_pic_sets.push(set);
        }
        let mut long_term = None;
        if bits.flag()? {
            let count = bits.ue_to(32)?;
            let known = (0..count).map(|_| Ok((bits.bits(poc_bits)?, bits.flag()?))).collect::<Result<Vec<_>>>()?;
            long_term = Some(known);
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
            chroma, width, height, crop, depth, poc_bits, min_cb_log2, ctb_log2, min_tb_log2, max_tb_log2, max_depth_inter,
            max_depth_intra, buffering, asymmetric, pcm, scaling, sao, ref_pic_sets, long_term, temporal_mvp, strong_smoothing,
            signal,
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
