//! Palettes of a block, and which colour each sample has (sections 5.11.46, 5.11.49 and 5.11.50).

use oxideav_av1::cdf::{MI_HEIGHT_LOG2, MI_WIDTH_LOG2};

use crate::block::Block;
use crate::names::DC_PRED;
use crate::scratch::SIDE;
use crate::tile::Tile;

impl Block {
    pub fn read_palettes(&mut self, tile: &mut Tile<'_, '_>) {
        let size = (MI_WIDTH_LOG2[self.size] + MI_HEIGHT_LOG2[self.size] - 2).min(6);
        if self.modes[0] == DC_PRED {
            let has = |there: bool, palettes: &[u8], at: usize| there && palettes.get(at).is_some_and(|&many| many > 0);
            let up = has(self.up[0], &tile.above.palette[0], self.col);
            let left = has(self.left[0], &tile.left.palette[0], self.row - tile.top);
            let context = usize::from(up) + usize::from(left);
            if tile.symbols.symbol(&mut tile.cdfs.palette_y[size][context]) == 1 {
                self.read_palette(tile, 0, size);
            }
        }
        if self.has_chroma && self.modes[1] == DC_PRED {
            let context = usize::from(self.palette[0] > 0);
            if tile.symbols.symbol(&mut tile.cdfs.palette_uv[context]) == 1 {
                self.read_palette(tile, 1, size);
                self.read_red_palette(tile);
            }
        }
    }

    /// Of luma, or of the blue chroma.
    fn read_palette(&mut self, tile: &mut Tile<'_, '_>, plane: usize, size: usize) {
        let many = tile.symbols.symbol(&mut tile.cdfs.palette_size[plane][size]) + 2;
        self.palette[plane] = many;
        let depth = tile.setup.depth;
        let (known, count) = self.known_colours(tile, plane);
        let mut colours = [0u16; 8];
        let mut found = 0;
        for &colour in known.iter().take(count) {
            if found < many && tile.symbols.bit() {
                colours[found] = colour;
                found += 1;
            }
        }
        if found < many {
            colours[found] = tile.symbols.literal(depth) as u16;
            found += 1;
        }
        // Colours of luma differ by one at least.
        let least = u32::from(plane == 0);
        let mut bits = if found < many { depth - 3 + tile.symbols.literal(2) } else { 0 };
        while found < many {
            let delta = tile.symbols.literal(bits) + least;
            let colour = (u32::from(colours[found - 1]) + delta).min((1 << depth) - 1);
            colours[found] = colour as u16;
            let range = (1u32 << depth) - colour - least;
            bits = bits.min(ceil_log2(range));
            found += 1;
        }
        if let Some(colours) = colours.get_mut(..many) {
            colours.sort_unstable();
        }
        tile.scratch.colours[plane] = colours;
    }

    fn read_red_palette(&self, tile: &mut Tile<'_, '_>) {
        let depth = tile.setup.depth;
        let mut colours = [0u16; 8];
        let many = self.palette[1];
        if tile.symbols.bit() {
            let bits = depth - 4 + tile.symbols.literal(2);
            let most = 1i32 << depth;
            let mut colour = tile.symbols.literal(depth) as i32;
            colours[0] = colour as u16;
            for next in colours.iter_mut().take(many).skip(1) {
                let delta = tile.symbols.literal(bits) as i32;
                colour += if delta != 0 && tile.symbols.bit() { -delta } else { delta };
                colour += if colour < 0 { most } else { 0 };
                colour -= if colour >= most { most } else { 0 };
                colour = colour.clamp(0, most - 1);
                *next = colour as u16;
            }
        } else {
            for colour in colours.iter_mut().take(many) {
                *colour = tile.symbols.literal(depth) as u16;
            }
        }
        tile.scratch.colours[2] = colours;
    }

    /// `get_palette_cache`: those of the blocks above and to the left, in order, each once.
    fn known_colours(&self, tile: &Tile<'_, '_>, plane: usize) -> ([u16; 16], usize) {
        let mut known = [0; 16];
        let mut count = 0;
        let row = self.row - tile.top;
        // Those above another row of superblocks are not looked at.
        let up = self.up[0] && !(self.row * 4).is_multiple_of(64);
        for (there, edge, at) in [(up, &tile.above, self.col), (self.left[0], &tile.left, row)] {
            if let (true, Some(&many), Some(colours)) =
                (there, edge.palette[plane].get(at), edge.colours[plane].get(at))
            {
                for (known, &colour) in known.iter_mut().skip(count).zip(colours.iter().take(many.into())) {
                    *known = colour;
                }
                count = (count + usize::from(many)).min(16);
            }
        }
        known[..count].sort_unstable();
        let mut kept = 0;
        for i in 0..count {
            if kept == 0 || known[kept - 1] != known[i] {
                known[kept] = known[i];
                kept += 1;
            }
        }
        (known, kept)
    }

    /// `palette_tokens`.
    pub fn read_colour_maps(&self, tile: &mut Tile<'_, '_>) {
        let setup = tile.setup;
        for plane in 0..2 {
            let many = self.palette[plane];
            if many == 0 {
                continue;
            }
            let (x, y) = setup.subsampling(plane);
            let (mut wide, mut high) = ((self.wide * 4) >> x, (self.high * 4) >> y);
            let mut shown = (
                (self.wide * 4).min((setup.cols - self.col) * 4) >> x,
                (self.high * 4).min((setup.rows - self.row) * 4) >> y,
            );
            if plane > 0 && wide < 4 {
                wide += 2;
                shown.0 += 2;
            }
            if plane > 0 && high < 4 {
                high += 2;
                shown.1 += 2;
            }
            read_map(tile, plane, many, shown, (wide, high));
        }
    }
}

/// Colours of samples, along diagonals. Those that are not shown have the colour of the last one that is.
fn read_map(tile: &mut Tile<'_, '_>, plane: usize, many: usize, shown: (usize, usize), whole: (usize, usize)) {
    let (wide, high) = shown;
    let map = &mut tile.scratch.maps[plane];
    map[0] = tile.symbols.one_of(many as u32) as u8;
    for i in 1..(wide + high).saturating_sub(1) {
        let first = (i + 1).saturating_sub(high);
        for col in (first..=i.min(wide - 1)).rev() {
            let row = i - col;
            let (order, context) = neighbours(map, row, col);
            let odds = &mut tile.cdfs.palette_colour[plane][many - 2][context];
            let colour = tile.symbols.symbol_of(&mut odds[..=many]);
            map[row * SIDE + col] = order[colour & 7];
        }
    }
    for row in 0..high {
        let line = &mut map[row * SIDE..][..whole.0];
        let last = line[wide - 1];
        line[wide..].fill(last);
    }
    for row in high..whole.1 {
        map.copy_within((high - 1) * SIDE..(high - 1) * SIDE + whole.0, row * SIDE);
    }
}

/// `get_palette_color_context`: colours by how likely they are, and the context.
fn neighbours(map: &[u8], row: usize, col: usize) -> ([u8; 8], usize) {
    let at = |up: usize, left: usize| usize::from(map[(row - up) * SIDE + col - left]) & 7;
    let mut scores = [0u8; 8];
    if col > 0 {
        scores[at(0, 1)] += 2;
    }
    if row > 0 && col > 0 {
        scores[at(1, 1)] += 1;
    }
    if row > 0 {
        scores[at(1, 0)] += 2;
    }
    let mut order = [0, 1, 2, 3, 4, 5, 6, 7];
    for i in 0..3 {
        let mut best = i;
        for j in i + 1..8 {
            if scores[j] > scores[best] {
                best = j;
            }
        }
        scores[i..=best].rotate_right(1);
        order[i..=best].rotate_right(1);
    }
    let hash = scores[0] + 2 * scores[1] + 2 * scores[2];
    let context = match hash {
        2 => 0,
        5 => 4,
        6 => 3,
        7 => 2,
        _ => 1,
    };
    (order, context)
}

fn ceil_log2(number: u32) -> u32 {
    if number < 2 { 0 } else { (number - 1).ilog2() + 1 }
}
