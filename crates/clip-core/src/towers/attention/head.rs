//! What one head of one sequence reads.

use packed_gemm::{Rows, to_pairs};

use super::alibi;
use super::rope::Turns;

/// One head of one sequence.
pub struct Head<'a> {
    /// Queries, keys and values of all sequences, a row of the batch in each.
    pub qkv: &'a Rows,
    /// First row of the sequence, counted over all of them.
    pub start: usize,
    /// Rows of the sequence.
    pub length: usize,
    /// Columns of the head.
    pub size: usize,
    /// The first column of its queries.
    pub query: usize,
    /// The first column of its keys.
    pub keys: usize,
    /// The first column of its values.
    pub values: usize,
    /// The sequence's query, `[hidden]`, where it is not in the rows.
    pub given: Option<&'a [f32]>,
    /// A row sees itself and those before it, not those behind it.
    pub causal: bool,
    /// What turns queries and keys.
    pub turns: Option<&'a Turns>,
    /// What a score loses for each row between its two, before it is scaled.
    pub slope: Option<f32>,
}

/// Rows that ask together, so that keys and values are read once for all of them: a few tiles of a product. Their scores
/// stay in the second cache, whatever the sequence's length.
pub const QUERIES: usize = 24;

impl Head<'_> {
    /// Rows that ask together: one tile where each row sees another part.
    pub fn queries_at_once(&self) -> usize {
        if self.causal { 6 } else { QUERIES }
    }

    /// How many of the sequence's rows a row sees.
    #[inline(always)]
    pub fn seen(&self, row: usize) -> usize {
        if self.causal { row + 1 } else { self.length }
    }

    /// The sequence's query of one of its rows, turned.
    #[inline(always)]
    pub fn read_query(&self, row: usize, out: &mut [f32]) {
        match self.given {
            Some(given) => out.copy_from_slice(&given[self.query..][..self.size]),
            None => self.qkv.read(self.start + row, self.query, out),
        }
        self.turn(row, out);
    }

    /// The sequence's key of one of its rows, turned.
    #[inline(always)]
    pub fn read_key(&self, row: usize, out: &mut [f32]) {
        self.qkv.read(self.start + row, self.keys, out);
        self.turn(row, out);
    }

    /// Lowers scores of one of the sequence's rows by their distances, before they are scaled.
    #[inline(always)]
    pub fn lower(&self, row: usize, scores: &mut [f32]) {
        if let Some(slope) = self.slope {
            alibi::lower(scores, row, slope);
        }
    }

    #[inline(always)]
    fn turn(&self, row: usize, values: &mut [f32]) {
        if let Some(turns) = self.turns {
            turns.turn(row, values);
        }
    }

    /// Queries or keys of one of the sequence's rows, which begin at `column`, as pairs of bf16. What is turned goes
    /// through `scratch`, `[size]`, and is rounded anew.
    #[inline(always)]
    pub fn read_pairs(&self, row: usize, column: usize, scratch: &mut [f32], out: &mut [u32]) {
        let Some(turns) = self.turns else {
            return out.copy_from_slice(self.qkv.pairs(self.start + row, column, self.size));
        };
        self.qkv.read(self.start + row, column, scratch);
        turns.turn(row, scratch);
        to_pairs(self.qkv.kernel(), scratch, out);
    }

    /// Asks for all keys and values, and for `queries` queries from row `first` on.
    ///
    /// Rows are far apart: what is asked for at once need not be waited for one after the other.
    #[inline(always)]
    pub fn prefetch(&self, first: usize, queries: usize) {
        for part in [self.keys, self.values] {
            (0..self.length).for_each(|i| self.qkv.prefetch(self.start + i, part, self.size));
        }
        if self.given.is_none() {
            (first..first + queries).for_each(|i| self.qkv.prefetch(self.start + i, self.query, self.size));
        }
    }
}
