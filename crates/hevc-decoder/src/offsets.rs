//! What coding tree blocks say of sample adaptive offset (clause 7.3.8.3).

use crate::coder::Coder;
use crate::contexts::at;
use crate::map::{Ctb, Ctbs, Offset};

impl Coder<'_> {
    /// Reads them for the block in this column and row, or takes those of a neighbour.
    pub fn offsets(&mut self, ctbs: &mut Ctbs, column: usize, row: usize) {
        let here = ctbs.at(column, row);
        let alike = |other: &Ctb| other.slice == here.slice && other.tile == here.tile;
        let left = column.checked_sub(1).map(|column| ctbs.at(column, row)).filter(alike);
        let above = row.checked_sub(1).map(|row| ctbs.at(column, row)).filter(alike);
        let mut offsets = None;
        if let Some(left) = left
            && self.decision(at::SAO_MERGE)
        {
            offsets = Some(left.offsets);
        }
        if offsets.is_none()
            && let Some(above) = above
            && self.decision(at::SAO_MERGE)
        {
            offsets = Some(above.offsets);
        }
        let offsets = match offsets {
            Some(offsets) => offsets,
            None => self.new_offsets(),
        };
        if let Some(ctb) = ctbs.list.get_mut(row * ctbs.columns + column) {
            ctb.offsets = offsets;
        }
    }

    fn new_offsets(&mut self) -> [Offset; 3] {
        let mut offsets = [Offset::None; 3];
        // Cb and Cr have the same kind and direction.
        let (mut kind, mut direction) = (0, 0);
        for (component, offset) in offsets.iter_mut().enumerate().take(self.sps.chroma.planes()) {
            if !(if component == 0 { self.slice.sao_luma } else { self.slice.sao_chroma }) {
                continue;
            }
            if component < 2 {
                kind = if !self.decision(at::SAO_TYPE) { 0 } else { 1 + u8::from(self.cabac.bypass()) };
            }
            if kind == 0 {
                continue;
            }
            let most = (1 << (self.sps.depth_of(component).min(10) - 5)) - 1;
            let mut levels = [0i16; 4];
            for level in &mut levels {
                *level = self.cabac.bypass_unary(most) as i16;
            }
            if kind == 1 {
                for level in &mut levels {
                    if *level != 0 && self.cabac.bypass() {
                        *level = -*level;
                    }
                }
                *offset = Offset::Band(self.cabac.bypass_bits(5) as u8, levels);
            } else {
                if component < 2 {
                    direction = self.cabac.bypass_bits(2) as u8;
                }
                // Valleys are filled, peaks cut.
                let [a, b, c, d] = levels;
                *offset = Offset::Edge(direction, [a, b, -c, -d]);
            }
        }
        offsets
    }
}
