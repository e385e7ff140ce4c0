//! Slice segment headers (clause 7.3.6).

use crate::bits::Bits;
use crate::error::{Error, Result};
use crate::nal::{IDR, IRAP};
use crate::pps::{Deblocking, Pps};
use crate::prediction_header::{Header, Kept};
use crate::rps::{Long, RefPicSet};
use crate::sets::Sets;
use crate::sps::{Chroma, Sps};

/// What holds for a slice, which may be in several segments.
#[derive(Clone, Copy, Debug, Default)]
pub struct Slice {
    /// The quantiser of luma that it begins with.
    pub qp: i32,
    /// Of Cb and Cr.
    pub qp_offsets: [i32; 2],
    /// With which of three sets of contexts it begins: 0 in intra slices.
    pub contexts: usize,
    /// slice_sao_luma_flag.
    pub sao_luma: bool,
    /// slice_sao_chroma_flag.
    pub sao_chroma: bool,
    /// Its own, or the picture's.
    pub deblocking: Deblocking,
    /// Filters go over its left and upper borders.
    pub filter_across: bool,
}

/// A slice segment: its header, and its data.
#[derive(Clone, Debug)]
pub struct Segment<'p> {
    /// It begins a picture.
    pub first: bool,
    /// It goes on with the slice before it.
    pub dependent: bool,
    /// Its first coding tree block, in raster order.
    pub address: usize,
    /// Its own, or of a dependent one that of the segment before.
    pub slice: Slice,
    /// Of the picture. A dependent segment says nothing of it.
    pub kept: Kept,
    /// Of slices that are predicted from other pictures. A dependent segment says nothing of it.
    pub header: Option<Header>,
    /// Its data.
    pub data: &'p [u8],
}

/// The number of its picture parameter set, and whether it is a picture's first.
pub fn peek(payload: &[u8], kind: u8) -> Result<(bool, usize)> {
    let bits = &mut Bits::new(payload);
    let first = bits.flag()?;
    if IRAP.contains(&kind) {
        bits.skip(1)?;
    }
    Ok((first, bits.ue_to(63)? as usize))
}

impl<'p> Segment<'p> {
    /// `before`: the slice that a dependent one goes on with.
    pub fn read(payload: &'p [u8], kind: u8, sets: &Sets, before: Option<&Slice>) -> Result<Self> {
        let mut bits = Bits::new(payload);
        let first = bits.flag()?;
        if IRAP.contains(&kind) {
            bits.skip(1)?;
        }
        let (sps, pps) = sets.of(bits.ue_to(63)? as usize)?;
        let (mut dependent, mut address) = (false, 0);
        if !first {
            dependent = pps.dependent_slices && bits.flag()?;
            let (columns, rows) = sps.ctbs();
            address = bits.bits(usize::BITS - (columns * rows - 1).leading_zeros())? as usize;
        }
        let (slice, kept, header) = if dependent {
            let before = before.ok_or(Error::Damaged("a slice segment goes on with none"))?;
            (*before, Kept::default(), None)
        } else {
            slice(&mut bits, kind, sps, pps)?
        };
        if pps.tiles.is_some() || pps.wavefront {
            // Where parts begin follows from where those before them end.
            let count = bits.ue()?;
            if count > 0 {
                let width = bits.ue_to(31)? as usize + 1;
                bits.skip((count as usize).saturating_mul(width))?;
            }
        }
        if pps.slice_extension {
            let bytes = bits.ue_to(256)? as usize;
            bits.skip(8 * bytes)?;
        }
        Ok(Self { first, dependent, address, slice, kept, header, data: bits.aligned()? })
    }
}

fn slice(bits: &mut Bits, kind: u8, sps: &Sps, pps: &Pps) -> Result<(Slice, Kept, Option<Header>)> {
    bits.skip(pps.extra_bits)?;
    let bidirectional = match bits.ue_to(2)? {
        0 => Some(true),
        1 => Some(false),
        _ => None,
    };
    let mut kept = Kept { shown: !pps.output_flag || bits.flag()?, ..Kept::default() };
    let mut temporal = false;
    if !IDR.contains(&kind) {
        temporal = references(bits, sps, &mut kept)?;
    } else if bidirectional.is_some() {
        return Err(Error::Damaged("a picture that begins a sequence is predicted from others"));
    }
    let mut sao = [false; 2];
    if sps.sao {
        sao = [bits.flag()?, sps.chroma != Chroma::Monochrome && bits.flag()?];
    }
    let header = match bidirectional {
        Some(bidirectional) => Some(Header::read(bits, sps, pps, bidirectional, temporal, &kept)?),
        None => None,
    };
    // Contexts and transforms are defined for no others.
    let qp = pps.init_qp.saturating_add(bits.se()?);
    let lowest = -6 * (sps.depth[0] as i32 - 8);
    if qp < lowest || qp > 51 {
        return Err(Error::Damaged("a slice's quantiser is beyond its bounds"));
    }
    let mut qp_offsets = [0; 2];
    if pps.slice_qp_offsets {
        qp_offsets = [bits.se_within(-12, 12)?, bits.se_within(-12, 12)?];
    }
    let mut deblocking = pps.deblocking;
    if pps.deblocking_override && bits.flag()? {
        deblocking = Deblocking::read(bits)?;
    }
    let filters = sao[0] || sao[1] || !deblocking.disabled;
    let filter_across = if pps.filter_across_slices && filters { bits.flag()? } else { pps.filter_across_slices };
    let contexts = header.as_ref().map_or(0, |header| header.contexts);
    let [sao_luma, sao_chroma] = sao;
    Ok((Slice { qp, qp_offsets, contexts, sao_luma, sao_chroma, deblocking, filter_across }, kept, header))
}

/// The pictures that this one and later ones may need. Gives slice_temporal_mvp_enabled_flag.
fn references(bits: &mut Bits, sps: &Sps, kept: &mut Kept) -> Result<bool> {
    kept.lsb = bits.bits(sps.poc_bits)?;
    let sets = &sps.ref_pic_sets;
    if !bits.flag()? {
        kept.short = RefPicSet::read(bits, sets, true)?;
    } else {
        let width = sets.len().checked_sub(1).map_or(0, |last| usize::BITS - last.leading_zeros());
        let place = bits.bits(width)? as usize;
        kept.short = sets.get(place).cloned().ok_or(Error::Damaged("a reference picture set is not there"))?;
    }
    if let Some(known) = &sps.long_term {
        kept.long = Long::read(bits, sps.poc_bits, known)?;
    }
    Ok(sps.temporal_mvp && bits.flag()?)
}
