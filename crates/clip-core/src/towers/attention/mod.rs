//! Scaled dot-product attention, sequence by sequence and head by head.

mod alibi;
mod head;
mod in_bf16;
mod in_f32;
mod panels;
mod product;
mod rope;
mod scratch;
mod softmax;
#[cfg(test)]
mod tests;

use packed_gemm::{Kernel, Rows};
use pulp::{Arch, Scalar128b, Simd};

use self::head::Head;
use self::in_bf16::MixPairs;
use self::in_f32::Mix;
use self::panels::Panels;
use crate::compute::Compute;

pub use self::alibi::slopes;
pub use self::rope::Turns;

/// What attends to what, in a batch of sequences: `softmax(Q Kᵀ / sqrt(size)) V` for each head.
///
/// Rows of all sequences lie one after the other, and so do queries, keys and values of a row.
pub struct Attention<'a> {
    /// Heads that share the width of a row evenly.
    pub heads: usize,
    /// Rows of each sequence.
    pub lengths: &'a [usize],
    /// A row sees itself and those before it, not those behind it.
    pub causal: bool,
    /// Which rows ask.
    pub queries: Queries<'a>,
    /// Where rows are, if the attention goes by that.
    pub positions: Option<&'a Positions>,
}

/// Positions that the attention goes by.
pub enum Positions {
    /// Rotary ones, which turn queries and keys before all else.
    Rotary(Turns),
    /// What a score loses for each row between its two, times the root of a head's size: of each head.
    Alibi(Vec<f32>),
}

/// Which rows ask. Where only one row of a sequence counts in the end, the others need not.
#[derive(Clone, Copy)]
pub enum Queries<'a> {
    /// Every row.
    All,
    /// One row of each sequence, counted within it.
    Rows(&'a [usize]),
    /// One row of each sequence, counted within it, with `queries` for them, `[sequences, hidden]`. Rows then have
    /// keys and values alone.
    Given { rows: &'a [usize], queries: &'a [f32] },
}

impl Attention<'_> {
    /// Reads `qkv`, `[sum of lengths, width]`, and fills `rows` with `[rows that ask, hidden]`.
    ///
    /// `width` is three times the hidden size, or twice where queries are given. Sizes that do not fit each other are
    /// an error.
    pub fn to_rows(&self, qkv: &Rows, rows: &mut Rows, compute: &Compute) -> candle_core::Result<()> {
        let (starts, total) = self.starts();
        let parts = if matches!(self.queries, Queries::Given { .. }) { 2 } else { 3 };
        let hidden = qkv.width() / parts;
        let there = |rows: &[usize]| {
            rows.len() == self.lengths.len() && rows.iter().zip(self.lengths).all(|(row, length)| row < length)
        };
        let fits = match self.queries {
            Queries::All => true,
            Queries::Rows(rows) => there(rows),
            Queries::Given { rows, queries } => there(rows) && queries.len() == rows.len() * hidden,
        };
        if !fits || hidden == 0 || !hidden.is_multiple_of(self.heads) || qkv.width() != parts * hidden {
            candle_core::bail!("attention of {} heads does not fit rows of {}", self.heads, qkv.width());
        }
        if total != qkv.len() {
            candle_core::bail!("sequences of {:?} are not {} rows", self.lengths, qkv.len());
        }
        let (turns, slopes) = match self.positions {
            None => (None, None),
            Some(Positions::Rotary(turns)) => (Some(turns), None),
            Some(Positions::Alibi(slopes)) => (None, Some(slopes)),
        };
        if slopes.is_some_and(|slopes| slopes.len() != self.heads) {
            candle_core::bail!("attention of {} heads has other slopes", self.heads);
        }
        let size = hidden / self.heads;
        let heights: Vec<usize> =
            self.lengths.iter().map(|n| if matches!(self.queries, Queries::All) { *n } else { 1 }).collect();
        rows.fill_grid(compute.pool(), &heights, self.heads, size, |i, head, out| {
            let keys = (parts - 2) * hidden + head * size;
            let slope = slopes.map(|slopes| slopes[head]);
            let head = Head {
                qkv,
                start: starts[i],
                length: self.lengths[i],
                size,
                query: head * size,
                given: match self.queries {
                    Queries::Given { queries, .. } => Some(&queries[i * hidden..][..hidden]),
                    _ => None,
                },
                keys,
                values: keys + hidden,
                causal: self.causal,
                turns,
                slope,
            };
            let first = match self.queries {
                Queries::All => 0,
                Queries::Rows(rows) | Queries::Given { rows, .. } => rows[i],
            };
            run(&head, first, out, compute.kernel());
        });
        Ok(())
    }

    /// The first row of each sequence, and how many rows there are.
    fn starts(&self) -> (Vec<usize>, usize) {
        let mut total = 0;
        let starts = self.lengths.iter().map(|length| {
            total += length;
            total - length
        });
        (starts.collect(), total)
    }
}

/// Fills `out`, `[queries, size]`, for the rows of the sequence from `first` on, by the code that the kernel has.
fn run(head: &Head, first: usize, out: &mut [f32], kernel: Kernel) {
    if head.given.is_none() && head.qkv.is_of_pairs() && head.size.is_multiple_of(Panels::GROUP) {
        return Arch::new().dispatch(MixPairs { head, first, out });
    }
    match kernel {
        Kernel::Portable => Simd::vectorize(Scalar128b, Mix::<false> { head, first, out }),
        #[cfg(target_arch = "x86_64")]
        Kernel::Avx2 if let Some(simd) = pulp::x86::V3::try_new() => {
            Simd::vectorize(simd, Mix::<true> { head, first, out });
        }
        _ => Arch::new().dispatch(Mix::<true> { head, first, out }),
    }
}
