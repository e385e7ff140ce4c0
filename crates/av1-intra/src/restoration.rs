//! How each unit of loop restoration is filtered, as it is read (sections 5.11.57 and 5.11.58).

use oxideav_av1::loop_restoration::{
    SGR_PARAMS, SGRPROJ_XQD_MAX, SGRPROJ_XQD_MIN, WIENER_TAPS_K, WIENER_TAPS_MAX, WIENER_TAPS_MIN,
};
use oxideav_av1::uncompressed_header_tail::FrameRestorationType;

use crate::symbols::Symbols;
use crate::tile::Tile;
use crate::unit::Unit;

/// `SGRPROJ_PRJ_SUBEXP_K`.
const SELF_GUIDED_K: u32 = 4;
/// `1 << SGRPROJ_PRJ_BITS`.
const WHOLE: i32 = 128;

impl Tile<'_, '_> {
    /// `read_lr`: units that begin in a superblock.
    pub fn restoration_units(&mut self, row: usize, col: usize, side: usize) {
        let setup = self.setup;
        for plane in 0..setup.planes {
            if !setup.restores(plane) {
                continue;
            }
            let (x, y) = setup.subsampling(plane);
            let (size, across, down) = setup.restoration_units(plane);
            let rows = ((row * 4) >> y).div_ceil(size)..(((row + side) * 4) >> y).div_ceil(size).min(down);
            let cols = ((col * 4) >> x).div_ceil(size)..(((col + side) * 4) >> x).div_ceil(size).min(across);
            for row in rows {
                for col in cols.clone() {
                    let unit = self.read_unit(plane);
                    if let Some(to) = self.frame.units[plane].get_mut(row * across + col) {
                        *to = unit;
                    }
                }
            }
        }
    }

    fn read_unit(&mut self, plane: usize) -> Unit {
        let (symbols, cdfs) = (&mut self.symbols, &mut *self.cdfs);
        let kind = match self.setup.lr.frame_restoration_type[plane] {
            FrameRestorationType::None => 0,
            FrameRestorationType::Wiener => symbols.symbol(&mut cdfs.wiener),
            FrameRestorationType::SgrProj => 2 * symbols.symbol(&mut cdfs.self_guided),
            FrameRestorationType::Switchable => symbols.symbol(&mut cdfs.restoration),
        };
        match kind {
            0 => Unit::None,
            1 => {
                let mut taps = [[0; 3]; 2];
                for (taps, before) in taps.iter_mut().zip(&mut self.before.wiener[plane]) {
                    // Those of chroma are fewer.
                    for i in usize::from(plane > 0)..3 {
                        let range = WIENER_TAPS_MIN[i]..=WIENER_TAPS_MAX[i];
                        taps[i] = read_number(symbols, range, WIENER_TAPS_K[i], before[i]);
                        before[i] = taps[i];
                    }
                }
                Unit::Wiener(taps)
            }
            _ => {
                let set = symbols.literal(4) as usize;
                let before = &mut self.before.weights[plane];
                let mut weights = [0; 2];
                for i in 0..2 {
                    let range = SGRPROJ_XQD_MIN[i]..=SGRPROJ_XQD_MAX[i];
                    weights[i] = if SGR_PARAMS[set][i * 2] != 0 {
                        read_number(symbols, range, SELF_GUIDED_K, before[i])
                    } else if i == 1 {
                        (WHOLE - before[0]).clamp(*range.start(), *range.end())
                    } else {
                        0
                    };
                    before[i] = weights[i];
                }
                Unit::SelfGuided(set, weights)
            }
        }
    }
}

/// `decode_signed_subexp_with_ref_bool`.
fn read_number(symbols: &mut Symbols<'_>, range: std::ops::RangeInclusive<i32>, k: u32, before: i32) -> i32 {
    let least = *range.start();
    let many = range.end() + 1 - least;
    let before = before - least;
    let number = read_subexp(symbols, many as u32, k) as i32;
    least + if before << 1 <= many { recenter(before, number) } else { many - 1 - recenter(many - 1 - before, number) }
}

fn recenter(around: i32, number: i32) -> i32 {
    if number > 2 * around {
        number
    } else if number & 1 == 1 {
        around - ((number + 1) >> 1)
    } else {
        around + (number >> 1)
    }
}

fn read_subexp(symbols: &mut Symbols<'_>, many: u32, k: u32) -> u32 {
    let (mut i, mut from) = (0, 0);
    loop {
        let bits = if i > 0 { k + i - 1 } else { k };
        if many <= from + 3 * (1 << bits) {
            return symbols.one_of(many - from) + from;
        }
        if !symbols.bit() {
            return symbols.literal(bits) + from;
        }
        i += 1;
        from += 1 << bits;
    }
}
