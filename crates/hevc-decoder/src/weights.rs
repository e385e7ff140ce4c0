//! Weights of pictures that another is predicted from (clauses 7.3.6.3 and 7.4.7.3).

use crate::bits::Bits;
use crate::error::Result;
use crate::sps::{Chroma, Sps};

/// Of one component of one picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weight {
    /// What samples are multiplied with, in parts of two to the power of the denominator.
    pub factor: i32,
    /// What is added, in levels.
    pub offset: i32,
}

/// Of all pictures of a slice.
#[derive(Clone, Debug)]
pub struct Weights {
    /// Logarithms of the denominators of luma and of chroma.
    pub log2: [u32; 2],
    /// By list and index: of luma, blue and red chroma.
    pub lists: [[[Weight; 3]; 16]; 2],
}

impl Weights {
    /// pred_weight_table. `active`: pictures of either list.
    pub fn read(bits: &mut Bits, sps: &Sps, active: [usize; 2]) -> Result<Self> {
        let has_chroma = sps.chroma != Chroma::Monochrome;
        let luma = bits.ue_to(7)?;
        let chroma = if has_chroma { (luma as i32 + bits.se_within(-7, 7)?).clamp(0, 7) as u32 } else { 0 };
        let mut weights = Self { log2: [luma, chroma], lists: [[[Weight::default(); 3]; 16]; 2] };
        for (list, count) in weights.lists.iter_mut().zip(active) {
            let count = count.min(16);
            let mut said = [[false; 2]; 16];
            for said in said.iter_mut().take(count) {
                said[0] = bits.flag()?;
            }
            for said in said.iter_mut().take(if has_chroma { count } else { 0 }) {
                said[1] = bits.flag()?;
            }
            for (of, said) in list.iter_mut().zip(said).take(count) {
                *of = [luma, chroma, chroma].map(|log2| Weight { factor: 1 << log2, offset: 0 });
                if said[0] {
                    of[0].factor += bits.se_within(-128, 127)?;
                    of[0].offset = bits.se_within(-128, 127)? << (sps.depth[0] - 8);
                }
                for weight in of.iter_mut().skip(1).take(if said[1] { 2 } else { 0 }) {
                    weight.factor += bits.se_within(-128, 127)?;
                    let offset = 128 + bits.se_within(-512, 511)? - ((128 * weight.factor) >> chroma);
                    weight.offset = offset.clamp(-128, 127) << (sps.depth[1] - 8);
                }
            }
        }
        Ok(weights)
    }
}
