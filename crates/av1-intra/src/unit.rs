//! Units of loop restoration.

use oxideav_av1::loop_restoration::{SGRPROJ_XQD_MID, WIENER_TAPS_MID};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    None,
    /// Half of the taps but the middle one, down and across.
    Wiener([[i32; 3]; 2]),
    /// The set of parameters, and the weights.
    SelfGuided(usize, [i32; 2]),
}

/// The numbers of the unit before, of each plane.
pub struct Before {
    pub wiener: [[[i32; 3]; 2]; 3],
    pub weights: [[i32; 2]; 3],
}

impl Default for Before {
    fn default() -> Self {
        Self { wiener: [[WIENER_TAPS_MID; 2]; 3], weights: [SGRPROJ_XQD_MID; 3] }
    }
}
