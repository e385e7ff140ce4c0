//! Samples of planes to pixels of three bytes.

use crate::{NullaryFnOnce, run};

/// Pixels that are converted at once.
pub const BLOCK: usize = 32;

/// One number for each pixel of a block.
pub type Block<T> = [T; BLOCK];

/// A row that becomes pixels.
pub trait Blocks {
    /// Red, green and blue of the block that begins at this pixel. What is behind the row's end does not count. To be `#[inline(always)]`,
    /// and a closure in it may have no vectors.
    fn block(&self, from: usize) -> [Block<u8>; 3];
}

/// Converts a row.
pub fn convert(blocks: &impl Blocks, out: &mut [[u8; 3]]) {
    run(Row { blocks, out });
}

struct Row<'a, B> {
    blocks: &'a B,
    out: &'a mut [[u8; 3]],
}

impl<B: Blocks> NullaryFnOnce for Row<'_, B> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let (whole, rest) = self.out.as_chunks_mut::<BLOCK>();
        let mut from = 0;
        for out in whole {
            interleave(&self.blocks.block(from), out);
            from += BLOCK;
        }
        if !rest.is_empty() {
            let mut last = [[0; 3]; BLOCK];
            interleave(&self.blocks.block(from), &mut last);
            rest.iter_mut().zip(&last).for_each(|(out, pixel)| *out = *pixel);
        }
    }
}

#[inline(always)]
fn interleave([red, green, blue]: &[Block<u8>; 3], out: &mut Block<[u8; 3]>) {
    for i in 0..BLOCK {
        out[i] = [red[i], green[i], blue[i]];
    }
}

/// The samples from a place on; zeros behind the end.
#[inline(always)]
pub fn samples<T: Copy + Default, const N: usize>(row: &[T], from: usize) -> [T; N] {
    let rest = row.get(from..).unwrap_or_default();
    if let Some(block) = rest.first_chunk() {
        return *block;
    }
    let mut block = [T::default(); N];
    block.iter_mut().zip(rest).for_each(|(out, sample)| *out = *sample);
    block
}

/// Each sample twice.
#[inline(always)]
pub fn doubled<T: Copy + Default>(half: [T; BLOCK / 2]) -> Block<T> {
    let mut block = [T::default(); BLOCK];
    for i in 0..BLOCK {
        block[i] = half[i / 2];
    }
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Numbers<'a>(&'a [u8]);

    impl Blocks for Numbers<'_> {
        fn block(&self, from: usize) -> [Block<u8>; 3] {
            let red: Block<u8> = samples(self.0, from);
            [red, doubled(samples(self.0, from / 2)), red.map(|red| red ^ 255)]
        }
    }

    #[test]
    fn rows_of_any_length() {
        for len in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 7] {
            let numbers: Vec<u8> = (0..len).map(|i| i as u8).collect();
            let mut out = vec![[255; 3]; len];
            convert(&Numbers(&numbers), &mut out);
            let expected: Vec<_> = (0..len).map(|i| [i as u8, (i / 2) as u8, i as u8 ^ 255]).collect();
            assert_eq!(out, expected);
        }
    }
}
