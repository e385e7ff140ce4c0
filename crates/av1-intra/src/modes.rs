//! Modes of a block (sections 5.11.7 to 5.11.14, 5.11.42 to 5.11.45).

use oxideav_av1::cdf::{INTRA_MODE_CONTEXT, NUM_4X4_BLOCKS_HIGH, NUM_4X4_BLOCKS_WIDE};

use crate::block::Block;
use crate::error::Result;
use crate::names::{BLOCK_8X8, D67_PRED, DC_PRED, UV_CFL, V_PRED, subsampled};
use crate::setup::MOST_FILTER;
use crate::tile::Tile;

const LARGEST_ANGLE: i32 = 3;
/// `DELTA_Q_SMALL` and `DELTA_LF_SMALL`.
const SMALL: usize = 3;

impl Block {
    /// `intra_frame_mode_info`.
    pub fn read_modes(&mut self, tile: &mut Tile<'_, '_>) -> Result<()> {
        let setup = tile.setup;
        let first = setup.segments.seg_id_pre_skip;
        if first {
            self.read_segment(tile);
        }
        self.skip = first && setup.skips(self.segment) || {
            let up = self.up[0] && tile.above.skip[self.col];
            let left = self.left[0] && tile.left.skip[self.row - tile.top];
            tile.symbols.symbol(&mut tile.cdfs.skip[usize::from(up) + usize::from(left)]) == 1
        };
        if !first {
            self.read_segment(tile);
        }
        self.lossless = setup.lossless[self.segment];
        self.read_cdef(tile);
        self.read_deltas(tile);
        tile.reads_deltas = false;
        if setup.frame.allow_intrabc && tile.symbols.symbol(&mut tile.cdfs.copied) == 1 {
            self.copy = Some(self.read_vector(tile)?);
            return Ok(());
        }

        let mode = |there: bool, modes: &[u8], at: usize| {
            let mode = if there { usize::from(modes[at]) } else { DC_PRED };
            INTRA_MODE_CONTEXT[mode]
        };
        let above = mode(self.up[0], &tile.above.y_mode, self.col);
        let left = mode(self.left[0], &tile.left.y_mode, self.row - tile.top);
        self.modes[0] = tile.symbols.symbol(&mut tile.cdfs.y_mode[above][left]);
        self.angles[0] = self.read_angle(tile, self.modes[0]);
        if self.has_chroma {
            let odds = self.modes[0];
            self.modes[1] = if self.may_be_cfl(tile) {
                tile.symbols.symbol(&mut tile.cdfs.uv_mode_cfl[odds])
            } else {
                tile.symbols.symbol(&mut tile.cdfs.uv_mode[odds])
            };
            if self.modes[1] == UV_CFL {
                self.read_cfl(tile);
            }
            self.angles[1] = self.read_angle(tile, self.modes[1]);
        }
        let fits = self.size >= BLOCK_8X8 && self.wide <= 16 && self.high <= 16;
        if fits && setup.frame.allow_screen_content_tools {
            self.read_palettes(tile);
        }
        let small = self.wide <= 8 && self.high <= 8;
        if setup.seq.enable_filter_intra && self.modes[0] == DC_PRED && self.palette[0] == 0 && small {
            let used = tile.symbols.symbol(&mut tile.cdfs.filter_intra[self.size]) == 1;
            self.filter_intra = used.then(|| tile.symbols.symbol(&mut tile.cdfs.filter_intra_mode));
        }
        Ok(())
    }

    fn may_be_cfl(&self, tile: &Tile<'_, '_>) -> bool {
        let (x, y) = tile.setup.subsampling(1);
        if self.lossless { subsampled(self.size, x, y) == 0 } else { self.wide <= 8 && self.high <= 8 }
    }

    fn read_angle(&self, tile: &mut Tile<'_, '_>, mode: usize) -> i32 {
        if self.size < BLOCK_8X8 || !(V_PRED..=D67_PRED).contains(&mode) {
            return 0;
        }
        tile.symbols.symbol(&mut tile.cdfs.angle[mode - V_PRED]) as i32 - LARGEST_ANGLE
    }

    fn read_cfl(&mut self, tile: &mut Tile<'_, '_>) {
        let signs = tile.symbols.symbol(&mut tile.cdfs.cfl_sign) + 1;
        // None, negative, positive.
        let signs = [signs / 3, signs % 3];
        for plane in 0..2 {
            let (sign, other) = (signs[plane], signs[1 - plane]);
            self.cfl[plane] = match sign {
                0 => 0,
                _ => {
                    let odds = &mut tile.cdfs.cfl_alpha[((sign - 1) * 3 + other).min(5)];
                    let alpha = 1 + tile.symbols.symbol(odds) as i32;
                    if sign == 1 { -alpha } else { alpha }
                }
            };
        }
    }

    /// `intra_segment_id`.
    fn read_segment(&mut self, tile: &mut Tile<'_, '_>) {
        let setup = tile.setup;
        if !setup.segments.enabled {
            return;
        }
        let at = |up: usize, left: usize| {
            let index = (self.row - up) * setup.cols + self.col - left;
            usize::from(tile.frame.segments.get(index).copied().unwrap_or_default())
        };
        let up = self.up[0].then(|| at(1, 0));
        let left = self.left[0].then(|| at(0, 1));
        let corner = (self.up[0] && self.left[0]).then(|| at(1, 1));
        let expected = match (up, left) {
            (None, left) => left.unwrap_or_default(),
            (Some(up), None) => up,
            (Some(up), Some(left)) => {
                if corner == Some(up) {
                    up
                } else {
                    left
                }
            }
        };
        if self.skip {
            self.segment = expected;
            return;
        }
        let context = if corner.is_none() {
            0
        } else if corner == up && corner == left {
            2
        } else {
            usize::from(corner == up || corner == left || up == left)
        };
        let number = tile.symbols.symbol(&mut tile.cdfs.segment[context]);
        let most = usize::from(setup.segments.last_active_seg_id) + 1;
        self.segment = spread(number as i32, expected as i32, most as i32).clamp(0, most as i32 - 1) as usize & 7;
    }

    fn read_cdef(&mut self, tile: &mut Tile<'_, '_>) {
        let setup = tile.setup;
        if self.skip || setup.coded_lossless || !setup.seq.enable_cdef || setup.frame.allow_intrabc {
            return;
        }
        let (row, col, cols) = (self.row / 16, self.col / 16, tile.frame.cdef_cols);
        if tile.frame.cdef[row * cols + col] == -1 {
            let strength = tile.symbols.literal(u32::from(setup.cdef.cdef_bits)) as i8;
            let size = (self.high.div_ceil(16), self.wide.div_ceil(16));
            crate::frame::paint(&mut tile.frame.cdef, cols, (row, col), size, strength);
        }
    }

    /// `read_delta_qindex` and `read_delta_lf`.
    fn read_deltas(&mut self, tile: &mut Tile<'_, '_>) {
        let setup = tile.setup;
        let superblock = if setup.seq.use_128x128_superblock { 32 } else { 16 };
        let whole = NUM_4X4_BLOCKS_WIDE[self.size] == superblock && NUM_4X4_BLOCKS_HIGH[self.size] == superblock;
        if whole && self.skip || !tile.reads_deltas {
            return;
        }
        let small = tile.symbols.symbol(&mut tile.cdfs.delta_q);
        let delta = read_delta(tile, small);
        if delta != 0 {
            tile.q = (tile.q + (delta << setup.delta_q.delta_q_res)).clamp(1, 255);
        }
        if !setup.delta_lf.delta_lf_present {
            return;
        }
        let multi = setup.delta_lf.delta_lf_multi;
        let many = if !multi {
            1
        } else if setup.planes > 1 {
            4
        } else {
            2
        };
        for i in 0..many {
            let odds = if multi { &mut tile.cdfs.delta_lf_multi[i] } else { &mut tile.cdfs.delta_lf };
            let small = tile.symbols.symbol(odds);
            let delta = read_delta(tile, small);
            let changed = i32::from(tile.delta_lf[i]) + (delta << setup.delta_lf.delta_lf_res);
            tile.delta_lf[i] = changed.clamp(-MOST_FILTER, MOST_FILTER) as i8;
        }
    }
}

/// The rest of a change that began with `small`.
fn read_delta(tile: &mut Tile<'_, '_>, small: usize) -> i32 {
    let mut size = small as i32;
    if small == SMALL {
        let bits = tile.symbols.literal(3) + 1;
        size = tile.symbols.literal(bits) as i32 + (1 << bits) + 1;
    }
    if size != 0 && tile.symbols.bit() { -size } else { size }
}

/// `neg_deinterleave`: a segment's number by how far it is from the expected one.
fn spread(number: i32, expected: i32, most: i32) -> i32 {
    if expected == 0 {
        return number;
    }
    if expected >= most - 1 {
        return most - number - 1;
    }
    let (near, last) =
        if 2 * expected < most { (2 * expected, number) } else { (2 * (most - expected - 1), most - (number + 1)) };
    if number > near {
        last
    } else if number & 1 == 1 {
        expected + ((number + 1) >> 1)
    } else {
        expected - (number >> 1)
    }
}
