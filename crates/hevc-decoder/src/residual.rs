//! The coefficients of a transform block (clause 7.3.8.11).

use crate::cabac::Cabac;
use crate::contexts::{Contexts, at};
use crate::error::{Error, Result};
use crate::scan::*;

/// Room for a block of 32 x 32.
pub const LARGEST: usize = 32 * 32;

/// What its syntax depends on.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    /// 2 to 5.
    pub log2: u32,
    /// 0 luma, 1 blue and 2 red chroma.
    pub component: usize,
    /// 0 diagonal, 1 horizontal, 2 vertical.
    pub scan: usize,
    /// Signs may be hidden in sums: not where the unit is coded without loss.
    pub sign_hiding: bool,
}

/// Contexts of significance in a block of 4 x 4, by place.
const SMALLEST: [u8; 16] = [0, 1, 4, 5, 2, 3, 4, 5, 6, 6, 8, 8, 7, 7, 8, 8];

/// And in sub-blocks of larger ones, by which of the right and lower neighbours have coefficients.
const NEIGHBOURS: [[u8; 16]; 4] = {
    let mut contexts = [[0; 16]; 4];
    let mut i = 0;
    while i < 16 {
        let (x, y) = (i % 4, i / 4);
        contexts[0][i] = if x + y == 0 { 2 } else { (x + y < 3) as u8 };
        contexts[1][i] = if y == 0 { 2 } else { (y == 1) as u8 };
        contexts[2][i] = if x == 0 { 2 } else { (x == 1) as u8 };
        contexts[3][i] = 2;
        i += 1;
    }
    contexts
};

/// Sub-blocks in their order: of one, 2 x 2, 4 x 4 and 8 x 8.
fn sub_blocks(block: &Block) -> &'static [u8] {
    match (block.log2, block.scan) {
        (2, _) => &[0],
        (3, 0) => &DIAGONAL_2,
        (3, 1) => &HORIZONTAL_2,
        (3, _) => &VERTICAL_2,
        (4, _) => &DIAGONAL_4,
        _ => &DIAGONAL_8,
    }
}

/// Places of coefficients that are not zero, and their levels, handed to `put`.
pub fn read(
    cabac: &mut Cabac,
    contexts: &mut Contexts,
    block: &Block,
    mut put: impl FnMut(usize, usize, i32),
) -> Result<()> {
    let Block { log2, component, scan, sign_hiding } = *block;
    let chroma = component > 0;
    let side = 1usize << (log2 - 2);
    let (mut last_x, mut last_y) = last(cabac, contexts, log2, chroma)?;
    if scan == 2 {
        (last_x, last_y) = (last_y, last_x);
    }
    let order = sub_blocks(block);
    let places = match scan {
        0 => &DIAGONAL_4,
        1 => &HORIZONTAL_4,
        _ => &VERTICAL_4,
    };
    let sub_block = ((last_y >> 2) * side + (last_x >> 2)) as u8;
    let place = ((last_y & 3) * 4 + (last_x & 3)) as u8;
    let find = |order: &[u8], place: u8| order.iter().position(|&at| at == place);
    let (Some(last_block), Some(last_place)) = (find(order, sub_block), find(places, place)) else {
        return Err(Error::Damaged("a last coefficient is outside of its block"));
    };
    // By sub-block: whether it has coefficients. A border is around them.
    let mut coded = [[false; 9]; 9];
    let mut any_greater = false;
    for (i, &at_block) in order.iter().enumerate().take(last_block + 1).rev() {
        let (sx, sy) = (usize::from(at_block) % side, usize::from(at_block) / side);
        let (right, below) = (coded[sy & 7][(sx & 7) + 1], coded[(sy & 7) + 1][sx & 7]);
        let inner = i > 0 && i < last_block;
        let is_coded = !inner || {
            let context = at::CODED_SUB_BLOCK + u8::from(right || below) + if chroma { 2 } else { 0 };
            cabac.decision(&mut contexts[usize::from(context)])
        };
        if !is_coded {
            continue;
        }
        coded[sy & 7][sx & 7] = true;
        // The places of its coefficients, the last one first.
        let mut found = [0u8; 16];
        let mut count = 0usize;
        let mut from = 16;
        if i == last_block {
            found[0] = last_place as u8;
            count = 1;
            from = last_place;
        }
        let base = match (log2, chroma) {
            (2, false) => at::SIGNIFICANT,
            (2, true) => at::SIGNIFICANT + 27,
            (3, false) => at::SIGNIFICANT + if scan == 0 { 9 } else { 15 } + if i > 0 { 3 } else { 0 },
            (3, true) => at::SIGNIFICANT + 27 + 9,
            (_, false) => at::SIGNIFICANT + 21 + if i > 0 { 3 } else { 0 },
            (_, true) => at::SIGNIFICANT + 27 + 12,
        };
        let table = if log2 == 2 { &SMALLEST } else { &NEIGHBOURS[usize::from(right) | usize::from(below) << 1] };
        for n in (1..from).rev() {
            let place = places[n & 15];
            let context = base + table[usize::from(place) & 15];
            if cabac.decision(&mut contexts[usize::from(context)]) {
                found[count & 15] = n as u8;
                count += 1;
            }
        }
        if from > 0 {
            // Where it is the only one that is left it is there.
            let inferred = inner && count == 0;
            let context = if i == 0 { at::SIGNIFICANT + if chroma { 27 } else { 0 } } else { base + table[0] };
            if inferred || cabac.decision(&mut contexts[usize::from(context)]) {
                found[count & 15] = 0;
                count += 1;
            }
        }
        if count == 0 {
            continue;
        }
        let found = found.get(..count).unwrap_or_default();
        let mut set = if i == 0 || chroma { 0 } else { 2 };
        if any_greater {
            set += 1;
        }
        let levels = levels(cabac, contexts, found, set, chroma, sign_hiding, &mut any_greater)?;
        for (&n, level) in found.iter().zip(levels) {
            let place = usize::from(places[usize::from(n) & 15]);
            put(sx * 4 + place % 4, sy * 4 + place / 4, level);
        }
    }
    Ok(())
}

/// Where the last coefficient is.
fn last(cabac: &mut Cabac, contexts: &mut Contexts, log2: u32, chroma: bool) -> Result<(usize, usize)> {
    let (offset, shift) = if chroma { (15, log2 - 2) } else { (3 * (log2 - 2) + ((log2 - 1) >> 2), (log2 + 1) >> 2) };
    let most = 2 * log2 - 1;
    let mut prefix = |first: u8| {
        let mut count = 0;
        while count < most && cabac.decision(&mut contexts[usize::from(first + (offset + (count >> shift)) as u8)]) {
            count += 1;
        }
        count
    };
    let (x, y) = (prefix(at::LAST_X), prefix(at::LAST_Y));
    let mut whole = |prefix: u32| {
        if prefix < 4 {
            return prefix as usize;
        }
        let bits = (prefix >> 1) - 1;
        (((2 + (prefix & 1)) << bits) + cabac.bypass_bits(bits)) as usize
    };
    let (x, y) = (whole(x), whole(y));
    Ok((x, y))
}

/// The levels of a sub-block's coefficients, in the order in which they were found.
#[inline]
fn levels(
    cabac: &mut Cabac,
    contexts: &mut Contexts,
    found: &[u8],
    set: u8,
    chroma: bool,
    sign_hiding: bool,
    any_greater: &mut bool,
) -> Result<[i32; 16]> {
    let mut levels = [1i32; 16];
    let first = at::GREATER_1 + 4 * set + if chroma { 16 } else { 0 };
    let mut state = 1;
    // The first one that is greater than 1 tells whether it is greater than 2.
    let mut greatest = None;
    for (i, level) in levels.iter_mut().enumerate().take(found.len().min(8)) {
        if cabac.decision(&mut contexts[usize::from(first + state)]) {
            *level = 2;
            state = 0;
            greatest = greatest.or(Some(i));
        } else if state > 0 && state < 3 {
            state += 1;
        }
    }
    *any_greater = state == 0;
    if let Some(i) = greatest {
        let context = at::GREATER_2 + set + if chroma { 4 } else { 0 };
        if cabac.decision(&mut contexts[usize::from(context)]) {
            levels[i & 15] = 3;
        }
    }
    let count = found.len() as u32;
    let spread = found.first().copied().unwrap_or(0).saturating_sub(found.last().copied().unwrap_or(0));
    let hidden = sign_hiding && spread > 3;
    let signs = cabac.bypass_bits(count - u32::from(hidden)) << (16 - count + u32::from(hidden));
    let mut rice = 0;
    let mut sum = 0;
    for (i, level) in levels.iter_mut().enumerate().take(found.len()) {
        // What the flags could tell at most.
        let told = match i {
            8.. => 1,
            _ if greatest == Some(i) => 3,
            _ => 2,
        };
        if *level == told {
            *level += remaining(cabac, rice)?;
            if *level > 3 << rice {
                rice = (rice + 1).min(4);
            }
        }
        sum ^= *level & 1;
        if signs >> (15 - i) & 1 == 1 {
            *level = -*level;
        }
    }
    if hidden
        && sum == 1
        && let Some(level) = levels.get_mut(found.len() - 1)
    {
        *level = -*level;
    }
    Ok(levels)
}

/// Clause 9.3.3.11.
#[inline]
fn remaining(cabac: &mut Cabac, rice: u32) -> Result<i32> {
    let mut prefix = 0;
    while prefix < 20 && cabac.bypass() {
        prefix += 1;
    }
    if prefix < 4 {
        return Ok(((prefix << rice) + cabac.bypass_bits(rice)) as i32);
    }
    // Coefficients have 16 bits.
    if prefix > 18 {
        return Err(Error::Damaged("a coefficient is too large"));
    }
    let bits = prefix - 3 + rice;
    let base = ((1 << (prefix - 3)) + 2) << rice;
    let high = if bits > 16 { cabac.bypass_bits(bits - 16) << 16 } else { 0 };
    Ok((base + high + cabac.bypass_bits(bits.min(16))) as i32)
}
