//! Blocks on their way from a scan of all components to samples.

use pulp::{NullaryFnOnce, bytemuck};

use crate::coder::Coder;
use crate::idct::{self, Factors};
use crate::markers::Steps;
use crate::rows::Rows;
use crate::scan::Scan;
use crate::vectors;

/// Units decoded before their blocks are transformed: they stay in the nearest cache.
pub const UNITS: usize = 16;

/// Blocks of some units side by side, each component's rows of blocks by themselves.
pub struct Units {
    blocks: Vec<[i16; 64]>,
    /// Of each component: its place in the frame, its blocks in a unit, and where its blocks are.
    parts: Vec<(usize, usize, usize, usize)>,
    factors: Vec<Factors>,
}

impl Units {
    /// Of a scan of all components. `steps`: for quantization, by component.
    pub fn new(scan: &Scan, steps: &[Option<Steps>]) -> Self {
        let mut len = 0;
        let mut parts = Vec::with_capacity(4);
        for slot in &scan.slots {
            parts.push((slot.index, slot.h, slot.v, len));
            len += UNITS * slot.h * slot.v;
        }
        let factors = parts.iter().map(|p| idct::factors(steps[p.0].as_ref())).collect();
        Self { blocks: vec![[0; 64]; len], parts, factors }
    }

    /// Reads so many units, [`UNITS`] at most.
    pub fn read<'a, C: Coder<'a>>(&mut self, coder: &mut C, count: usize) {
        vectors::run(Read { units: self, coder, count });
    }

    #[inline(always)]
    fn read_here<'a, C: Coder<'a>>(&mut self, coder: &mut C, count: usize) {
        self.blocks.as_flattened_mut().fill(0);
        for unit in 0..count {
            if !coder.begin() {
                continue;
            }
            for (slot, &(_, h, v, offset)) in self.parts.iter().enumerate() {
                for y in 0..v {
                    let from = offset + (y * UNITS + unit) * h;
                    for block in &mut self.blocks[from..from + h] {
                        coder.whole(slot, block);
                    }
                }
            }
            coder.end();
        }
    }

    /// Makes samples of so many units, from a column of units on.
    pub fn transform(&self, rows: &mut Rows<'_>, from: usize, count: usize) {
        for (&(index, h, v, offset), factors) in self.parts.iter().zip(&self.factors) {
            for y in 0..v {
                let at = offset + y * UNITS * h;
                let blocks = bytemuck::cast_slice(&self.blocks[at..at + count * h]);
                let (out, stride, size) = rows.block_row(index, y, from * h);
                idct::run(size, blocks, factors, out, stride);
            }
        }
    }
}

struct Read<'u, C> {
    units: &'u mut Units,
    coder: &'u mut C,
    count: usize,
}

impl<'a, C: Coder<'a>> NullaryFnOnce for Read<'_, C> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        self.units.read_here(self.coder, self.count);
    }
}
