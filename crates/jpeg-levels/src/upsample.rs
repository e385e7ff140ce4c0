//! Rows of a component, as wide as the picture. Follows `jdsample.c`.

/// The triangle filter across: each output is 3/4 of the nearer sample and 1/4 of the farther one. The rounding alternates.
#[inline(always)]
pub fn across(samples: &[u8], out: &mut [u8]) {
    let (&[first, second, ..], &[.., before, last]) = (samples, samples) else { return };
    let near = |near: u8, far: u8, round: u16| ((3 * u16::from(near) + u16::from(far) + round) >> 2) as u8;
    let out = &mut out.as_chunks_mut::<2>().0[..samples.len()];
    for (out, s) in out[1..].iter_mut().zip(samples.windows(3)) {
        *out = [near(s[1], s[0], 1), near(s[1], s[2], 2)];
    }
    out[0] = [first, near(first, second, 2)];
    out[samples.len() - 1] = [near(last, before, 1), last];
}

/// The same down: of the row that is nearer and the one that is farther, above it or below.
#[inline(always)]
pub fn down(near: &[u8], far: &[u8], above: bool, out: &mut [u8]) {
    let round = if above { 1 } else { 2 };
    for ((out, &near), &far) in out.iter_mut().zip(near).zip(far) {
        *out = ((3 * u16::from(near) + u16::from(far) + round) >> 2) as u8;
    }
}

/// Both ways, with sums of columns in between.
#[inline(always)]
pub fn both(near: &[u8], far: &[u8], sums: &mut [u16], out: &mut [u8]) {
    for ((sum, &near), &far) in sums.iter_mut().zip(near).zip(far) {
        *sum = 3 * u16::from(near) + u16::from(far);
    }
    let sums = &sums[..near.len()];
    let (&[first, second, ..], &[.., before, last]) = (sums, sums) else { return };
    let level = |near: u16, far: u16, round: u16| ((3 * near + far + round) >> 4) as u8;
    let out = &mut out.as_chunks_mut::<2>().0[..sums.len()];
    for (out, s) in out[1..].iter_mut().zip(sums.windows(3)) {
        *out = [level(s[1], s[0], 8), level(s[1], s[2], 7)];
    }
    out[0] = [level(first, first, 8), level(first, second, 7)];
    out[sums.len() - 1] = [level(last, before, 8), level(last, last, 7)];
}

/// Every sample so many times.
#[inline(always)]
pub fn repeat(samples: &[u8], times: usize, out: &mut [u8]) {
    match times {
        1 => out.iter_mut().zip(samples).for_each(|(o, s)| *o = *s),
        2 => out.as_chunks_mut::<2>().0.iter_mut().zip(samples).for_each(|(o, s)| *o = [*s; 2]),
        3 => out.as_chunks_mut::<3>().0.iter_mut().zip(samples).for_each(|(o, s)| *o = [*s; 3]),
        _ => out.as_chunks_mut::<4>().0.iter_mut().zip(samples).for_each(|(o, s)| *o = [*s; 4]),
    }
}
