//! Scaling lists: weights of coefficients (clauses 7.3.4 and 7.4.5).

use crate::bits::Bits;
use crate::error::{Error, Result};
use crate::scan::{DIAGONAL_4, DIAGONAL_8};

/// For each size of transform and each of six kinds (intra Y, Cb, Cr, then inter) 16 or 64 weights, row by row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScalingList {
    weights: [[[u8; 64]; 6]; 4],
    /// Of sizes 16 and 32.
    dc: [[u8; 6]; 4],
}

#[rustfmt::skip]
const INTRA: [u8; 64] = [
    16, 16, 16, 16, 17, 18, 21, 24, 16, 16, 16, 16, 17, 19, 22, 25, 16, 16, 17, 18, 20, 22, 25, 29, 16, 16, 18, 21, 24, 27, 31, 36,
    17, 17, 20, 24, 30, 35, 41, 47, 18, 19, 22, 27, 35, 44, 54, 65, 21, 22, 25, 31, 41, 54, 70, 88, 24, 25, 29, 36, 47, 65, 88, 115,
];
#[rustfmt::skip]
const INTER: [u8; 64] = [
    16, 16, 16, 16, 17, 18, 20, 24, 16, 16, 16, 17, 18, 20, 24, 25, 16, 16, 17, 18, 20, 24, 25, 28, 16, 17, 18, 20, 24, 25, 28, 33,
    17, 18, 20, 24, 25, 28, 33, 41, 18, 20, 24, 25, 28, 33, 41, 54, 20, 24, 25, 28, 33, 41, 54, 71, 24, 25, 28, 33, 41, 54, 71, 91,
];

impl Default for ScalingList {
    fn default() -> Self {
        let other = [INTRA, INTRA, INTRA, INTER, INTER, INTER];
        Self { weights: [[[16; 64]; 6], other, other, other], dc: [[16; 6]; 4] }
    }
}

impl ScalingList {
    /// scaling_list_data (clause 7.3.4).
    pub fn read(bits: &mut Bits) -> Result<Self> {
        let mut list = Self::default();
        let default = Self::default();
        for (size, (weights, dc)) in list.weights.iter_mut().zip(&mut list.dc).enumerate() {
            let step = if size == 3 { 3 } else { 1 };
            for kind in (0..6usize).step_by(step) {
                if !bits.flag()? {
                    let back = bits.ue()? as usize;
                    let from = back.checked_mul(step).and_then(|back| kind.checked_sub(back));
                    let from = from.ok_or(Error::Damaged("a scaling list is that of none"))?;
                    if back == 0 {
                        (weights[kind], dc[kind]) = (default.weights[size][kind], 16);
                    } else {
                        (weights[kind], dc[kind]) = (weights[from], dc[from]);
                    }
                    continue;
                }
                let mut next = 8;
                if size > 1 {
                    next += bits.se_within(-7, 247)?;
                    dc[kind] = next as u8;
                }
                let scan: &[u8] = if size == 0 { &DIAGONAL_4 } else { &DIAGONAL_8 };
                for &place in scan {
                    next = (next + bits.se_within(-128, 127)?) & 255;
                    weights[kind][usize::from(place) & 63] = next as u8;
                }
            }
            // Of 32 only two are coded; chroma of 4:4:4 has those of 16.
        }
        for kind in [1, 2, 4, 5] {
            list.weights[3][kind] = list.weights[2][kind];
            list.dc[3][kind] = list.dc[2][kind];
        }
        Ok(list)
    }

    /// Of the coefficient at (x, y) of a block. `kind`: the component, and 3 more where it is predicted from other pictures.
    pub fn weight(&self, log2: u32, kind: usize, x: usize, y: usize) -> i32 {
        let size = (log2 as usize - 2) & 3;
        let kind = kind.min(5);
        if size > 1 && x == 0 && y == 0 {
            return i32::from(self.dc[size][kind]);
        }
        let (side, shift) = if size == 0 { (2, 0) } else { (3, size - 1) };
        i32::from(self.weights[size][kind][((y >> shift) << side | x >> shift) & 63])
    }
}
