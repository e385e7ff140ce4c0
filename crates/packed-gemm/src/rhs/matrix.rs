//! The packed matrix: its bytes, and some of its columns.

use std::ops::Range;

use bytes::Bytes;

use super::pack;
use crate::error::{ShapeError, check};
use crate::geometry::{Aligned, NR};
use crate::precision::Precision;

/// `W` of shape `[n, k]`, packed for products `x Wᵀ`. A clone shares the bytes.
#[derive(Clone, Debug)]
pub struct PackedMatrix {
    precision: Precision,
    /// See the crate's documentation.
    panels: Bytes,
    n: usize,
    k: usize,
}

impl PackedMatrix {
    /// Packs `weights`, `[n, k]` row-major, as checkpoints have them.
    ///
    /// Fails where they are not `n * k`, or there are none.
    pub fn pack(precision: Precision, weights: &[f32], n: usize, k: usize) -> Result<Self, ShapeError> {
        check("number of weights", weights.len(), n.saturating_mul(k))?;
        let words = Self::packed_bytes(precision, n, k)? / 4;
        Self::from_bytes(precision, Bytes::from_owner(Words(pack::pack(precision, weights, k, words))), n, k)
    }

    /// Takes what [`PackedMatrix::as_bytes`] gave, for example from a mapped file, without a copy.
    ///
    /// Fails where the length is not that of such a matrix, or the bytes do not start at a multiple of four.
    pub fn from_bytes(precision: Precision, panels: Bytes, n: usize, k: usize) -> Result<Self, ShapeError> {
        check("number of bytes", panels.len(), Self::packed_bytes(precision, n, k)?)?;
        check("alignment's remainder", panels.as_ptr().addr() % 4, 0)?;
        Ok(Self { precision, panels, n, k })
    }

    /// How many bytes a packed matrix has. Fails where `n` or `k` is zero, or the bytes are no number.
    pub fn packed_bytes(precision: Precision, n: usize, k: usize) -> Result<usize, ShapeError> {
        let bytes = pack::panel_words(precision, k)
            .and_then(|words| n.div_ceil(NR).checked_mul(words)?.checked_mul(4))
            .filter(|bytes| *bytes > 0 && k > 0);
        bytes.ok_or(ShapeError { what: "number of columns or rows", given: n.min(k), expected: 1 })
    }

    /// The packed words, little-endian, to be stored and mapped again.
    pub fn as_bytes(&self) -> &Bytes {
        &self.panels
    }

    /// The format of the weights.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// The words of all panels, one after the other.
    pub(crate) fn words(&self) -> &[u32] {
        bytemuck::cast_slice(&self.panels)
    }

    /// Columns of the product, `n`.
    pub fn outputs(&self) -> usize {
        self.n
    }

    /// Columns of the left-hand side, `k`.
    pub fn inputs(&self) -> usize {
        self.k
    }

    /// Some columns of the product, without a copy of their weights. `None` where they do not begin and end with panels of 64,
    /// the last of which may be narrower.
    pub fn columns(&self, columns: Range<usize>) -> Option<Self> {
        let ends = columns.end == self.n || columns.end.is_multiple_of(NR);
        if columns.is_empty() || columns.end > self.n || !columns.start.is_multiple_of(NR) || !ends {
            return None;
        }
        let panel = self.panels.len() / self.n.div_ceil(NR);
        let panels = self.panels.slice(columns.start / NR * panel..columns.end.div_ceil(NR) * panel);
        Some(Self { panels, n: columns.len(), ..*self })
    }
}

/// Words as bytes, which so start at a multiple of four.
struct Words(Aligned<u32>);

impl AsRef<[u8]> for Words {
    fn as_ref(&self) -> &[u8] {
        bytemuck::cast_slice(&self.0)
    }
}
