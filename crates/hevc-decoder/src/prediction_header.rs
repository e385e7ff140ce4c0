//! What the headers of slices that are predicted from other pictures say besides (clauses 7.3.6.1 and 7.3.6.2).

use crate::bits::Bits;
use crate::error::{Error, Result};
use crate::pps::Pps;
use crate::rps::{Long, RefPicSet};
use crate::sps::Sps;
use crate::weights::Weights;

/// What a slice says of its picture and of those that are kept.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// The last bits of the picture order count.
    pub lsb: u32,
    /// The short-term pictures.
    pub short: RefPicSet,
    /// The long-term pictures.
    pub long: Vec<Long>,
    /// The picture is to be shown.
    pub shown: bool,
}

/// Of a P or B slice.
#[derive(Clone, Debug)]
pub struct Header {
    /// It is a B slice: blocks may be predicted from two pictures.
    pub bidirectional: bool,
    /// Pictures in either list: 1 to 16, and in the second list of P slices 0.
    pub active: [usize; 2],
    /// Lists that are not in the usual order: which of the pictures used comes at each index.
    pub entries: [Option<[u8; 16]>; 2],
    /// Second differences of blocks with two pictures are zero.
    pub mvd_l1_zero: bool,
    /// Of the picture whose motion is a candidate: its list and index.
    pub collocated: Option<(usize, usize)>,
    /// `None`: all have the same.
    pub weights: Option<Box<Weights>>,
    /// Candidates that a block may merge with, 1 to 5.
    pub candidates: usize,
    /// With which of the sets of contexts it begins: 1 or 2.
    pub contexts: usize,
}

impl Header {
    /// `temporal`: slice_temporal_mvp_enabled_flag.
    pub fn read(
        bits: &mut Bits,
        sps: &Sps,
        pps: &Pps,
        bidirectional: bool,
        temporal: bool,
        kept: &Kept,
    ) -> Result<Self> {
        let mut active = pps.active;
        if bits.flag()? {
            active[0] = bits.ue_to(14)? as usize + 1;
            if bidirectional {
                active[1] = bits.ue_to(14)? as usize + 1;
            }
        }
        if !bidirectional {
            active[1] = 0;
        }
        let used = kept.short.each().filter(|delta| delta.used).count()
            + kept.long.iter().filter(|picture| picture.used).count();
        if used == 0 {
            return Err(Error::Damaged("a picture is predicted from none"));
        }
        let mut entries = [None; 2];
        if pps.lists_modified && used > 1 {
            let width = usize::BITS - (used - 1).leading_zeros();
            for (entries, count) in entries.iter_mut().zip(active) {
                if count == 0 || !bits.flag()? {
                    continue;
                }
                let mut list = [0; 16];
                for entry in list.iter_mut().take(count) {
                    // At most 48 pictures.
                    *entry = bits.bits(width)? as u8;
                }
                *entries = Some(list);
            }
        }
        let mvd_l1_zero = bidirectional && bits.flag()?;
        let other = pps.cabac_init && bits.flag()?;
        let mut collocated = None;
        if temporal {
            let list = usize::from(bidirectional && !bits.flag()?);
            let last = active[list].saturating_sub(1) as u32;
            let index = if last > 0 { bits.ue_to(last)? } else { 0 };
            collocated = Some((list, index as usize));
        }
        let mut weights = None;
        if pps.weighted[usize::from(bidirectional)] {
            weights = Some(Box::new(Weights::read(bits, sps, active)?));
        }
        let candidates = 5 - bits.ue_to(4)? as usize;
        let contexts = if bidirectional == other { 1 } else { 2 };
        Ok(Self { bidirectional, active, entries, mvd_l1_zero, collocated, weights, candidates, contexts })
    }
}
