//! Coefficients of a transform (section 5.11.39).

use oxideav_av1::cdf::{
    ADJUSTED_TX_SIZE, COEFF_BASE_CTX_OFFSET, FILTER_INTRA_MODE_TO_INTRA_DIR, MODE_TO_TXFM, TX_HEIGHT, TX_SIZE_SQR_UP,
    TX_TYPE_IN_SET_INTER, TX_TYPE_IN_SET_INTRA, TX_TYPE_INTER_INV_SET1, TX_TYPE_INTER_INV_SET2, TX_TYPE_INTER_INV_SET3,
    TX_TYPE_INTRA_INV_SET1, TX_TYPE_INTRA_INV_SET2, TX_WIDTH, TX_WIDTH_LOG2, tx_size_sqr_index,
};
use oxideav_av1::scan::get_scan;

use crate::block::Block;
use crate::context::{mark, part};
use crate::frame::paint;
use crate::names::subsampled;
use crate::scratch::{BLOCKS, LEVEL_STRIDE};
use crate::tile::Tile;

pub const DCT_DCT: usize = 0;
pub const IDTX: usize = 9;
const V_DCT: usize = 10;
const H_DCT: usize = 11;
/// Ways that levels are laid out: in both directions, along rows, along columns.
const BOTH: usize = 0;
const ROWS: usize = 1;
const COLUMNS: usize = 2;
/// Levels from one on to the last that is looked at for it.
const NEAR: usize = 4 * LEVEL_STRIDE + 1;
/// Of the length of a level's rest; more is not lawful.
const LONGEST: u32 = 20;

/// What has been read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Read {
    /// How many coefficients there are, in the order of the scan.
    pub end: usize,
    pub kind: usize,
    /// Rows and columns up to the last that is not zero.
    pub rows: usize,
    pub columns: usize,
}

/// Where a transform is: its plane, its place in blocks of 4 x 4 samples of the plane, and its size.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub plane: usize,
    pub row: usize,
    pub col: usize,
    pub tx: usize,
}

impl Block {
    pub fn read_coefficients(&self, tile: &mut Tile<'_, '_>, place: Place) -> Read {
        let Place { plane, row, col, tx } = place;
        let (_, y) = tile.setup.subsampling(plane);
        let (wide, high) = (TX_WIDTH[tx] >> 2, TX_HEIGHT[tx] >> 2);
        let line = row - (tile.top >> y);
        let size = (tx_size_sqr_index(tx) + TX_SIZE_SQR_UP[tx] + 1) >> 1;
        let context = self.all_zero_context(tile, place, line);
        let mut read = Read::default();
        let (mut level, mut dc) = (0, 0);
        if tile.symbols.symbol(&mut tile.cdfs.all_zero[size][context]) == 0 {
            read.kind = self.transform_kind(tile, place);
            let class = match read.kind {
                V_DCT | 12 | 14 => COLUMNS,
                H_DCT | 13 | 15 => ROWS,
                _ => BOTH,
            };
            (level, dc) = read_some(self, tile, &mut read, place, line, (size, class));
        }
        if plane == 0 && self.copy.is_some() {
            let at = tile.block_of(row, col);
            paint(&mut tile.scratch.tx_kinds, BLOCKS, (at / BLOCKS, at % BLOCKS), (high, wide), read.kind as u8);
        }
        mark(&mut tile.above.level[plane], col, wide, level);
        mark(&mut tile.above.dc[plane], col, wide, dc);
        mark(&mut tile.left.level[plane], line, high, level);
        mark(&mut tile.left.dc[plane], line, high, dc);
        read
    }

    /// How many blocks of the transform's edges are within the picture.
    fn shown(&self, tile: &Tile<'_, '_>, place: Place) -> (usize, usize) {
        let (x, y) = tile.setup.subsampling(place.plane);
        let wide = (TX_WIDTH[place.tx] >> 2).min((tile.setup.cols >> x).saturating_sub(place.col));
        let high = (TX_HEIGHT[place.tx] >> 2).min((tile.setup.rows >> y).saturating_sub(place.row));
        (wide, high)
    }

    fn all_zero_context(&self, tile: &Tile<'_, '_>, place: Place, line: usize) -> usize {
        let Place { plane, col, tx, .. } = place;
        let (wide, high) = self.shown(tile, place);
        let above = part(&tile.above.level[plane], col, wide);
        let left = part(&tile.left.level[plane], line, high);
        let (x, y) = tile.setup.subsampling(plane);
        let size = subsampled(self.size, x, y);
        let side = |table: &[usize; 22]| table[size.min(21)] * 4;
        let (block_wide, block_high) =
            (side(&oxideav_av1::cdf::NUM_4X4_BLOCKS_WIDE), side(&oxideav_av1::cdf::NUM_4X4_BLOCKS_HIGH));
        if plane > 0 {
            let any = |levels: &[u8], signs: &[u8]| levels.iter().chain(signs).any(|&number| number != 0);
            let above = any(above, part(&tile.above.dc[plane], col, wide));
            let left = any(left, part(&tile.left.dc[plane], line, high));
            let larger = block_wide * block_high > TX_WIDTH[tx] * TX_HEIGHT[tx];
            return 7 + usize::from(above) + usize::from(left) + if larger { 3 } else { 0 };
        }
        if (block_wide, block_high) == (TX_WIDTH[tx], TX_HEIGHT[tx]) {
            return 0;
        }
        let most = |levels: &[u8]| levels.iter().copied().max().unwrap_or_default();
        let (top, left) = (most(above), most(left));
        match (top.min(left), top.max(left)) {
            (0, 0) => 1,
            (0, 1..=3) => 2,
            (0, _) => 3,
            (_, 1..=3) => 4,
            (1..=3, _) => 5,
            _ => 6,
        }
    }

    fn dc_sign_context(&self, tile: &Tile<'_, '_>, place: Place, line: usize) -> usize {
        let (wide, high) = self.shown(tile, place);
        let above = part(&tile.above.dc[place.plane], place.col, wide);
        let left = part(&tile.left.dc[place.plane], line, high);
        let sum: i32 = above.iter().chain(left).map(|&sign| [0, -1, 1][usize::from(sign).min(2)]).sum();
        match sum {
            0 => 0,
            ..0 => 1,
            _ => 2,
        }
    }

    /// `transform_type` and `compute_tx_type`.
    fn transform_kind(&self, tile: &mut Tile<'_, '_>, place: Place) -> usize {
        let Place { plane, tx, .. } = place;
        let up = TX_SIZE_SQR_UP[tx];
        if self.copy.is_some() {
            return self.kind_of_copy(tile, place);
        }
        let square = tx_size_sqr_index(tx);
        // Of one, seven or five kinds.
        let set = match up {
            3.. => 0,
            _ if tile.setup.reduced_tx || square == 2 => 2,
            _ => 1,
        };
        if plane > 0 {
            let kind = MODE_TO_TXFM[self.modes[1]];
            let is_there = !self.lossless && TX_TYPE_IN_SET_INTRA[set][kind] == 1;
            return if is_there { kind } else { DCT_DCT };
        }
        if set == 0 || tile.setup.base_q(self.segment) <= 0 {
            return DCT_DCT;
        }
        let mode = self.filter_intra.map_or(self.modes[0], |mode| FILTER_INTRA_MODE_TO_INTRA_DIR[mode]);
        let kind = if set == 1 {
            TX_TYPE_INTRA_INV_SET1[tile.symbols.symbol(&mut tile.cdfs.tx_type_7[square.min(1)][mode])]
        } else {
            TX_TYPE_INTRA_INV_SET2[tile.symbols.symbol(&mut tile.cdfs.tx_type_5[square.min(2)][mode])]
        };
        if self.lossless { DCT_DCT } else { kind }
    }

    /// The same of a block that is a copy.
    fn kind_of_copy(&self, tile: &mut Tile<'_, '_>, place: Place) -> usize {
        let Place { plane, row, col, tx } = place;
        let square = tx_size_sqr_index(tx);
        // Of one, sixteen, twelve or two kinds.
        let set = match TX_SIZE_SQR_UP[tx] {
            4.. => 0,
            3 => 3,
            _ if tile.setup.reduced_tx => 3,
            _ if square == 2 => 2,
            _ => 1,
        };
        if self.lossless || set == 0 {
            return DCT_DCT;
        }
        if plane > 0 {
            let (x, y) = tile.setup.subsampling(plane);
            let at = tile.block_of((row << y).max(self.row), (col << x).max(self.col));
            let kind = usize::from(tile.scratch.tx_kinds[at]) & 15;
            return if TX_TYPE_IN_SET_INTER[set][kind] == 1 { kind } else { DCT_DCT };
        }
        if tile.setup.base_q(self.segment) <= 0 {
            return DCT_DCT;
        }
        match set {
            1 => TX_TYPE_INTER_INV_SET1[tile.symbols.symbol(&mut tile.cdfs.tx_type_16[square.min(1)])],
            2 => TX_TYPE_INTER_INV_SET2[tile.symbols.symbol(&mut tile.cdfs.tx_type_12)],
            _ => TX_TYPE_INTER_INV_SET3[tile.symbols.symbol(&mut tile.cdfs.tx_type_2[square.min(3)])],
        }
    }

    /// Signs and what levels are beyond 14. Gives the sum of levels, and the sign of the first.
    #[inline(always)]
    fn read_rests(
        &self,
        tile: &mut Tile<'_, '_>,
        read: &mut Read,
        place: Place,
        (found, context): (usize, usize),
    ) -> (u8, u8) {
        let Place { plane, tx, .. } = place;
        let adjusted = ADJUSTED_TX_SIZE[tx];
        let (bits, high) = (TX_WIDTH_LOG2[adjusted], TX_HEIGHT[adjusted]);
        let quantizers = self.quantizers[plane];
        let weights = if read.kind < IDTX { quantizers.weights(plane, tx) } else { None };
        // Large transforms are of half or a quarter of the size.
        let shift = match tx {
            3 | 9 | 10 | 17 | 18 => 1,
            4 | 11 | 12 => 2,
            _ => 0,
        };
        let most = 1i64 << (7 + tile.setup.depth);
        let (mut sum, mut first, mut last_row, mut last_col) = (0u32, 0, 0, 0);
        let (mut symbols, scratch) = (tile.symbols, &mut *tile.scratch);
        for &(position, level) in scratch.found.iter().take(found).rev() {
            let position = usize::from(position);
            let (row, col) = (position >> bits, position & ((1 << bits) - 1));
            if let Some(level) = scratch.levels.get_mut(row * LEVEL_STRIDE + col) {
                *level = 0;
            }
            let mut level = u32::from(level);
            let negative = if position == 0 {
                symbols.symbol(&mut tile.cdfs.dc_sign[usize::from(plane > 0)][context]) == 1
            } else {
                symbols.bit()
            };
            if level > 14 {
                let length = (1..=LONGEST).find(|_| symbols.bit()).unwrap_or(LONGEST);
                level = ((1 << (length - 1)) | symbols.literal(length - 1)) + 14;
            }
            if position == 0 {
                first = if negative { 1 } else { 2 };
            }
            level &= 0xf_ffff;
            sum = sum.saturating_add(level);
            let mut quantizer = if position == 0 { quantizers.dc } else { quantizers.ac };
            if let Some(&weight) = weights.and_then(|weights| weights.get(position)) {
                quantizer = (quantizer * u32::from(weight) + 16) >> 5;
            }
            let size = ((u64::from(level) * u64::from(quantizer)) & 0xff_ffff) as i64 >> shift;
            let value = (if negative { -size } else { size }).clamp(-most, most - 1);
            (last_row, last_col) = (row.max(last_row), col.max(last_col));
            if let Some(coefficient) = scratch.coefficients.get_mut(col * high + row) {
                *coefficient = value as i32;
            }
        }
        tile.symbols = symbols;
        (read.rows, read.columns) = (last_row + 1, last_col + 1);
        (sum.min(63) as u8, first)
    }
}

/// All but whether there are any.
fn read_some(
    block: &Block,
    tile: &mut Tile<'_, '_>,
    read: &mut Read,
    place: Place,
    line: usize,
    (size, class): (usize, usize),
) -> (u8, u8) {
    let chroma = usize::from(place.plane > 0);
    read.end = read_end(tile, place.tx, size, chroma, class);
    let found = match class {
        COLUMNS => read_levels::<COLUMNS>(tile, read, place.tx, size, chroma),
        ROWS => read_levels::<ROWS>(tile, read, place.tx, size, chroma),
        _ => read_levels::<BOTH>(tile, read, place.tx, size, chroma),
    };
    let sign = block.dc_sign_context(tile, place, line);
    block.read_rests(tile, read, place, (found, sign))
}

/// How many coefficients there are.
#[inline(always)]
fn read_end(tile: &mut Tile<'_, '_>, tx: usize, size: usize, chroma: usize, class: usize) -> usize {
    let (symbols, cdfs) = (&mut tile.symbols, &mut *tile.cdfs);
    let way = usize::from(class != BOTH);
    let area = TX_WIDTH[tx].min(32) * TX_HEIGHT[tx].min(32);
    let point = 1 + match area {
        16 => symbols.symbol(&mut cdfs.end_16[chroma][way]),
        32 => symbols.symbol(&mut cdfs.end_32[chroma][way]),
        64 => symbols.symbol(&mut cdfs.end_64[chroma][way]),
        128 => symbols.symbol(&mut cdfs.end_128[chroma][way]),
        256 => symbols.symbol(&mut cdfs.end_256[chroma][way]),
        512 => symbols.symbol(&mut cdfs.end_512[chroma]),
        _ => symbols.symbol(&mut cdfs.end_1024[chroma]),
    };
    if point < 3 {
        return point;
    }
    let bits = point - 2;
    let mut end = (1 << bits) + 1;
    if symbols.symbol(&mut cdfs.end_extra[size][chroma][point - 3]) == 1 {
        end += 1 << (bits - 1);
    }
    end + symbols.literal(bits as u32 - 1) as usize
}

/// Levels up to 15, from the last one on. How many are not zero.
#[inline(always)]
fn read_levels<const CLASS: usize>(
    tile: &mut Tile<'_, '_>,
    read: &Read,
    tx: usize,
    size: usize,
    chroma: usize,
) -> usize {
    let adjusted = ADJUSTED_TX_SIZE[tx];
    let bits = TX_WIDTH_LOG2[adjusted];
    let area = TX_HEIGHT[adjusted] << bits;
    let scan = get_scan(tx, read.kind);
    let Some(scan) = scan.get(..read.end) else { return 0 };
    let (mut symbols, cdfs, scratch) = (tile.symbols, &mut *tile.cdfs, &mut *tile.scratch);
    let base = &mut cdfs.base[size][chroma];
    let range = &mut cdfs.range[size.min(3)][chroma];
    let offsets = &COEFF_BASE_CTX_OFFSET[tx];
    let mut count = 0;
    for (i, &position) in scan.iter().enumerate().rev() {
        let (row, col) = (usize::from(position) >> bits, usize::from(position) & ((1 << bits) - 1));
        let at = row * LEVEL_STRIDE + col;
        let Some(near) = scratch.levels.get_mut(at..).and_then(|levels| levels.first_chunk_mut::<NEAR>()) else {
            continue;
        };
        let level_at = |down: usize, right: usize| near[down * LEVEL_STRIDE + right];
        // Both sums at once: of levels up to 3, and of those up to 15.
        let nearest = level_at(0, 1)
            + level_at(1, 0)
            + match CLASS {
                BOTH => level_at(1, 1),
                ROWS => level_at(0, 2),
                _ => level_at(2, 0),
            };
        let mut level = if i + 1 == read.end {
            let context = match i {
                0 => 0,
                _ if i <= area / 8 => 1,
                _ if i <= area / 4 => 2,
                _ => 3,
            };
            1 + symbols.symbol(&mut cdfs.base_end[size][chroma][context])
        } else {
            let sum = nearest
                + match CLASS {
                    BOTH => level_at(0, 2) + level_at(2, 0),
                    ROWS => level_at(0, 3) + level_at(0, 4),
                    _ => level_at(3, 0) + level_at(4, 0),
                };
            let sum = usize::from((((sum & 0xff) + 1) >> 1).min(4));
            let context = match CLASS {
                BOTH if position == 0 => 0,
                BOTH => sum + offsets[row.min(4)][col.min(4)],
                ROWS => sum + 26 + 5 * col.min(2),
                _ => sum + 26 + 5 * row.min(2),
            };
            symbols.symbol(&mut base[context.min(41)])
        };
        if level > 2 {
            let sum = usize::from((((nearest >> 8) + 1) >> 1).min(6));
            let begin = match CLASS {
                BOTH => row < 2 && col < 2,
                ROWS => col == 0,
                _ => row == 0,
            };
            let context = sum
                + if position == 0 {
                    0
                } else if begin {
                    7
                } else {
                    14
                };
            let odds = &mut range[context.min(20)];
            for _ in 0..4 {
                let more = symbols.symbol(odds);
                level += more;
                if more < 3 {
                    break;
                }
            }
        }
        near[0] = (level as u16) << 8 | level.min(3) as u16;
        if let Some(found) = scratch.found.get_mut(count) {
            // Zeros are overwritten by what follows, as they are too many and too few to be guessed.
            *found = (position, level as u16);
            count += usize::from(level > 0);
        }
    }
    tile.symbols = symbols;
    count
}
