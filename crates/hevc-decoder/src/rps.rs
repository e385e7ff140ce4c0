//! Reference picture sets: which pictures are kept, and which of them the current one is predicted from (clauses 7.3.7 and 7.4.8).

use crate::bits::Bits;
use crate::error::{Error, Result};

/// Pictures that may be kept at a time.
pub const MOST: usize = 16;

/// A picture by its place in the order of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delta {
    /// What its picture order count has more than that of the current picture.
    pub poc: i32,
    /// The current picture may be predicted from it.
    pub used: bool,
}

/// The short-term pictures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RefPicSet {
    /// Those shown before the current picture, the nearest first.
    pub before: Vec<Delta>,
    /// Those shown after it, the nearest first.
    pub after: Vec<Delta>,
}

impl RefPicSet {
    fn len(&self) -> usize {
        self.before.len() + self.after.len()
    }

    /// All of them: before, then after.
    pub fn each(&self) -> impl Iterator<Item = &Delta> {
        self.before.iter().chain(&self.after)
    }

    /// st_ref_pic_set. `sets`: those of the sequence so far; `in_slice`: all of them are there, and this is none of them.
    pub fn read(bits: &mut Bits, sets: &[Self], in_slice: bool) -> Result<Self> {
        const TOO_MANY: Error = Error::Damaged("a reference picture set has too many pictures");
        let set = if !sets.is_empty() && bits.flag()? {
            Self::by_other(bits, sets, in_slice)?
        } else {
            let (before, after) = (bits.ue_to(16)?, bits.ue_to(16)?);
            let mut side = |count: u32, sign: i32| {
                let mut poc = 0;
                let mut one = || {
                    poc += sign * (bits.ue_to(0x7fff)? as i32 + 1);
                    Ok(Delta { poc, used: bits.flag()? })
                };
                (0..count).map(|_| one()).collect::<Result<Vec<_>>>()
            };
            Self { before: side(before, -1)?, after: side(after, 1)? }
        };
        if set.len() > MOST { Err(TOO_MANY) } else { Ok(set) }
    }

    /// Moved from another set (equations 7-61 and 7-62).
    fn by_other(bits: &mut Bits, sets: &[Self], in_slice: bool) -> Result<Self> {
        const BAD: Error = Error::Damaged("a reference picture set is not there");
        let back = if in_slice { bits.ue()? as usize } else { 0 };
        let of = sets.len().checked_sub(back.saturating_add(1)).and_then(|i| sets.get(i)).ok_or(BAD)?;
        let negative = bits.flag()?;
        let moved = bits.ue_to(0x7fff)? as i32 + 1;
        let moved = if negative { -moved } else { moved };
        // Of each picture of the other set, and of the one that had that set: used now, and kept.
        let mut flags = Vec::with_capacity(of.len() + 1);
        for _ in 0..=of.len() {
            let used = bits.flag()?;
            flags.push((used, used || bits.flag()?));
        }
        let here = |of: Option<&Delta>, flag: Option<&(bool, bool)>| {
            let poc = of.map_or(0, |delta| delta.poc) + moved;
            flag.filter(|flag| flag.1).map(|&(used, _)| Delta { poc, used })
        };
        let (first, last) = flags.split_at_checked(of.before.len()).unwrap_or_default();
        let own = || here(None, last.last());
        let before = || of.before.iter().zip(first).filter_map(|(delta, flag)| here(Some(delta), Some(flag)));
        let after = || of.after.iter().zip(last).filter_map(|(delta, flag)| here(Some(delta), Some(flag)));
        let back = |side: Vec<Delta>| side.into_iter().rev();
        Ok(Self {
            before: back(after().collect()).chain(own()).chain(before()).filter(|delta| delta.poc < 0).collect(),
            after: back(before().collect()).chain(own()).chain(after()).filter(|delta| delta.poc > 0).collect(),
        })
    }
}

/// A picture that is kept for longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Long {
    /// The last bits of its picture order count.
    pub lsb: u32,
    /// How often these bits have begun anew since, where that is said.
    pub cycles: Option<u32>,
    /// The current picture may be predicted from it.
    pub used: bool,
}

impl Long {
    /// What a slice says of them. `known`: those that the sequence tells.
    pub fn read(bits: &mut Bits, poc_bits: u32, known: &[(u32, bool)]) -> Result<Vec<Self>> {
        let of_sps = if known.is_empty() { 0 } else { bits.ue_to(32)? };
        let own = bits.ue_to(32)?;
        let width = known.len().checked_sub(1).map_or(0, |last| usize::BITS - last.leading_zeros());
        let mut long: Vec<Self> = Vec::new();
        let mut cycles = 0u32;
        for i in 0..of_sps + own {
            let (lsb, used) = if i < of_sps {
                let place = bits.bits(width)? as usize;
                *known.get(place).ok_or(Error::Damaged("a long-term picture is not there"))?
            } else {
                (bits.bits(poc_bits)?, bits.flag()?)
            };
            if i == of_sps {
                cycles = 0;
            }
            let said = bits.flag()?;
            if said {
                cycles = cycles.saturating_add(bits.ue()?);
            }
            long.push(Self { lsb, used, cycles: said.then_some(cycles) });
        }
        Ok(long)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(before: &[(i32, bool)], after: &[(i32, bool)]) -> RefPicSet {
        let side = |side: &[(i32, bool)]| side.iter().map(|&(poc, used)| Delta { poc, used }).collect();
        RefPicSet { before: side(before), after: side(after) }
    }

    /// Bits from a text of 0 and 1.
    fn read(text: &str, sets: &[RefPicSet], in_slice: bool) -> Result<RefPicSet> {
        let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b' ').map(|byte| byte - b'0').collect();
        let bytes: Vec<u8> =
            digits.chunks(8).map(|bits| (0..8).fold(0, |byte, i| byte << 1 | bits.get(i).unwrap_or(&0))).collect();
        RefPicSet::read(&mut Bits::new(&bytes), sets, in_slice)
    }

    #[test]
    fn by_themselves() {
        // Two before, -1 used and -3 not; one after, +2 used.
        assert_eq!(read("011 010 1 1 010 0 010 1", &[], false).unwrap(), set(&[(-1, true), (-3, false)], &[(2, true)]));
        assert_eq!(read("000010010 1", &[], false), Err(Error::Damaged("a number beyond its bounds")));
    }

    #[test]
    fn moved_from_another() {
        let other = set(&[(-4, true)], &[(4, true)]);
        // Moved by -2: -6 used, 2 used, and the other's own picture at -2.
        assert_eq!(
            read("1 1 010 1 1 1", std::slice::from_ref(&other), false).unwrap(),
            set(&[(-2, true), (-6, true)], &[(2, true)])
        );
        // Moved by 4: 0 falls out, 8 is kept and not used, 4 is used.
        assert_eq!(
            read("1 0 00100 1 01 1", std::slice::from_ref(&other), false).unwrap(),
            set(&[], &[(4, true), (8, false)])
        );
        assert!(read("1 011 1 010 1 1 1", &[other], true).is_err());
    }
}
