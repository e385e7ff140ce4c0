//! What one head of one sequence reads.

use packed_gemm::Rows;

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
