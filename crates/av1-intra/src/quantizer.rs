//! What levels are multiplied by (section 7.12.2).

use oxideav_av1::cdf::{AC_QLOOKUP, DC_QLOOKUP};
use oxideav_av1::qmatrix::{QM_LEVELS, QM_OFFSET, QUANTIZER_MATRIX};

use crate::setup::Setup;

#[derive(Clone, Copy, Debug, Default)]
pub struct Quantizers {
    pub dc: u32,
    pub ac: u32,
    /// The level of the matrix, 15 for none.
    matrix: usize,
}

impl Quantizers {
    pub fn new(setup: &Setup<'_>, plane: usize, segment: usize, current: i32) -> Self {
        let quant = setup.quant;
        let (dc, ac) = match plane {
            0 => (quant.delta_q_y_dc, 0),
            1 => (quant.delta_q_u_dc, quant.delta_q_u_ac),
            _ => (quant.delta_q_v_dc, quant.delta_q_v_ac),
        };
        let q = setup.current_q(segment, current);
        let depth = (setup.depth as usize - 8) / 2;
        let of = |table: &[[i32; 256]; 3], delta: i8| {
            table[depth.min(2)][(q + i32::from(delta)).clamp(0, 255) as usize] as u32
        };
        Self { dc: of(&DC_QLOOKUP, dc), ac: of(&AC_QLOOKUP, ac), matrix: setup.matrix(plane, segment) }
    }

    /// Weights of a transform's levels in the order of its rows.
    pub fn weights(self, plane: usize, tx: usize) -> Option<&'static [u8]> {
        let matrix = QUANTIZER_MATRIX.get(self.matrix).filter(|_| self.matrix < QM_LEVELS)?;
        matrix[usize::from(plane > 0)].get(QM_OFFSET[tx]..)
    }
}
