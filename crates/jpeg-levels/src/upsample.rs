//! Rows of a component, as wide as the picture. Follows `jdsample.c`.
//!
//! The loops are over arrays, a piece of a row at a time, which compilers make vectors of.

/// Samples at a time.
const PIECE: usize = 32;
/// They and their neighbours.
const AROUND: usize = PIECE + 2;

/// The triangle filter across: each output is 3/4 of the nearer sample and 1/4 of the farther one. The rounding alternates.
/// Of at least three samples; a first piece is of as many.
#[inline(always)]
pub fn across(samples: &[u8], out: &mut [u8]) {
    between(
        samples.len(),
        out,
        #[inline(always)]
        |from, sums| {
            let Some(samples) = samples.get(from..).and_then(<[u8]>::first_chunk::<AROUND>) else { return false };
            for i in 0..AROUND {
                sums[i] = samples[i].into();
            }
            true
        },
        #[inline(always)]
        |at| samples[at].into(),
        #[inline(always)]
        |near, far, odd| (3 * near + far + 1 + odd) >> 2,
    );
}

/// Both ways, with sums of columns in between.
#[inline(always)]
pub fn both(near: &[u8], far: &[u8], out: &mut [u8]) {
    let far = &far[..near.len()];
    between(
        near.len(),
        out,
        #[inline(always)]
        |from, sums| {
            let Some(near) = near.get(from..).and_then(<[u8]>::first_chunk::<AROUND>) else { return false };
            let Some(far) = far.get(from..).and_then(<[u8]>::first_chunk::<AROUND>) else { return false };
            for i in 0..AROUND {
                sums[i] = 3 * u16::from(near[i]) + u16::from(far[i]);
            }
            true
        },
        #[inline(always)]
        |at| 3 * u16::from(near[at]) + u16::from(far[at]),
        #[inline(always)]
        |near, far, odd| (3 * near + far + 8 - odd) >> 4,
    );
}

/// Two levels for each of `count` sums: `piece` gives many of them, `one` gives each.
#[inline(always)]
fn between(
    count: usize,
    out: &mut [u8],
    piece: impl Fn(usize, &mut [u16; AROUND]) -> bool,
    one: impl Fn(usize) -> u16,
    level: impl Fn(u16, u16, u16) -> u16,
) {
    let out = &mut out.as_chunks_mut::<2>().0[..count];
    let (mut at, mut sums) = (0, [0; AROUND]);
    while at + AROUND <= count && piece(at, &mut sums) {
        let Some(out) = out.get_mut(at + 1..).and_then(|o| o.first_chunk_mut::<PIECE>()) else { break };
        for i in 0..PIECE {
            out[i] = [level(sums[i + 1], sums[i], 0) as u8, level(sums[i + 1], sums[i + 2], 1) as u8];
        }
        at += PIECE;
    }
    for (i, out) in out[at + 1..count - 1].iter_mut().enumerate() {
        let x = at + 1 + i;
        *out = [level(one(x), one(x - 1), 0) as u8, level(one(x), one(x + 1), 1) as u8];
    }
    // The first and the last sample are their own neighbours.
    out[0] = [level(one(0), one(0), 0) as u8, level(one(0), one(1), 1) as u8];
    out[count - 1] = [level(one(count - 1), one(count - 2), 0) as u8, level(one(count - 1), one(count - 1), 1) as u8];
}

/// The triangle filter down: of the row that is nearer and the one that is farther, above it or below.
#[inline(always)]
pub fn down(near: &[u8], far: &[u8], above: bool, out: &mut [u8]) {
    let round = if above { 1 } else { 2 };
    let (near, rest) = near.as_chunks::<PIECE>();
    let (far, far_rest) = far.as_chunks::<PIECE>();
    let (out, out_rest) = out.as_chunks_mut::<PIECE>();
    for at in 0..near.len().min(far.len()).min(out.len()) {
        let (near, far, out) = (&near[at], &far[at], &mut out[at]);
        for i in 0..PIECE {
            out[i] = ((3 * u16::from(near[i]) + u16::from(far[i]) + round) >> 2) as u8;
        }
    }
    // The line is longer than the row: what is left may begin in its last whole piece.
    let out_rest = match out.get_mut(near.len()) {
        Some(piece) => &mut piece[..],
        None => out_rest,
    };
    for at in 0..rest.len() {
        out_rest[at] = ((3 * u16::from(rest[at]) + u16::from(far_rest[at]) + round) >> 2) as u8;
    }
}

/// Every sample so many times.
#[inline(always)]
pub fn repeat(samples: &[u8], times: usize, out: &mut [u8]) {
    match times {
        1 => out[..samples.len()].copy_from_slice(samples),
        2 => out.as_chunks_mut::<2>().0.iter_mut().zip(samples).for_each(|(o, s)| *o = [*s; 2]),
        3 => out.as_chunks_mut::<3>().0.iter_mut().zip(samples).for_each(|(o, s)| *o = [*s; 3]),
        _ => out.as_chunks_mut::<4>().0.iter_mut().zip(samples).for_each(|(o, s)| *o = [*s; 4]),
    }
}
