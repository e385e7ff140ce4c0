//! Slice segment headers of intra slices (clause 7.3.6).

use crate::bits::Bits;
use crate::error::{Error, Result};
use crate::nal::{IDR, IRAP};
use crate::pps::{Deblocking, Pps};
use crate::sets::Sets;
use crate::sps::{Chroma, Sps, ref_pic_set};

/// What holds for a slice, which may be in several segments.
#[derive(Clone, Copy, Debug, Default)]
pub struct Slice {
    /// The quantiser of luma that it begins with.
    pub qp: i32,
    /// Of Cb and Cr.
    pub qp_offsets: [i32; 2],
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
#[derive(Clone, Copy, Debug)]
pub struct Segment<'p> {
    /// It begins a picture.
    pub first: bool,
    /// It goes on with the slice before it.
    pub dependent: bool,
    /// Its first coding tree block, in raster order.
    pub address: usize,
    /// Its own, or of a dependent one that of the segment before.
    pub slice: Slice,
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
        let slice = if dependent {
            *before.ok_or(Error::Damaged("a slice segment goes on with none"))?
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
        Ok(Self { first, dependent, address, slice, data: bits.aligned()? })
    }
}

fn slice(bits: &mut Bits, kind: u8, sps: &Sps, pps: &Pps) -> Result<Slice> {
    bits.skip(pps.extra_bits)?;
    if bits.ue()? != 2 {
        return Err(Error::Unsupported("a picture that is predicted from others"));
    }
    if pps.output_flag {
        bits.skip(1)?;
    }
    if !IDR.contains(&kind) {
        references(bits, sps)?;
    }
    let mut sao = [false; 2];
    if sps.sao {
        sao = [bits.flag()?, sps.chroma != Chroma::Monochrome && bits.flag()?];
    }
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
    Ok(Slice { qp, qp_offsets, sao_luma: sao[0], sao_chroma: sao[1], deblocking, filter_across })
}

/// The pictures that later ones may need.
fn references(bits: &mut Bits, sps: &Sps) -> Result<()> {
    bits.skip(sps.poc_bits as usize)?;
    let sets = &sps.ref_pic_sets;
    if !bits.flag()? {
        ref_pic_set(bits, sets.len(), sets, true)?;
    } else if sets.len() > 1 {
        bits.skip((usize::BITS - (sets.len() - 1).leading_zeros()) as usize)?;
    }
    if let Some(known) = sps.long_term {
        let of_sps = if known > 0 { bits.ue_to(32)? } else { 0 };
        let own = bits.ue_to(32)?;
        for i in 0..of_sps + own {
            if i < of_sps {
                bits.skip(if known > 1 { (u32::BITS - (known - 1).leading_zeros()) as usize } else { 0 })?;
            } else {
                bits.skip(sps.poc_bits as usize + 1)?;
            }
            if bits.flag()? {
                bits.ue()?;
            }
        }
    }
    if sps.temporal_mvp {
        bits.skip(1)?;
    }
    Ok(())
}
