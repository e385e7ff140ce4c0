//! Products of tiles. While they are made the sums of the rows before are finished.

use std::arch::x86_64::*;

use pulp::x86::V4;

#[cfg(feature = "emulate-amx")]
use super::emulated::{Tiles, load, multiply, store, stream, zero};
#[cfg(not(feature = "emulate-amx"))]
use super::isa::{Tiles, load, multiply, store, stream, zero};
use crate::geometry::{AMX_ROWS, AccTile, LINE_WORDS, NR};
use crate::kernels::avx512;
use crate::kernels::block::{Floats, Int8, KBlock, Operands};
use crate::kernels::x86::v4;
use crate::lhs::quantize::{RowParams, ScaleScope};

/// Words of a tile's row, and rows of a tile.
const WORDS: usize = LINE_WORDS;
/// Columns whose sums two tiles hold.
const HALF: usize = 2 * WORDS;

/// Of the next panel, for few rows: by more of them its own reading is disturbed.
const FIRST_LINES: usize = 32;

/// What begins at a cache line.
#[repr(align(64))]
struct Line<T>(T);

/// Rows whose sums have left the tiles, to be finished while those multiply the next ones.
struct Behind<'a> {
    block: &'a KBlock<'a>,
    sums: &'a mut AccTile,
    /// The first one.
    row: usize,
    scales: Option<&'a [f32; NR]>,
    simd: V4,
    /// The sums are integers: negative sums of each column's weights, and what the integers of each row are.
    integers: Option<(&'a [i32; NR], &'a [RowParams])>,
}

impl Behind<'_> {
    #[inline(always)]
    fn one(&mut self) {
        if let Some((sums, rest)) = std::mem::take(&mut self.sums).split_first_mut() {
            self.finish(sums);
            self.sums = rest;
        }
    }

    #[inline(always)]
    fn all(mut self) {
        for sums in std::mem::take(&mut self.sums) {
            self.finish(sums);
        }
    }

    #[inline(always)]
    fn finish(&mut self, sums: &mut [f32; NR]) {
        if self.block.is_final {
            if let Some((negative, params)) = self.integers {
                let RowParams { scale, zero } = params[self.row];
                for (sum, negative) in sums.iter_mut().zip(negative) {
                    let integer = sum.to_bits().cast_signed().wrapping_add(negative.wrapping_mul(zero));
                    *sum = integer as f32 * scale;
                }
            }
            self.block.finish::<_, true>(self.simd, std::slice::from_mut(sums), self.row, self.scales);
        }
        self.row += 1;
    }
}

/// Goes through the rows, two tiles of them at a time.
macro_rules! two_tiles {
    ($block:ident, $acc:ident, $scales:expr, $integers:expr, |$row:ident| $operands:expr, $int8:literal) => {{
        let rows = $block.output.rows;
        let turns = rows.div_ceil(2 * AMX_ROWS);
        // SAFETY: the machine has AMX, as the caller of `run` has promised.
        let tiles = unsafe { Tiles::new() };
        let mut before = 0..0;
        for turn in 0..turns {
            let $row = turn * 2 * AMX_ROWS;
            let count = (rows - $row).min(2 * AMX_ROWS);
            // Two places take turns.
            let at = $block.place($row, 4 * AMX_ROWS);
            let [acc, sums] = $acc
                .get_disjoint_mut([at..at + count.next_multiple_of(AMX_ROWS), before])
                .expect("places of different turns");
            let row = $row.saturating_sub(2 * AMX_ROWS);
            let behind = Behind { block: $block, sums, row, scales: $scales, integers: $integers, simd: v4() };
            // For few rows the processor's own prefetching does better: there is little to hide it behind.
            let prefetch = if rows > AMX_ROWS { $block.part_of_prefetch(turn, turns) } else { &[] };
            let two = TwoTiles { accumulate: $block.accumulate, prefetch, ..$operands };
            totals::<$int8>(&tiles, two, behind, acc);
            before = at..at + count;
        }
        if rows <= AMX_ROWS {
            // The next panel begins to come while these are finished.
            let words = &$block.prefetch[..$block.prefetch.len().min(FIRST_LINES * WORDS)];
            Prefetcher::new(words, 1).fetch();
        }
        let row = turns.saturating_sub(1) * 2 * AMX_ROWS;
        let sums = &mut $acc[before];
        Behind { block: $block, sums, row, scales: $scales, integers: $integers, simd: v4() }.all();
    }};
}

/// Sums of a block, f32 by AVX-512.
#[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx512bf16,avx512vnni,avx2,fma")]
pub fn run(block: &KBlock, acc: &mut AccTile) {
    match block.operands {
        Operands::Bf16(Floats { x, stride, panel, .. }) => {
            two_tiles!(
                block,
                acc,
                None,
                None,
                |row| TwoTiles {
                    x: &x[row * stride..],
                    stride,
                    panel: panel.values,
                    words: panel.words(),
                    prefetch: &[],
                    accumulate: false
                },
                false
            );
        }
        Operands::Int8(Int8 { x, stride, quantization, params, column_scales, panel, words, .. }) => {
            assert!(quantization.scope == ScaleScope::Row);
            // Sums stay integers over all k-blocks: so those of the weights are of whole columns.
            let mut negative = [0; NR];
            if let (Operands::Int8(whole), true) = (block.output.operands, block.is_final) {
                whole.with_sums(&mut negative);
            }
            let negative = &negative;
            two_tiles!(
                block,
                acc,
                Some(column_scales),
                Some((negative, params)),
                |row| TwoTiles { x: &x[row * stride..], stride, panel, words, prefetch: &[], accumulate: false },
                true
            );
        }
        _ => avx512::bf16(block, acc),
    }
}

/// What one or two tiles of rows are computed from.
struct TwoTiles<'a> {
    /// From the first row on.
    x: &'a [u32],
    /// Words of a row.
    stride: usize,
    /// A panel as it is stored.
    panel: &'a [u32],
    /// Words of a column, without sums of integers.
    words: usize,
    /// To be fetched meanwhile.
    prefetch: &'a [u32],
    /// Goes on with the sums that are there.
    accumulate: bool,
}

/// One or two tiles of rows, of pairs of bf16 or, `INT8`, of integers whose sums stay integers.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx512bf16,avx512vnni,avx2,fma")]
fn totals<const INT8: bool>(_: &Tiles, two: TwoTiles, mut behind: Behind, acc: &mut AccTile) {
    let TwoTiles { x, stride, panel, words: steps, prefetch, accumulate } = two;
    let whole = steps / WORDS * WORDS;
    // A block of integers is a tile's row; the panel has a line of their sums before each.
    let lines = if INT8 { steps.div_ceil(WORDS) } else { 0 };
    assert!(x.len() >= (acc.len() - AMX_ROWS) * stride + AMX_ROWS * steps.next_multiple_of(WORDS));
    assert!(panel.len() == (steps + lines) * NR);
    assert!(acc.len() == AMX_ROWS || acc.len() == 2 * AMX_ROWS);
    let mut prefetcher = Prefetcher::new(prefetch, 2 * steps.div_ceil(WORDS));
    let rest = (whole < steps).then(|| rest(&panel[(whole + lines) * NR..]));
    for column in [0, HALF] {
        let sums: *mut f32 = acc.as_mut_ptr().cast::<f32>().wrapping_add(column);
        let second = sums.wrapping_add(AMX_ROWS * NR);
        let two = acc.len() == 2 * AMX_ROWS;
        // SAFETY: the assertions above: `acc` has one or two times 16 rows of 64 sums, and each step is a tile of as many
        // rows and 16 × 64 words of the panel.
        unsafe {
            zero!(0 1 2 3);
            if accumulate {
                load!(0, sums, 4 * NR);
                load!(1, sums.add(WORDS), 4 * NR);
                if two {
                    load!(2, second, 4 * NR);
                    load!(3, second.add(WORDS), 4 * NR);
                }
            }
            for s in (0..steps).step_by(WORDS) {
                let w: *const u32 = match &rest {
                    Some(rest) if s == whole => rest.0.as_ptr(),
                    _ => panel.as_ptr().add(if INT8 { s + s / WORDS + 1 } else { s } * NR),
                };
                let (x, w) = (x.as_ptr().add(AMX_ROWS * s), w.add(column));
                load!(4, x, 4 * WORDS);
                stream!(6, w, 4 * NR);
                multiply!(INT8, 0, 4, 6);
                stream!(7, w.add(WORDS), 4 * NR);
                multiply!(INT8, 1, 4, 7);
                if two {
                    load!(5, x.add(AMX_ROWS * stride), 4 * WORDS);
                    multiply!(INT8, 2, 5, 6);
                    multiply!(INT8, 3, 5, 7);
                }
                prefetcher.fetch();
                behind.one();
            }
            store!(0, sums, 4 * NR);
            store!(1, sums.add(WORDS), 4 * NR);
            if two {
                store!(2, second, 4 * NR);
                store!(3, second.add(WORDS), 4 * NR);
            }
        }
    }
    behind.all();
}

/// The last words of a panel, which fill no tile, filled up with zeros. Those of rows are.
fn rest(words: &[u32]) -> Line<[u32; WORDS * NR]> {
    let mut rest = Line([0; WORDS * NR]);
    rest.0[..words.len()].copy_from_slice(words);
    rest
}

/// Asks for memory, evenly spread over the steps of a block of rows: so it comes while the processor multiplies.
struct Prefetcher<'a> {
    lines: std::slice::Chunks<'a, u32>,
    per_step: usize,
}

impl<'a> Prefetcher<'a> {
    fn new(words: &'a [u32], steps: usize) -> Self {
        let lines = words.chunks(WORDS);
        Self { per_step: lines.len().div_ceil(steps), lines }
    }

    #[inline(always)]
    fn fetch(&mut self) {
        for line in self.lines.by_ref().take(self.per_step) {
            // SAFETY: a prefetch may point anywhere.
            unsafe { _mm_prefetch::<_MM_HINT_T1>(line.as_ptr().cast()) };
        }
    }
}
